"""Erased persons leave the live store with the next tick: their rows come again, by the rule of each table.

Orders and coupons come once more with the pseudonym as their buyer, everything else of the person is taken
away, and the SQL of the models makes of that what a full build would. What ticks keep no rows of is cleared
in place. All of it belongs to the tick's transaction; the bytes are gone once the file was written anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import polars as pl

from pipelines.erasure.duckdb_files import clear_tables, named_in
from pipelines.erasure.intake import PERSON_COLUMNS
from pipelines.erasure.rules import VISITOR, cleared, names_one, others_of
from pipelines.erasure.tombstones import Tombstones
from pipelines.lake.tables import Lake
from pipelines.live.accepted import Accepted
from pipelines.live.cuts import HELD, held
from pipelines.live.tables import TAIL, make, store_of
from pipelines.sources.contract import contract_table

ORDERS = ("orders", "order_lines")


@dataclass(frozen=True)
class Erasing:
    """What a tick does about persons who were erased since the last one.

    Attributes:
        tombstones: Those persons, with every visitor; empty when there is nothing to do.
        keys: Keys of the rows that named them, by contract table.
        rows: What comes in their place.
        history: Older versions of their orders and lines.
    """

    tombstones: Tombstones = field(default_factory=Tombstones)
    keys: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    rows: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    history: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    def into(self, accepted: Accepted) -> Accepted:
        """What was let in, and the rows that go without another in their place."""
        keys = dict(accepted.keys)
        for table, gone in self.keys.items():
            keys[table] = pl.concat([keys.get(table, gone.clear()), gone]).unique()
        history = dict(accepted.history)
        for table, versions in self.history.items():
            history[table] = pl.concat([*([history[table]] if table in history else []), versions])
        return Accepted(keys, accepted.rows, history)


def outstanding(connection: duckdb.DuckDBPyConnection, tombstones: Tombstones) -> Tombstones:
    """Persons of whom the store was not cleared yet; empty when there are none."""
    make(connection)
    done = connection.execute(f"select digest from {store_of(connection)}.live.erased").fetchall()
    left = tombstones.without(row[0] for row in done)
    return left if left.people else Tombstones()


def begin(connection: duckdb.DuckDBPyConnection, tombstones: Tombstones, lake: Path) -> Erasing:
    """What is to be done about persons who were erased.

    Args:
        connection: The live store, in the tick's transaction.
        tombstones: Everybody who was erased.
        lake: Root of the lake, for the lines of orders that the store holds no raw lines of.
    """
    new = outstanding(connection, tombstones)
    people, visitors = named_in(connection, new) if new.people else ({}, {})
    if not people and not visitors:
        return Erasing(new)
    keys: dict[str, pl.DataFrame] = {}
    rows: dict[str, pl.DataFrame] = {}
    for table in HELD:
        if table not in PERSON_COLUMNS:
            continue
        theirs = _theirs(connection, table, list(people), list(visitors))
        done = cleared(table, theirs, new)
        if done.is_changed:
            # Of the visitors' events those after the erasure stay.
            went = theirs.join(done.frame, on=theirs.columns, how="anti", nulls_equal=True)
            keys[table] = went.select(contract_table(table).key)
            rows[table] = done.frame.join(theirs, on=theirs.columns, how="anti", nulls_equal=True)
    history = {}
    if "orders" in rows:
        orders = rows["orders"].select("order_id")
        rows["order_lines"] = _lines(connection, Lake(lake), orders)
        for table in ORDERS:
            versions = Lake(lake).scan_history(table).join(orders.lazy(), on="order_id", how="semi").collect()
            history[table] = cleared(table, versions, new).frame
    return Erasing(new, keys, rows, history)


def finish(connection: duckdb.DuckDBPyConnection, erasing: Erasing) -> None:
    """Clear what the facts did not, and write down who the store is clear of."""
    if not erasing.tombstones.people:
        return
    clear_tables(connection, erasing.tombstones)
    store = store_of(connection)
    waiting = connection.execute(f"select distinct table_name, row from {store}.live.waiting").fetchall()
    gone = [(table, row) for table, row in waiting if names_one(row, others_of(table), erasing.tombstones)]
    if gone:
        connection.executemany(f"delete from {store}.live.waiting where table_name = ? and row = ?", gone)
    connection.executemany(
        f"insert into {store}.live.erased values (?, false)",
        [(digest,) for digest in erasing.tombstones.people],
    )


def is_to_be_written_anew(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the file may still hold bytes of rows that were taken out."""
    make(connection)
    row = connection.execute(
        f"select count(*) from {store_of(connection)}.live.erased where not is_rewritten"
    ).fetchone()
    return bool(row and row[0])


def mark_written_anew(connection: duckdb.DuckDBPyConnection) -> None:
    """Write down, in a file that was written anew, that it was."""
    connection.execute(f"update {store_of(connection)}.live.erased set is_rewritten = true")


def _theirs(
    connection: duckdb.DuckDBPyConnection, table: str, people: list[str], visitors: list[str]
) -> pl.DataFrame:
    """Accepted rows of a contract table that name a person or a visitor, in contract types."""
    names = PERSON_COLUMNS[table]
    tests = [f"list_contains($people, {name})" for name in names if name.endswith("er_id")]
    if VISITOR in names:
        tests.append(f"list_contains($visitors, {VISITOR})")
    sql = held(table, " or ".join(tests)).replace("{live}", store_of(connection))
    values = {"people": people} | ({"visitors": visitors} if VISITOR in names else {})
    rows = connection.execute(sql, values).pl()
    return rows.select(pl.col(name).cast(dtype) for name, dtype in contract_table(table).dtypes.items())


def _lines(connection: duckdb.DuckDBPyConnection, lake: Lake, orders: pl.DataFrame) -> pl.DataFrame:
    """Accepted lines of orders: as they came to this generation, else as the lake has them."""
    connection.register("_orders", orders)
    came = connection.execute(
        f"select t.* from {store_of(connection)}.{TAIL} t semi join _orders using (order_id)"
    ).pl()
    connection.unregister("_orders")
    dtypes = contract_table("order_lines").dtypes
    came = came.select(pl.col(name).cast(dtype) for name, dtype in dtypes.items())
    left = orders.join(came, on="order_id", how="anti")
    built = lake.scan("order_lines").join(left.lazy(), on="order_id", how="semi").collect()
    return pl.concat([came, built])
