"""What the live store keeps beside the warehouse: rows that wait, lines as they came, entities touched."""

from __future__ import annotations

import duckdb
import polars as pl

from pipelines.sources.contract import empty

TAIL = "live.tail_order_lines"
"""Order lines of this generation as they were accepted: a line of the facts no longer tells its own supplier
and cost from those of the sku and the offer, and an order is always brought in with all of its lines."""

_WAITING = """
    table_name varchar not null, key varchar[] not null, row varchar not null, "column" varchar,
    reason varchar not null, until timestamptz, since timestamptz not null
"""
_TOUCHED = "entity varchar not null, entity_id varchar not null"


def make(connection: duckdb.DuckDBPyConnection) -> str:
    """Make the tables where the store lacks them; returns the store's name, quoted.

    The schema has to be named with its store: a store's file may have the same name.
    """
    row = connection.execute("select current_database()").fetchone()
    store = f'"{row[0] if row else ""}"'
    lines = columns_of(empty("order_lines"))
    connection.execute(
        f"create schema if not exists {store}.live;"
        f"create table if not exists {store}.live.waiting ({_WAITING});"
        f"create table if not exists {store}.live.touched ({_TOUCHED});"
        f"create table if not exists {store}.{TAIL} ({lines})"
    )
    return store


def columns_of(frame: pl.DataFrame) -> str:
    """Names and types of a frame's columns as DuckDB has them."""
    with duckdb.connect() as scratch:
        scratch.register("frame", frame)
        columns = scratch.execute("describe frame").fetchall()
    return ", ".join(f'"{name}" {kind}' for name, kind, *_ in columns)
