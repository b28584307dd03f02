"""Benchmarks of what readers and senders of the API see."""
