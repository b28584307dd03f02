"""Rows of a source together with those that the platform itself recorded: one feed to the loader.

What lives here: how recorded rows stand beside a source's own, and the consumers that only they name. What
does not: how they came into the lake (`operational`), rules on rows (`validation`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Protocol

import polars as pl

from pipelines.erasure.intake import ErasureFilter
from pipelines.erasure.tombstones import Tombstones
from pipelines.sources.contract import INGEST_ORDER, contract_table
from pipelines.sources.protocol import Chunk, Source, TableReading
from pipelines.sources.recorded.streams import Stream
from pipelines.sources.values.columns import read_column

DERIVED = "consumers"
"""The one table that recorded orders extend: whoever ordered first through the API is in no feed yet."""

_FILE = "the operational database"
_INSTANT = pl.Datetime("us", "UTC")
_RIGHT_AFTER = dt.timedelta(microseconds=1)
"""The smallest step of business time."""


class Recordings(Protocol):
    """Newest versions of recorded rows, wherever they are kept."""

    @property
    def streams(self) -> Sequence[Stream]:
        """What is recorded, one a table."""
        ...

    def read(self, table: str) -> pl.DataFrame:
        """Those of a table, with `origin`."""
        ...


class RecordedRows:
    """Recorded rows of contract tables as chunks.

    A row of a time after a run's business time was recorded while the run was on its way: it waits, with all
    that hangs on its order, for the next run.

    Args:
        extractions: Where they lie in the lake.
    """

    def __init__(self, *extractions: Recordings) -> None:
        self._by_table = {
            stream.table: extraction for extraction in extractions for stream in extraction.streams
        }

    @property
    def tables(self) -> tuple[str, ...]:
        """Tables that may have recorded rows, in load order."""
        return tuple(name for name in INGEST_ORDER if name in self._by_table)

    def rows(self, table: str, as_of: dt.datetime) -> pl.DataFrame:
        """The newest version of the recorded rows of a table that do not wait.

        Args:
            table: Contract table.
            as_of: Business time of the run (UTC).
        """
        contract = contract_table(table)
        if table not in self._by_table:
            return pl.DataFrame(schema=dict(contract.dtypes))
        rows = self._by_table[table].read(table)
        rows = _happened(table, rows, as_of)
        if "orders" in {key.parent for key in contract.foreign_keys} or table == "after_sales":
            orders = self._by_table["orders"].read("orders")
            happened = _happened("orders", orders, as_of)
            waiting = orders.join(happened, on="order_id", how="anti", maintain_order="left")
            rows = rows.join(waiting, on="order_id", how="anti", maintain_order="left")
        return rows

    def next_at(self, table: str, as_of: dt.datetime) -> dt.datetime | None:
        """The business time at which the first of the waiting rows of a table counts; None without any.

        Args:
            table: Contract table.
            as_of: Business time of the run (UTC).
        """
        if table not in self._by_table:
            return None
        rows = self._by_table[table].read(table)
        times = rows.select(happened_at(table, rows.columns).alias("at"))["at"]
        first = times.filter(times > as_of).min()
        return first if isinstance(first, dt.datetime) else None

    def chunks(self, table: str, as_of: dt.datetime) -> list[Chunk]:
        """The same, one chunk an origin."""
        parts = self.rows(table, as_of).partition_by("origin", as_dict=True, maintain_order=True)
        return [
            Chunk(part.drop("origin"), file=_FILE, origin=str(origin)) for (origin,), part in parts.items()
        ]

    def note(self, table: str, as_of: dt.datetime) -> tuple[str, ...]:
        """How many rows of a table the platform recorded, for the report of a load; empty when none."""
        rows = self.rows(table, as_of).height if table in self._by_table else 0
        return (f"{rows:,} rows recorded by the platform",) if rows else ()

    def unknown_consumers(self, known: pl.Series, as_of: dt.datetime) -> Chunk | None:
        """Consumers of recorded orders that a feed does not know: minimal rows, no consent given.

        Args:
            known: Consumer ids of the feed.
            as_of: Business time of the run (UTC).
        """
        orders = self.rows("orders", as_of).filter(~pl.col("consumer_id").is_in(known.implode()))
        return consumers_of(orders) if orders.height else None


def consumers_of(orders: pl.DataFrame) -> Chunk:
    """Minimal rows of the consumers of recorded orders: known since the first of them, no consent given."""
    frame = (
        orders.sort("placed_at", "order_id")
        .group_by("consumer_id", maintain_order=True)
        .agg(pl.col("merchant_id").first(), pl.col("placed_at").first().alias("registered_at"))
        .with_columns(
            received_at=pl.col("registered_at"),
            consent_marketing=pl.lit(False),
            consent_profiling=pl.lit(False),
        )
    )
    return Chunk(frame, file=_FILE, origin="observed")


def happened_at(table: str, columns: Sequence[str]) -> pl.Expr:
    """The business time from which a row of a table counts; null where none of its times is history.

    Args:
        table: Contract table.
        columns: Columns that the rows have.
    """
    contract = contract_table(table)
    times = [pl.col(name).cast(_INSTANT) for name in contract.past_columns if name in columns]
    newest = pl.max_horizontal(pl.lit(None, _INSTANT), *times)
    return newest + _RIGHT_AFTER if contract.is_own_output else newest


def _happened(table: str, rows: pl.DataFrame, as_of: dt.datetime) -> pl.DataFrame:
    """The rows of which every time that is history has come by a run's business time."""
    if not set(contract_table(table).past_columns) & set(rows.columns):
        return rows  # a condition without a column is no mask of a large frame
    return rows.filter((happened_at(table, rows.columns) <= as_of).fill_null(True))


