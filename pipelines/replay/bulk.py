"""Many rows into a table of the operational database at once: COPY, then one insert."""

from __future__ import annotations

import polars as pl
import psycopg
from psycopg import sql


def tenant_of(connection: psycopg.Connection) -> str:
    """Whose rows a transaction of `Operations` writes."""
    row = connection.execute("select ops.current_tenant()").fetchone()
    return str(row[0]) if row else ""


def insert(
    connection: psycopg.Connection,
    table: str,
    frame: pl.DataFrame,
    conflict: str = "do nothing",
) -> int:
    """Insert the rows of a frame.

    Args:
        connection: Inside a transaction of the tenant.
        table: Schema and table.
        frame: Columns of the table; `tenant_id` is added. Lists of texts become arrays.
        conflict: What follows `on conflict`.

    Returns:
        Rows that were inserted or updated.
    """
    if not frame.height:
        return 0
    schema, name = table.split(".")
    target = sql.Identifier(schema, name)
    columns = sql.SQL(", ").join(map(sql.Identifier, frame.columns))
    # Row-level security forbids COPY into the table itself.
    connection.execute(
        sql.SQL("create temp table incoming on commit drop as select {} from {} with no data").format(
            columns, target
        )
    )
    flat = frame.with_columns(
        _array(name).alias(name) for name, dtype in frame.schema.items() if dtype == pl.List(pl.String)
    )
    statement = sql.SQL("copy incoming ({}) from stdin with (format csv, null '\\N')").format(columns)
    with connection.cursor().copy(statement) as copy:
        copy.write(flat.write_csv(include_header=False, null_value="\\N", datetime_format="%+"))
    written = connection.execute(
        sql.SQL(
            "insert into {target} as t (tenant_id, {columns})"
            " select ops.current_tenant(), {columns} from incoming on conflict {conflict}"
        ).format(
            target=target,
            columns=columns,
            conflict=sql.SQL(conflict),
        )
    ).rowcount
    connection.execute("drop table incoming")
    return written


def _array(name: str) -> pl.Expr:
    """A list of texts as PostgreSQL writes an array."""
    escaped = (
        pl.element().str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
    )
    return pl.format("{{{}}}", pl.col(name).list.eval(pl.format('"{}"', escaped)).list.join(","))
