"""The live store beside a full rebuild: the same rows, the same moment, every table and every tag."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb

from pipelines.live.log import Comparison

_BOOKKEEPING = ("due_at", "revision")
"""Columns of the tag state that say how it came about, not what it is."""


def compare(connection: duckdb.DuckDBPyConnection, other: Path, tables: Iterable[str]) -> Comparison:
    """Compare tables of an open store with those of another file, row by row, whatever their order.

    Args:
        connection: One store.
        other: The file of the other store, closed.
        tables: Qualified names; each must be in both.

    Returns:
        Rows that only one of them has count as differences; a changed row counts once.
    """
    connection.execute(f"attach '{other}' as other (read_only)")
    rows = 0
    differences = {}
    try:
        for table in tables:
            columns = ", ".join(f'"{name}"' for name in _columns(connection, table))
            found = connection.execute(
                f"select (select count(*) from {table}),"
                f" (select count(*) from (select {columns} from {table} except all"
                f"  select {columns} from other.{table})),"
                f" (select count(*) from (select {columns} from other.{table} except all"
                f"  select {columns} from {table}))"
            ).fetchone()
            count, here, there = (int(value) for value in found or (0, 0, 0))
            rows += count
            if here or there:
                differences[table.replace('"', "")] = max(here, there)
    finally:
        connection.execute("detach other")
    return Comparison(rows=rows, differences=differences)


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    names = [column[0] for column in connection.execute(f"select * from {table} limit 0").description or ()]
    return [name for name in names if name not in _BOOKKEEPING]
