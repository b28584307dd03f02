"""The wiring: the only package that imports Dagster. Business rules live in the packages that it calls."""
