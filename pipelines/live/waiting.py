"""Rows that a tick did not let in: they lie in the live store and are tried again.

A row waits for its time, or for a row of another table that it names. A newer version of it takes its place.
The full build judges all rows anew and tells of those that it refuses in the quarantine; a new generation of
the store starts with none waiting.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import duckdb
import polars as pl

from pipelines.live.cuts import HELD
from pipelines.live.known import StoreKeys
from pipelines.live.tables import make, store_of
from pipelines.sources.contract import INGEST_ORDER, contract_table, empty
from pipelines.sources.loading.validation import key_texts
from pipelines.sources.recorded.rows import DERIVED, Recordings

NOT_YET = "its time has not come"
"""Reason of a row of a time after the tick's business time, and of what hangs on its order."""

_SCHEMA = {
    "table_name": pl.String(),
    "key": pl.List(pl.String()),
    "row": pl.String(),
    "column": pl.String(),
    "reason": pl.String(),
    "until": pl.Datetime("us", "UTC"),
}


def begin(connection: duckdb.DuckDBPyConnection, recorded: Recordings, as_of: dt.datetime) -> int:
    """Let the recorded rows wait that a new generation's warehouse does not hold: refused, or not yet due.

    A tick reads what was recorded since; without this, a visitor's events of yesterday would not come in when
    the first order of today says who that is.

    Args:
        connection: The draft of the generation.
        recorded: What the full build had before it.
        as_of: Business time of the warehouse (UTC); they are due at once.

    Returns:
        How many wait.
    """
    make(connection)
    keys = StoreKeys(connection)
    parts = [none_waiting()]
    for stream in recorded.streams:
        rows = recorded.read(stream.table)
        if stream.table not in HELD or not rows.height:
            continue
        left = complete(stream.table, keys.lacking(stream.table, rows))
        column, reason = (
            pl.Series([value] * left.height, dtype=pl.String) for value in (None, "not in the full build")
        )
        until = pl.Series([as_of] * left.height, dtype=_SCHEMA["until"])
        parts.append(waiting_rows(stream.table, left, column, reason, until))
    found = pl.concat(parts)
    connection.register("_waiting", found)
    connection.execute(
        _qualified(
            connection,
            'insert into live.waiting select table_name, key, row, "column", reason, until, $as_of'
            " from _waiting",
        ),
        {"as_of": as_of},
    )
    connection.unregister("_waiting")
    return found.height


def due(
    connection: duckdb.DuckDBPyConnection, arrived: set[str], as_of: dt.datetime
) -> dict[str, pl.DataFrame]:
    """Rows worth another try: their time has come, or rows came of a table that they name.

    Args:
        connection: The live store.
        arrived: Contract tables of which rows came.
        as_of: Business time of the tick (UTC).

    Returns:
        Rows by contract table, in the columns and types of the contract.
    """
    found: dict[str, pl.DataFrame] = {}
    if not count(connection):
        return found
    moved = arrived | ({DERIVED} if "orders" in arrived else set())
    for table in INGEST_ORDER:
        contract = contract_table(table)
        # The column at fault says what a row waits for; without one it waits for its order.
        moved_by = {key.columns[0] for key in contract.foreign_keys if key.parent in moved}
        if contract.completed_by in moved:
            moved_by.add(contract.key[0])
        rows = connection.execute(
            _qualified(
                connection,
                "select row from live.waiting where table_name = $table and (until <= $as_of"
                ' or list_contains($moved_by, "column") or ("column" is null and len($moved_by) > 0))',
            ),
            {"table": table, "moved_by": sorted(moved_by), "as_of": as_of},
        ).pl()
        if rows.height:
            found[table] = _decoded(table, rows["row"])
            moved |= {table, DERIVED} if table == "orders" else {table}
    return found


def replace(
    connection: duckdb.DuckDBPyConnection,
    tried: Mapping[str, pl.DataFrame],
    waiting: pl.DataFrame,
    as_of: dt.datetime,
) -> None:
    """Write what waits now of the rows that were tried.

    Args:
        connection: The live store.
        tried: Keys of the rows that were tried, by contract table.
        waiting: Those that were not let in (`waiting_rows`).
        as_of: Business time of the tick (UTC); a row that waited before keeps its own.
    """
    keys = [
        pl.DataFrame({"table_name": [table] * rows.height, "key": key_texts(contract_table(table), rows)})
        for table, rows in tried.items()
        if rows.height
    ]
    if not keys or not (waiting.height or count(connection)):
        return
    connection.register("_tried", pl.concat(keys))
    connection.register("_waiting", waiting)
    connection.execute(
        _qualified(
            connection,
            "create or replace temp table _since as select w.table_name, w.key, min(w.since) as since"
            " from live.waiting w semi join _tried t using (table_name, key) group by all;"
            "delete from live.waiting w using _tried t where w.table_name = t.table_name and w.key = t.key",
        )
    )
    connection.execute(
        _qualified(
            connection,
            'insert into live.waiting select w.table_name, w.key, w.row, w."column", w.reason, w.until,'
            " coalesce(s.since, $as_of) from _waiting w left join temp._since s using (table_name, key)",
        ),
        {"as_of": as_of},
    )
    connection.unregister("_tried")
    connection.unregister("_waiting")


def count(connection: duckdb.DuckDBPyConnection) -> int:
    """Rows that wait."""
    row = connection.execute(_qualified(connection, "select count(*) from live.waiting")).fetchone()
    return int(row[0]) if row else 0


def complete(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Every column of the contract; those that the database does not have are null."""
    return pl.concat([empty(table), frame], how="diagonal").select(contract_table(table).columns)


def waiting_rows(
    table: str, rows: pl.DataFrame, column: pl.Series, reason: pl.Series, until: pl.Series
) -> pl.DataFrame:
    """Rows of a contract table as they wait.

    Args:
        table: Contract table.
        rows: In the columns and types of the contract.
        column: Which column of each is at fault; may be null.
        reason: Why each waits.
        until: When the time of each comes; null where it waits for something else.
    """
    return pl.DataFrame(
        {
            "table_name": [table] * rows.height,
            "key": key_texts(contract_table(table), rows),
            "row": _encoded(rows),
            "column": column,
            "reason": reason,
            "until": until,
        },
        schema=_SCHEMA,
    )


def none_waiting() -> pl.DataFrame:
    """No rows, with the columns of `waiting_rows`."""
    return pl.DataFrame(schema=_SCHEMA)


def _encoded(rows: pl.DataFrame) -> pl.Series:
    """Each row as JSON without loss: times as whole numbers."""
    plain = rows.with_columns(
        pl.col(name).to_physical() for name, dtype in rows.schema.items() if dtype.is_temporal()
    )
    return plain.select(pl.struct(pl.all()).struct.json_encode().alias("row"))["row"]


def _decoded(table: str, texts: pl.Series) -> pl.DataFrame:
    """The rows again, in the types of the contract."""
    dtypes = contract_table(table).dtypes
    plain = {
        name: (pl.Int32() if dtype == pl.Date() else pl.Int64()) if dtype.is_temporal() else dtype
        for name, dtype in dtypes.items()
    }
    fields = pl.Struct([pl.Field(name, dtype) for name, dtype in plain.items()])
    rows = texts.str.json_decode(fields).struct.unnest()
    return rows.select(pl.col(name).cast(dtype) for name, dtype in dtypes.items())


def _qualified(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The SQL with the store's own name before the schema."""
    return sql.replace("live.waiting", f"{store_of(connection)}.live.waiting")
