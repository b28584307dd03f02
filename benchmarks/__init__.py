"""Benchmarks, run by `make bench`: a module each, in rooms. Peers and limits are measured in the same run."""
