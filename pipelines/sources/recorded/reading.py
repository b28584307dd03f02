"""Reading what the operational database recorded: one snapshot, row versions since a transaction.

What lives here: the snapshot, its horizon and identity, and a stream's versions as typed frames. What is kept
of them is told elsewhere: batch files (`extraction`), the live store (`pipelines.live`).
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import polars as pl
import psycopg

from pipelines.sources.contract import SourceError, contract_table
from pipelines.sources.recorded.streams import VERSION_COLUMN, Stream

INSTANT = pl.Datetime("us", "UTC")

_APPLICATION_ROLE = "muyun_app"


@contextmanager
def snapshot(url: str, reader: str, tenant_id: str) -> Iterator[psycopg.Connection]:
    """A read-only transaction on one snapshot, as the application for one tenant.

    Args:
        url: libpq address of the migrated database.
        reader: Name under which one reader at a time is let in.
        tenant_id: Whose rows.

    Raises:
        SourceError: The database cannot be read.
    """
    try:
        with psycopg.connect(libpq(url), autocommit=True) as connection:
            connection.execute(
                "select pg_advisory_lock(hashtext('muyun.extraction'), hashtext(%s))", (reader,)
            )
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            with connection.transaction():
                connection.execute(f"set local role {_APPLICATION_ROLE}")
                connection.execute("select set_config('muyun.tenant', %s, true)", (tenant_id,))
                yield connection
    except psycopg.Error as error:
        raise SourceError(
            f"the operational database cannot be read: {str(error).strip().splitlines()[0]}; "
            "see that it runs and is migrated (python -m serving.db upgrade)"
        ) from error


def libpq(url: str) -> str:
    """The address without the driver that SQLAlchemy writes into it."""
    return re.sub(r"^postgresql\+\w+:", "postgresql:", url)


def identity(connection: psycopg.Connection, tenant_id: str) -> str:
    """What tells a database from another: numbers of the server, its own, its claim by the tenant's home."""
    row = connection.execute(
        "select s.system_identifier::text || ':' || d.oid::text || ':'"
        " || coalesce((select claim_id from ops.home where tenant_id = %s), '')"
        " from pg_control_system() s, pg_database d where d.datname = current_database()",
        (tenant_id,),
    ).fetchone()
    return cast(str, row[0]) if row else ""


def origin(connection: psycopg.Connection, streams: Sequence[Stream], tenant_id: str) -> str:
    """The database, and the columns that are read of it: rows of other columns are read anew."""
    columns = json.dumps({stream.table: list(schema(stream)) for stream in streams})
    return f"{identity(connection, tenant_id)}:{hashlib.sha256(columns.encode()).hexdigest()[:12]}"


def horizon(connection: psycopg.Connection) -> int:
    """The oldest transaction that still runs: all before it can be seen, or never will."""
    row = connection.execute("select pg_snapshot_xmin(pg_current_snapshot())::text").fetchone()
    return int(row[0]) if row else 0


def schema(stream: Stream) -> dict[str, pl.DataType]:
    """Columns of a stream's versions in order: those of the contract that it has, then the version."""
    contract = contract_table(stream.table)
    columns = {name: contract.dtypes[name] for name in contract.columns if name not in stream.absent}
    return {**columns, VERSION_COLUMN: pl.Int64()}


def versions_since(
    connection: psycopg.Connection, stream: Stream, since: int, *, replayed_origin: str
) -> pl.DataFrame:
    """Row versions of a stream since a transaction, typed as the contract says.

    Args:
        connection: A snapshot.
        stream: What is read.
        since: Number of the oldest transaction.
        replayed_origin: Origin of what replayed orders settle.

    Returns:
        The columns of `schema`, in the order of the stream's query.
    """
    buffer = io.BytesIO()
    statement = f"copy ({stream.query}) to stdout with (format csv, null '\\N')"
    parameters = {"since": str(since), "replayed": replayed_origin}
    with connection.cursor().copy(statement.encode(), parameters) as copy:
        for block in copy:
            buffer.write(block)
    columns = schema(stream)
    if not buffer.tell():
        return pl.DataFrame(schema=columns)
    buffer.seek(0)
    wire = {name: _wire_type(dtype) for name, dtype in columns.items()}
    raw = pl.read_csv(buffer, has_header=False, schema=wire, null_values=["\\N"], empty_string_is_null=False)
    return raw.select(
        *(
            (pl.col(name) == "t").alias(name) if dtype == pl.Boolean() else pl.col(name).cast(dtype)
            for name, dtype in columns.items()
        )
    )


def _wire_type(dtype: pl.DataType) -> pl.DataType:
    """What a column is on the wire: instants as microseconds, flags as t and f."""
    if dtype == INSTANT:
        return pl.Int64()
    return pl.String() if dtype == pl.Boolean() else dtype
