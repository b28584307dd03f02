"""The catalogue of all tags as one searchable page: meaning, values, age. `write_catalogue` makes it."""

from __future__ import annotations

from pipelines.report.catalogue.page import write_catalogue

__all__ = ["write_catalogue"]
