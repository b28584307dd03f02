"""Scoring on a DuckDB warehouse, the same for a step of the graph and for the live loop."""
