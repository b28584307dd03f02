"""Benchmarks of what routes and plans."""
