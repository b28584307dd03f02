"""Published tables without rows."""

import polars as pl

from models.contracts import PUBLISHED_TABLES
from pipelines.stores.publication import conform


def empty_table(name):
    """A published table with its columns and types and nothing in it."""
    return conform(name, pl.DataFrame({column.name: [] for column in PUBLISHED_TABLES[name].columns}))
