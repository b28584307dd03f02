"""DuckDB files without erased persons.

A file keeps the bytes of rows that were deleted in blocks that it will use again, and a checkpoint does not
change that. So whatever is left is copied into a new file, which then takes the place of the old one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import duckdb

from pipelines.erasure.parquet import Rewritten
from pipelines.erasure.rules import KEPT, KINDS, NAMED, OWNERS, PERSONAL, VISITOR
from pipelines.erasure.tombstones import Tombstones
from pipelines.lake.files import atomic_path

_COLUMNS = (*OWNERS, *NAMED, VISITOR)


def clear_file(file: Path, tombstones: Tombstones) -> Rewritten:
    """Take erased persons out of a closed DuckDB file; one that names none is not touched.

    Args:
        file: The file; nobody may write it.
        tombstones: Who was erased.
    """
    with contextlib.closing(duckdb.connect(str(file), read_only=True)) as connection:
        people, visitors = named_in(connection, tombstones)
    if not people and not visitors:
        return Rewritten()
    mode = file.stat().st_mode
    with atomic_path(file) as temporary:
        copy(file, temporary)
        with contextlib.closing(duckdb.connect(str(temporary))) as connection:
            done = clear_tables(connection, tombstones)
        # The copy itself still holds the rows in blocks that are free now.
        compact(temporary)
        temporary.chmod(mode)
    return done


def clear_tables(connection: duckdb.DuckDBPyConnection, tombstones: Tombstones) -> Rewritten:
    """Take erased persons out of every table of an open file, by the rule of each.

    Args:
        connection: The file, for writing; the bytes are gone once it was compacted.
        tombstones: Who was erased.
    """
    people, visitors = named_in(connection, tombstones)
    _fill(connection, "_erased_people", "id varchar, pseudonym varchar", people.items())
    _fill(connection, "_erased_visitors", "id varchar, until timestamp", visitors.items())
    removed = renamed = 0
    for schema, table, columns in _tables(connection):
        relation = f'"{schema}"."{table}"'
        for condition in _gone(table, columns, bool(visitors)):
            removed += _count(connection, f"delete from {relation} where {condition}")
        for name in (*OWNERS, *NAMED):
            if name not in columns:
                continue
            sets = [f'"{name}" = e.pseudonym']
            if table == "dim_consumers" and name == "consumer_id":
                sets += [f'"{one}" = {_sql(value)}' for one, value in PERSONAL.items() if one in columns]
            renamed += _count(
                connection,
                f"update {relation} as t set {', '.join(sets)} from temp._erased_people e"
                f' where t."{name}" = e.id{_kind(name, columns)}',
            )
    return Rewritten(removed, renamed)


def named_in(
    connection: duckdb.DuckDBPyConnection, tombstones: Tombstones
) -> tuple[Mapping[str, str], Mapping[str, object]]:
    """Erased persons whom a file names, and erased visitors with the moment up to which they are."""
    people: dict[str, str] = {}
    visitors: dict[str, object] = {}
    for schema, table, columns in _tables(connection):
        for name in columns.intersection(_COLUMNS):
            ids = connection.execute(
                f'select distinct "{name}" as id from "{schema}"."{table}" where "{name}" is not null'
            ).pl()["id"]
            people |= tombstones.among(ids)
            if name in (VISITOR, "visitor_id"):
                until = tombstones.erased_until(ids).dt.replace_time_zone(None)
                visitors |= {
                    str(one): moment for one, moment in zip(ids, until, strict=True) if moment is not None
                }
    return people, visitors


def compact(file: Path) -> None:
    """Write a closed file anew with what it holds, and nothing that it held once."""
    mode = file.stat().st_mode
    with atomic_path(file) as temporary:
        copy(file, temporary)
        temporary.chmod(mode)


def copy(source: Path, target: Path) -> None:
    """Every schema, table and view of a file into a new one."""
    target.unlink(missing_ok=True)
    with contextlib.closing(duckdb.connect()) as connection:
        connection.execute("set TimeZone='UTC'")
        connection.execute(f"attach '{source}' as held (read_only); attach '{target}' as fresh")
        connection.execute("copy from database held to fresh")
        connection.execute("checkpoint fresh")


def _gone(table: str, columns: set[str], has_visitors: bool) -> list[str]:
    """Which rows of a table go."""
    found = []
    if table not in KEPT:
        found += [
            f'"{name}" in (select id from temp._erased_people){_kind(name, columns)}'
            for name in OWNERS
            if name in columns
        ]
    if has_visitors and {VISITOR, "occurred_at"} <= columns:
        is_theirs = " and consumer_id is null" if "consumer_id" in columns else ""
        found.append(
            f"exists (select 1 from temp._erased_visitors v where v.id = {VISITOR}"
            f" and epoch_us(occurred_at) <= epoch_us(v.until)){is_theirs}"
        )
    if has_visitors and "visitor_id" in columns:
        found.append("visitor_id in (select id from temp._erased_visitors)")
    return found


def _kind(name: str, columns: set[str]) -> str:
    kind = NAMED.get(name) or KINDS.get(name)
    return f" and \"{kind}\" = 'consumer'" if kind is not None and kind in columns else ""


def _tables(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, set[str]]]:
    """Stored tables that may name consumers: schema, name, columns."""
    rows = connection.execute(
        "select c.schema_name, c.table_name, list(c.column_name) from duckdb_columns() c"
        " join duckdb_tables() t using (database_oid, schema_oid, table_oid)"
        " where c.database_name = current_database() and c.data_type = 'VARCHAR' or"
        " c.database_name = current_database() and list_contains($named, c.column_name)"
        " group by all order by 1, 2",
        {"named": ["occurred_at", *PERSONAL]},
    ).fetchall()
    return [(schema, table, set(names)) for schema, table, names in rows if set(names) & set(_COLUMNS)]


def _fill(connection: duckdb.DuckDBPyConnection, name: str, columns: str, rows: object) -> None:
    connection.execute(f"create or replace temp table {name} ({columns})")
    values = list(rows)  # type: ignore[call-overload]
    if values:
        connection.executemany(f"insert into temp.{name} values (?, ?)", values)


def _count(connection: duckdb.DuckDBPyConnection, statement: str) -> int:
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0


def _sql(value: bool | None) -> str:
    return "null" if value is None else str(value).lower()
