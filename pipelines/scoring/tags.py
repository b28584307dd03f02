"""Tags for models: at any moment from the warehouse, or from the table of a day."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import duckdb
import polars as pl

from feature_store.point_in_time import training_set

TagReader = Callable[[pl.DataFrame, Sequence[str]], pl.DataFrame]


def tags_at(connection: duckdb.DuckDBPyConnection, time_zone: str) -> TagReader:
    """A reader of tags as they could have been known at each row's moment.

    Args:
        connection: A DuckDB that sees the warehouse.
        time_zone: IANA zone of local hours and days.
    """

    def read(moments: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
        return training_set(connection, moments, names, time_zone=time_zone).select(names)

    return read


def tags_of(table: pl.DataFrame) -> TagReader:
    """A reader of a table of tags of one moment, which answers whatever moment is asked.

    Args:
        table: `consumer_id` and tags, one row a consumer. Whoever it lacks gets nulls.
    """

    def read(moments: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
        found = moments.select("consumer_id").join(
            table.select("consumer_id", *names), on="consumer_id", how="left", maintain_order="left"
        )
        return found.select(names)

    return read
