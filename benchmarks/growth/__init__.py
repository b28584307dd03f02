"""Benchmarks of growth: experiments, journeys."""
