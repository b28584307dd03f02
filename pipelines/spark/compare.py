"""Whether two engines made the same tables: columns, types, hashes of every column's values and of rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl


@dataclass(frozen=True)
class Difference:
    """What differs in one table.

    Attributes:
        table: Name of the table.
        what: The columns whose values differ, or what else does.
    """

    table: str
    what: str


def compare_tables(
    warehouse: Path, folder: Path, schema: str = "core"
) -> tuple[dict[str, int], list[Difference]]:
    """Compares every table of a schema of the DuckDB warehouse with Spark's.

    Args:
        warehouse: The DuckDB file.
        folder: Spark's warehouse on this machine; a table is `<folder>/<schema>.db/<table>/*.parquet`.
        schema: The schema.

    Returns:
        Rows by table on DuckDB, and the differences, none when every value of every table is the same.
    """
    rows: dict[str, int] = {}
    found: list[Difference] = []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET memory_limit = '2GB'")
        connection.execute(f"ATTACH '{warehouse}' AS ours (READ_ONLY)")
        listed = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'ours' AND schema_name = ?"
            " ORDER BY table_name",
            [schema],
        ).fetchall()
        for (table,) in listed:
            files = folder / f"{schema}.db" / table
            if not any(files.glob("*.parquet")):
                found.append(Difference(table, f"Spark has no such table in {files.parent}"))
                continue
            ours, theirs = f"ours.{schema}.{table}", f"read_parquet('{files}/*.parquet')"
            rows[table], what = _different(connection, ours, theirs)
            if what:
                found.append(Difference(table, what))
    return rows, found


def _different(connection: duckdb.DuckDBPyConnection, ours: str, theirs: str) -> tuple[int, str]:
    """Rows of ours, and what differs in words; nothing when nothing does."""
    types = [
        {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}
        for relation in (ours, theirs)
    ]
    mistyped = sorted(name for name in {*types[0], *types[1]} if types[0].get(name) != types[1].get(name))
    columns = [name for name in types[0] if name not in mistyped]
    hashes = ", ".join(f'SUM(HASH("{name}")::HUGEINT)' for name in columns)
    whole = ", ".join(f'"{name}"' for name in columns)
    sums = [
        connection.execute(
            f"SELECT COUNT(*), SUM(HASH(ROW({whole}))::HUGEINT), {hashes} FROM {relation}"
        ).fetchone()
        or ()
        for relation in (ours, theirs)
    ]
    words = [f"{name}: {types[0].get(name)} is {types[1].get(name)}" for name in mistyped]
    if sums[0][0] != sums[1][0]:
        words.append(f"{sums[0][0]} rows are {sums[1][0]}")
    differing = [
        name for name, mine, other in zip(columns, sums[0][2:], sums[1][2:], strict=True) if mine != other
    ]
    words += [f"{name} differs" for name in differing]
    if not words and sums[0] != sums[1]:
        words.append("the same values stand in other rows")
    return sums[0][0], ", ".join(words)


def compare_tags(ours: pl.DataFrame, theirs: pl.DataFrame) -> dict[str, int]:
    """Rows in which a tag differs, null only where null, doubles to the bit, by name of the tags that do.

    Args:
        ours: Tag table of DuckDB, sorted by entity.
        theirs: Tag table of Spark for the same entities, sorted alike.

    Raises:
        ValueError: The tables have other entities, columns or types.
    """
    if ours.schema != theirs.schema:
        other = [name for name, kind in ours.schema.items() if theirs.schema.get(name) != kind]
        raise ValueError(f"other columns or types: {', '.join(other) or 'more columns on Spark'}")
    if not ours[:, 0].equals(theirs[:, 0]):
        raise ValueError("the tables tell of other entities")
    counts = {name: int(ours[name].ne_missing(theirs[name]).sum()) for name in ours.columns}
    return {name: count for name, count in counts.items() if count}
