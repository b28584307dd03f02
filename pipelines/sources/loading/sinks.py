"""Where checked rows go: what needs the whole load (versions, keys into the same table), then the lake.

Most tables fit in memory and are written once at the end: the newest version of a row as accepted, older ones
into the history. Weekly tables (promotions) can be many times larger: they are written week by week, directly
when the source promises whole weeks, else through a staging folder; their rows have no versions.
"""

from __future__ import annotations

import datetime as dt
import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipelines.lake.tables import NO_ROWS_DAY, Lake, atomic_path
from pipelines.sources.contract import ContractTable
from pipelines.sources.loading.validation import (
    DUPLICATE,
    DUPLICATE_ELSEWHERE,
    ROW,
    Rejections,
    key_texts,
    repeated,
)
from pipelines.sources.loading.versions import CHANGED_AT, FILE, IS_DELETED
from pipelines.sources.protocol import LINE_COLUMN, Chunk
from pipelines.sources.refused.quarantine import QuarantineWriter

TIME = "_time"
"""Time that dates a row, its own or that of its parent."""
_WEEK = "_week"
_EVENT_TIMES = ("valid_from", "registered_at", "starts_at", "joined_on")
"""Where tables without a partition time say when a row happened; the first that a table has."""


@dataclass(frozen=True)
class Load:
    """What holds for one load.

    Attributes:
        origin: 'observed' or 'overlay'.
        as_of: Business time of the run (UTC).
        window: Days it replaces; None for everything.
        loaded_at: When it runs (UTC).
        received_at_rule: 'event_time' or 'load_time', for rows without `received_at`.
        history_start: `received_at` under 'event_time' of rows that say nothing of time, such as products.
    """

    origin: str
    as_of: dt.datetime
    window: tuple[dt.date, dt.date] | None
    loaded_at: dt.datetime
    received_at_rule: str
    history_start: dt.datetime

    @property
    def name(self) -> str | None:
        """Name of a windowed load; None for a load of everything."""
        return f"{self.window[0]}-{self.window[1]}" if self.window else None


@dataclass(frozen=True)
class Written:
    """What a load wrote.

    Attributes:
        current: Rows that are accepted now.
        history: Older versions and deletions that this load brought.
        unchanged: Rows that repeat a version that another file brought.
        deleted: Rows whose newest version says that they are gone; they are in the history.
        kept: Versions in the history that an earlier load brought and this source no longer has.
        first_time: Oldest time of the current rows.
        last_time: Newest time of the current rows.
        notes: Choices made.
    """

    current: int
    first_time: dt.datetime | None
    last_time: dt.datetime | None
    notes: tuple[str, ...] = ()
    history: int = 0
    unchanged: int = 0
    deleted: int = 0
    kept: int = 0

    @property
    def rows(self) -> int:
        """Rows received that were accepted."""
        return self.current + self.history + self.unchanged


class Sink(ABC):
    """Takes the checked rows of a load and writes them; shared steps of both kinds."""

    def __init__(
        self,
        contract: ContractTable,
        lake: Lake,
        load: Load,
        quarantine: QuarantineWriter,
        parent_times: pl.DataFrame | None,
    ) -> None:
        self.contract, self.lake, self.load = contract, lake, load
        self.quarantine, self.parent_times = quarantine, parent_times
        self._notes: dict[str, None] = {}

    @abstractmethod
    def add(self, rows: pl.DataFrame, chunk: Chunk) -> None:
        """Takes the rows of one chunk that have nothing against them."""

    @abstractmethod
    def finish(self) -> Written:
        """Writes everything and says what was written."""

    def reject(self, rows: pl.DataFrame, mask: pl.Series, column: str, reason: str) -> pl.DataFrame:
        """Quarantines the marked rows and returns the others."""
        if not mask.any():
            return rows
        found = Rejections()
        marked = rows.filter(mask)
        found.add(pl.int_range(0, marked.height, eager=True, dtype=pl.UInt32), column, reason)
        raw = marked.select(*(name for name in self.contract.columns if name not in ("origin",)))
        keys = key_texts(self.contract, marked)
        self.quarantine.add(found.to_quarantine(raw, marked[FILE], marked[LINE_COLUMN], keys))
        return rows.filter(~mask)

    def timed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows with the time that dates them (`_time`)."""
        contract = self.contract
        if contract.time_parent is not None and self.parent_times is not None:
            column = contract.time_parent[0]
            times = self.parent_times.rename({str(contract.time_column): TIME})
            return rows.join(times, on=column, how="left", maintain_order="left")
        own = contract.time_column or next((name for name in _EVENT_TIMES if name in rows.columns), None)
        time = pl.col(own).cast(pl.Datetime("us")) if own == "joined_on" else pl.col(own or "received_at")
        utc = time.dt.replace_time_zone("UTC") if own == "joined_on" else time
        return rows.with_columns(utc.alias(TIME))

    def note_received_at(self) -> None:
        """Notes that the source does not say when its rows were received."""
        rule = self.load.received_at_rule.replace("_", " ")
        self._notes[f"received_at was not given: {rule} taken"] = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Choices made on the way."""
        return tuple(self._notes)


