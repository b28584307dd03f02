"""Which of the rows that came are let in: by the rules of the nightly load, of what the live store knows.

What lives here: what a load must know of the store, and what becomes of rows that it does not let in. The
rules themselves are those of `sources.loading`, run by its own `ingest` over a slice. Nothing vanishes: a row
stands in the facts or waits.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import duckdb
import polars as pl

from pipelines.live import tables, waiting
from pipelines.live.accepted import Accepted
from pipelines.live.cuts import HELD, held
from pipelines.live.known import StoreKeys, names_in
from pipelines.live.slice_lake import SliceLake
from pipelines.sources.contract import INGEST_ORDER, contract_table, empty
from pipelines.sources.loading.ingest import KnownKeys, ingest
from pipelines.sources.loading.validation import key_texts
from pipelines.sources.protocol import Chunk, TableReading
from pipelines.sources.recorded.rows import DERIVED, RecordedRows, consumers_of, happened_at
from pipelines.sources.recorded.streams import Stream

DERIVED_KEY = "consumer_id"

_INSTANT = pl.Datetime("us", "UTC")
_FROM_FIRST_ORDER = ("registered_at", "received_at")
"""Times of a consumer of whom nothing but an order is known."""


@dataclass(frozen=True)
class Intake:
    """What became of the rows that came.

    Attributes:
        accepted: For `facts.apply`.
        received: Rows that came or waited and were tried, by table.
        waiting: Rows that wait now, those of earlier ticks included.
        reasons: Why rows that were tried are not in the facts, by table, with how many.
    """

    accepted: Accepted = field(default_factory=Accepted)
    received: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    reasons: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def take_in(
    connection: duckdb.DuckDBPyConnection, rows: Mapping[str, pl.DataFrame], *, as_of: dt.datetime
) -> Intake:
    """Judge rows, and keep those that are not let in for the next tick.

    Args:
        connection: The live store, in the tick's transaction.
        rows: By contract table, in contract types; of each key the newest version alone.
        as_of: Business time of the tick (UTC); rows of a later time wait.

    Returns:
        What is let in and what waits. Without rows, and with none that waits and is due, nothing is done.
    """
    tables.make(connection)
    came = {table: waiting.complete(table, frame) for table, frame in rows.items() if frame.height}
    again = waiting.due(connection, set(came), as_of)
    tried = {
        table: _newest(table, [frames[table] for frames in (again, came) if table in frames])
        for table in INGEST_ORDER
        if table in came or table in again
    }
    if not tried:
        return Intake(waiting=waiting.count(connection))
    slice_ = _Slice(connection, tried, as_of)
    lake = SliceLake()
    gone: dict[str, pl.DataFrame] = {}
    keys: dict[str, pl.DataFrame] = {}
    for table in INGEST_ORDER:
        orphans = slice_.orphans(table, gone)
        if orphans.height:
            tried[table] = _newest(table, [orphans, *([tried[table]] if table in tried else [])])
        if table not in tried and not (table == DERIVED and slice_.derived.height):
            continue
        lake.know(slice_.known(table))
        known = KnownKeys(lake, slice_.supplied)
        ingest(slice_, table, lake, as_of=as_of, window=None, loaded_at=as_of, known=known)
        key = contract_table(table).key
        keys[table] = pl.concat(slice_.keys_of(table)).unique()
        gone[table] = keys[table].join(lake.accepted[table], on=key, how="anti")
    refused = [_refused(table, tried[table], slice_, lake, as_of) for table in tried]
    not_in = pl.concat([waiting.none_waiting(), *refused])
    waiting.replace(connection, {table: keys[table] for table in tried}, not_in, as_of)
    reasons: dict[str, Counter[str]] = {}
    for table, reason in not_in.select("table_name", "reason").iter_rows():
        reasons.setdefault(table, Counter())[reason] += 1
    return Intake(
        Accepted(keys, dict(lake.accepted), dict(lake.history)),
        {table: frame.height for table, frame in tried.items()},
        waiting.count(connection),
        {table: dict(counts) for table, counts in reasons.items()},
    )


class _Tried:
    """The rows that are tried, as recordings."""

    streams = tuple(Stream(table, contract_table(table).key, "") for table in INGEST_ORDER)

    def __init__(self, rows: Mapping[str, pl.DataFrame]) -> None:
        self._rows = rows

    def read(self, table: str) -> pl.DataFrame:
        return self._rows.get(table, empty(table))


class _Slice:
    """The rows that are tried as a source, and what the live store knows that they name."""

    name = "the operational database"
    origin = "observed"
    received_at_rule = "event_time"

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, tried: Mapping[str, pl.DataFrame], as_of: dt.datetime
    ) -> None:
        self._keys = StoreKeys(connection)
        self._tried = tried
        self.supplied = self._keys.supplied()
        self._as_of = as_of
        self.recorded = RecordedRows(_Tried(tried))
        self.derived, self._their_orders = self._consumers_without_feed()

    # The source

    def tables(self) -> tuple[str, ...]:
        """Every table: what is not there did not come."""
        return INGEST_ORDER

    def read(self, table: str) -> Iterator[Chunk]:
        """The rows that are tried."""
        if table == DERIVED and self._their_orders.height:
            yield consumers_of(self._their_orders)
        yield from self.recorded.chunks(table, self._as_of)

    def reading(self, table: str) -> TableReading:
        """Nothing is said of the rows."""
        return TableReading()

    def notes(self, table: str) -> tuple[str, ...]:
        """None."""
        return ()

    def fingerprint(self) -> str:
        """None: the rows come once."""
        return ""

    def history(self) -> tuple[dt.datetime, dt.datetime]:
        """The moment of the tick."""
        return self._as_of, self._as_of

    def as_of(self) -> dt.datetime:
        """The moment of the tick."""
        return self._as_of

    # What is known

    def known(self, table: str) -> dict[str, pl.DataFrame]:
        """Keys, and times of orders, that the store has of what a table's rows name; none of rows tried."""
        contract = contract_table(table)
        frames = [(contract, self._tried.get(table, empty(table)))]
        if table == DERIVED:
            frames.append((contract, self._new_consumers()))
        # Whether an order has a line is asked before the lines are loaded, by what its lines name.
        if contract.completed_by is not None and contract.completed_by in self._tried:
            frames.append((contract_table(contract.completed_by), self._tried[contract.completed_by]))
        tried = {**self._tried, DERIVED: pl.concat(self.keys_of(DERIVED))}
        return self._keys.of([names_in(of, frame) for of, frame in frames], tried)

    def keys_of(self, table: str) -> list[pl.DataFrame]:
        """Keys of the rows of a table that are judged, those worked out from orders included."""
        tried = [self._tried[table].select(contract_table(table).key)] if table in self._tried else []
        return [self.derived, *tried] if table == DERIVED else tried

    def orphans(self, table: str, gone: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """Rows of the store that name rows which stood and are not let in any more: they are judged anew."""
        if table not in HELD:
            return empty(table)
        found = [empty(table)]
        for key in contract_table(table).foreign_keys:
            parents = gone.get(key.parent)
            if parents is None or not parents.height or key.parent == table:
                continue
            theirs = dict(zip(key.parent_columns, key.columns, strict=True))
            wanted = parents.select(key.parent_columns).rename(theirs)
            using = ", ".join(wanted.columns)
            rows = self._keys.select(
                f"select h.* from ({held(table, 'true')}) h semi join _wanted using ({using})", wanted
            )
            found.append(_typed(table, rows))
        return _newest(table, found)

    def _consumers_without_feed(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Consumers of the orders who are in no feed, and their orders: those that came and those that stand.

        Such a consumer has the row that the first order gave, so that an earlier order gives another one.
        """
        nobody = pl.DataFrame(schema={"consumer_id": pl.String})
        if "orders" not in self._tried:
            return nobody, empty("orders")
        orders = self.recorded.rows("orders", self._as_of)
        came = self._tried["orders"].select("order_id")
        before = self._keys.select(
            "select consumer_id from {live}.core.fct_orders semi join _wanted using (order_id)", came
        )
        asked = pl.concat([before, orders.select("consumer_id")]).drop_nulls().unique()
        asked = asked.join(self._tried.get(DERIVED, nobody), on="consumer_id", how="anti")
        known = self._keys.select(
            f"select h.*, o.first_at from ({held('consumers', 'true')}) h"
            " semi join _wanted using (consumer_id)"
            " left join (select consumer_id, min(placed_at) as first_at from {live}.core.fct_orders"
            " semi join _wanted using (consumer_id) group by all) o using (consumer_id)",
            asked,
        )
        said = set(known.columns) - {DERIVED_KEY, "merchant_id", "origin", "first_at", *_FROM_FIRST_ORDER}
        is_derived = pl.all_horizontal(
            *((pl.col(name) == pl.col("first_at")).fill_null(False) for name in _FROM_FIRST_ORDER),
            # Consents may have been stated since.
            *(pl.col(name).is_null() for name in said if known.schema[name] != pl.Boolean()),
        )
        in_feed = known.filter(~is_derived).select(DERIVED_KEY)
        derived = asked.join(in_feed, on="consumer_id", how="anti")
        if not derived.height or DERIVED not in self.supplied:
            return nobody, empty("orders")
        standing = self._keys.select(
            f"select h.* from ({held('orders', 'true')}) h semi join _wanted using (consumer_id)", derived
        ).join(came, on="order_id", how="anti")
        mine = orders.join(derived, on="consumer_id", how="semi")
        columns = ["order_id", "consumer_id", "merchant_id", "placed_at"]
        return derived, pl.concat([mine.select(columns), _typed("orders", standing).select(columns)])

    def _new_consumers(self) -> pl.DataFrame:
        return consumers_of(self._their_orders).frame if self._their_orders.height else empty(DERIVED)


def _refused(
    table: str, tried: pl.DataFrame, slice_: _Slice, lake: SliceLake, as_of: dt.datetime
) -> pl.DataFrame:
    """Rows that were tried and are not let in, as they wait."""
    contract = contract_table(table)
    judged = slice_.recorded.rows(table, as_of)
    late = tried.join(judged, on=contract.key, how="anti", maintain_order="left")
    newest = pl.max_horizontal(pl.lit(as_of).cast(_INSTANT), happened_at(table, contract.columns))
    until = late.with_columns(newest.alias("until"))["until"]
    # Else it waits for its order.
    until = until.set(until <= as_of, None)
    early = waiting.waiting_rows(
        table,
        late,
        pl.Series([None] * late.height, dtype=pl.String),
        pl.Series([waiting.NOT_YET] * late.height, dtype=pl.String),
        until,
    )
    quarantined = lake.read_quarantine(table)
    if not quarantined.height:
        return early
    told = quarantined.select(_as_text(quarantined["key"]), "column", "reason").unique("_key", keep="first")
    keyed = judged.with_columns(_as_text(key_texts(contract, judged)))
    rows = keyed.join(told, on="_key", how="inner", maintain_order="left")
    nothing = pl.Series([None], dtype=_INSTANT).new_from_index(0, rows.height)
    own = _typed(table, rows)
    return pl.concat([early, waiting.waiting_rows(table, own, rows["column"], rows["reason"], nothing)])


def _as_text(key: pl.Series) -> pl.Series:
    return key.list.join("\0").alias("_key")


def _newest(table: str, parts: list[pl.DataFrame]) -> pl.DataFrame:
    """One row a key; the last part wins."""
    return pl.concat(parts).unique(contract_table(table).key, keep="last", maintain_order=True)


def _typed(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(pl.col(name).cast(dtype) for name, dtype in contract_table(table).dtypes.items())
