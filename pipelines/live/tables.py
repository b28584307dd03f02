"""What the live store keeps beside the warehouse: what waits, lines as they came, files, who was touched."""

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
_FILES = "name varchar not null, size bigint not null, changed_ns bigint not null"
_ERASED = "digest varchar primary key, is_rewritten boolean not null"
_TOUCHED = "entity varchar not null, entity_id varchar not null"


def make(connection: duckdb.DuckDBPyConnection) -> str:
    """Make the tables where the store lacks them; returns the store's name, quoted."""
    store = store_of(connection)
    lines = columns_of(empty("order_lines"))
    connection.execute(
        f"create schema if not exists {store}.live;"
        f"create table if not exists {store}.live.waiting ({_WAITING});"
        f"create table if not exists {store}.live.files ({_FILES});"
        f"create table if not exists {store}.live.touched ({_TOUCHED});"
        f"create table if not exists {store}.live.erased ({_ERASED});"
        f"create table if not exists {store}.{TAIL} ({lines})"
    )
    return store


def store_of(connection: duckdb.DuckDBPyConnection) -> str:
    """Name of an open store, quoted; before its schema `live`, since its file may have that name too."""
    row = connection.execute("select current_database()").fetchone()
    return f'"{row[0] if row else ""}"'


def columns_of(frame: pl.DataFrame) -> str:
    """Names and types of a frame's columns as DuckDB has them."""
    with duckdb.connect() as scratch:
        scratch.register("frame", frame)
        columns = scratch.execute("describe frame").fetchall()
    return ", ".join(f'"{name}" {kind}' for name, kind, *_ in columns)
