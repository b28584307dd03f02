"""Benchmarks: one module each, run by `make bench`. Peers and limits are measured in the same run."""