class WithRecorded:
    """A source whose tables also hold what the platform recorded.

    Args:
        source: The feed.
        recorded: The recorded rows.
        as_of: Business time of the run (UTC).
        erased: Keeps erased persons out of both.
    """

    def __init__(
        self, source: Source, recorded: RecordedRows, as_of: dt.datetime, erased: ErasureFilter | None = None
    ) -> None:
        self._source = source
        self._erased = erased or ErasureFilter(Tombstones())
        self._recorded = recorded
        self._as_of = as_of
        self.name = source.name
        self.origin = source.origin
        self.received_at_rule = source.received_at_rule

    def tables(self) -> tuple[str, ...]:
        """Tables of the feed, and those with recorded rows."""
        own = set(self._source.tables())
        return tuple(name for name in INGEST_ORDER if name in own or self._recorded.note(name, self._as_of))

    def read(self, table: str) -> Iterator[Chunk]:
        """Rows of the feed, then recorded ones."""
        ids = [pl.Series("consumer_id", [], dtype=pl.String)]
        self._erased.begin(table)
        if table in self._source.tables():
            for chunk in self._erased.chunks(table, self._source.read(table), self._source.reading(table)):
                if table == DERIVED and "consumer_id" in chunk.frame.columns:
                    ids.append(read_column(chunk, contract_table(table), "consumer_id").values)
                yield chunk
        if table == DERIVED:
            new = self._recorded.unknown_consumers(pl.concat(ids), self._as_of)
            if new is not None:
                yield from self._erased.chunks(table, [new])
        yield from self._erased.chunks(table, self._recorded.chunks(table, self._as_of))

    def reading(self, table: str) -> TableReading:
        """What the feed's owner says about a table."""
        return self._source.reading(table)

    def notes(self, table: str) -> tuple[str, ...]:
        """Notes of the feed, and how many rows were recorded."""
        notes = self._source.notes(table) if table in self._source.tables() else ()
        return (*notes, *self._recorded.note(table, self._as_of), *self._erased.notes(table))

    def fingerprint(self) -> str:
        """Of the feed alone: what was recorded has a version of its own."""
        return self._source.fingerprint()

    def history(self) -> tuple[dt.datetime, dt.datetime]:
        """Times of the oldest and the newest order of the feed."""
        return self._source.history()

    def as_of(self) -> dt.datetime:
        """Time of the newest order of the feed."""
        return self._source.as_of()
