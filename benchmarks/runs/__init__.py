"""Benchmarks of whole runs of the pipeline."""
