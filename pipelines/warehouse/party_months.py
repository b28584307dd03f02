"""What reviews of agents and merchants read from the published warehouse. One query a table; no rule."""

from __future__ import annotations

import duckdb
import polars as pl


def party_months(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Rows of `mart_party_month`."""
    return connection.execute("select * from analyst.mart_party_month").pl()


def party_month_skus(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Rows of `mart_party_month_skus`."""
    return connection.execute("select * from analyst.mart_party_month_skus").pl()