class Weeks(Sink):
    """Writes a weekly table without holding more than a chunk or a week of it."""

    _STAGED_GROUP = 16_384

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._staging: Path = self.lake.root / "staging" / self.contract.name
        shutil.rmtree(self._staging, ignore_errors=True)
        self._hashes: list[pl.Series] = []
        self._staged_rows = 0
        self._weeks: set[dt.date] = set()
        self._rows = 0
        self._times: list[dt.datetime] = []

    def add(self, rows: pl.DataFrame, chunk: Chunk) -> None:
        """Takes the rows of one chunk that have nothing against them."""
        if not rows.height:
            return
        week = pl.col(str(self.contract.time_column)).dt.truncate("1w").dt.date().alias(_WEEK)
        rows = rows.drop(ROW, CHANGED_AT, IS_DELETED).with_columns(pl.lit(chunk.file).alias(FILE), week)
        if chunk.is_whole_partition:
            rows = self._reject_elsewhere(self._reject_repeated(rows))
            for (start,), part in rows.partition_by(_WEEK, as_dict=True).items():
                self._write_week(start, part)
            return
        self._hashes.append(rows.select(pl.struct(self.contract.key).hash(0).alias("hash"))["hash"])
        order = pl.int_range(self._staged_rows, self._staged_rows + rows.height, eager=True).alias("_order")
        self._staged_rows += rows.height
        staged = rows.with_columns(order).sort(_WEEK, "_order")
        with atomic_path(self._staging / f"{len(self._hashes):06d}.parquet") as path:
            staged.write_parquet(path, compression="zstd", row_group_size=self._STAGED_GROUP)

    def finish(self) -> Written:
        """Writes everything and says what was written."""
        if self._hashes:
            again = (~pl.concat(self._hashes).is_first_distinct()).arg_true().cast(pl.Int64).implode()
            staged = pl.scan_parquet(self._staging / "*.parquet")
            key = self.contract.key
            for start in staged.select(pl.col(_WEEK).unique().sort()).collect()[_WEEK]:
                rows = staged.filter(pl.col(_WEEK) == start).collect().sort("_order")
                marks = rows["_order"].is_in(again)
                rows = self.reject(rows, marks, key[0], DUPLICATE.format(key=", ".join(key)))
                self._write_week(start, self._reject_elsewhere(rows))
            shutil.rmtree(self._staging)
        first, last = self.load.window or (NO_ROWS_DAY, dt.date.max)
        stale = [day for day in self.lake.days(self.contract.name) if first <= day <= last]
        self.lake.remove_weeks(self.contract.name, [day for day in stale if day not in self._weeks])
        times = self._times
        return Written(self._rows, min(times, default=None), max(times, default=None), self.notes)

    def _reject_repeated(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows whose key no earlier row has."""
        key = self.contract.key
        return self.reject(rows, repeated(rows, key), key[0], DUPLICATE.format(key=", ".join(key)))

    def _reject_elsewhere(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows whose key no accepted row outside the window has."""
        if self.load.window is None:
            return rows
        key = self.contract.key
        other = self.lake.scan_other_days(self.contract.name, *self.load.window).select(key)
        taken = rows.lazy().select(key).unique().join(other, on=key, how="semi").collect()
        if not taken.height:
            return rows
        mask = rows.select(key).join(
            taken.with_columns(_taken=True), on=key, how="left", maintain_order="left"
        )
        marks = mask["_taken"].fill_null(False)
        return self.reject(rows, marks, key[0], DUPLICATE_ELSEWHERE.format(key=", ".join(key)))

    def _complete(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows with `_time` and with `received_at` filled."""
        rows, load = self.timed(rows), self.load
        if not rows["received_at"].null_count():
            return rows
        self.note_received_at()
        if load.received_at_rule == "event_time":
            # What is planned for later was known at the latest at the time of the run.
            fill = pl.min_horizontal(pl.col(TIME).fill_null(load.history_start), pl.lit(load.as_of))
            return rows.with_columns(pl.col("received_at").fill_null(fill.cast(pl.Datetime("us", "UTC"))))
        before = (
            self.lake.scan(self.contract.name)
            .select(*self.contract.key, pl.col("received_at").alias("_before"))
            .join(rows.lazy().select(self.contract.key), on=self.contract.key, how="semi")
            .collect()
        )
        # A row keeps the time at which it was first received, so that loading it again changes nothing.
        rows = rows.join(before, on=self.contract.key, how="left", maintain_order="left")
        now = pl.lit(load.loaded_at).cast(pl.Datetime("us", "UTC"))
        return rows.with_columns(pl.coalesce("received_at", "_before", now).alias("received_at")).drop(
            "_before"
        )

    def _write_week(self, start: dt.date, rows: pl.DataFrame) -> None:
        if not rows.height:
            return
        rows = self._complete(rows)
        self.lake.replace_week_file(self.contract.name, rows, start)
        self._weeks.add(start)
        self._rows += rows.height
        self._times += [rows[TIME].min(), rows[TIME].max()]  # type: ignore[list-item]
