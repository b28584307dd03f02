"""Benchmarks of ledger and settlement."""
