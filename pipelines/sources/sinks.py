"""Where checked rows go: what needs the whole load (repeated keys, keys into the same table), then the lake.

Most tables fit in memory and are written once at the end. Weekly tables (promotions) can be many times
larger: they are written week by week, directly when the source promises whole weeks, else through a staging
folder.
"""

from __future__ import annotations

import datetime as dt
import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipelines.lake import NO_ROWS_DAY, Lake, atomic_path
from pipelines.sources.contract import ContractTable
from pipelines.sources.protocol import LINE_COLUMN, Chunk
from pipelines.sources.quarantine import QuarantineWriter
from pipelines.sources.validation import DUPLICATE, DUPLICATE_ELSEWHERE, ROW, Rejections, repeated

_TIME = "_time"
_FILE = "_file"
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
    """What a load wrote."""

    rows: int
    first_time: dt.datetime | None
    last_time: dt.datetime | None
    notes: tuple[str, ...] = ()


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
        self.quarantine.add(found.to_quarantine(raw, marked[_FILE], marked[LINE_COLUMN]))
        return rows.filter(~mask)

    def reject_repeated(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows whose key no earlier row has."""
        key = self.contract.key
        return self.reject(rows, repeated(rows, key), key[0], DUPLICATE.format(key=", ".join(key)))

    def reject_elsewhere(self, rows: pl.DataFrame) -> pl.DataFrame:
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

    def complete(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows with the time that dates them (`_time`) and with `received_at` filled."""
        contract, load = self.contract, self.load
        if contract.time_parent is not None and self.parent_times is not None:
            column = contract.time_parent[0]
            times = self.parent_times.rename({str(contract.time_column): _TIME})
            rows = rows.join(times, on=column, how="left", maintain_order="left")
        else:
            own = contract.time_column or next((name for name in _EVENT_TIMES if name in rows.columns), None)
            time = pl.col(own).cast(pl.Datetime("us")) if own == "joined_on" else pl.col(own or "received_at")
            utc = time.dt.replace_time_zone("UTC") if own == "joined_on" else time
            rows = rows.with_columns(utc.alias(_TIME))
        open_rows = rows["received_at"].null_count()
        if not open_rows:
            return rows
        self._notes[f"received_at was not given: {load.received_at_rule.replace('_', ' ')} taken"] = None
        if load.received_at_rule == "event_time":
            # What is planned for later was known at the latest at the time of the run.
            fill = pl.min_horizontal(pl.col(_TIME).fill_null(load.history_start), pl.lit(load.as_of))
            return rows.with_columns(pl.col("received_at").fill_null(fill.cast(pl.Datetime("us", "UTC"))))
        before = (
            self.lake.scan(contract.name)
            .select(*contract.key, pl.col("received_at").alias("_before"))
            .join(rows.lazy().select(contract.key), on=contract.key, how="semi")
            .collect()
        )
        # A row keeps the time at which it was first received, so that loading it again changes nothing.
        rows = rows.join(before, on=contract.key, how="left", maintain_order="left")
        now = pl.lit(load.loaded_at).cast(pl.Datetime("us", "UTC"))
        return rows.with_columns(pl.coalesce("received_at", "_before", now).alias("received_at")).drop(
            "_before"
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Choices made on the way."""
        return tuple(self._notes)


class WholeTable(Sink):
    """Keeps a load in memory and writes it at the end."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._parts: list[pl.DataFrame] = []

    def add(self, rows: pl.DataFrame, chunk: Chunk) -> None:
        """Takes the rows of one chunk that have nothing against them."""
        if rows.height:
            self._parts.append(
                rows.drop(ROW).with_columns(pl.lit(chunk.file).cast(pl.Categorical).alias(_FILE))
            )

    def finish(self) -> Written:
        """Writes everything and says what was written."""
        contract = self.contract
        if not self._parts:
            nothing = pl.DataFrame(schema={**contract.dtypes, _TIME: pl.Datetime("us", "UTC")})
            self._write(nothing)
            return Written(0, None, None)
        rows = pl.concat(self._parts)
        self._parts.clear()
        rows = self._reject_orphans(self.reject_elsewhere(self.reject_repeated(rows)))
        rows = self.complete(rows)
        self._write(rows)
        times = rows[_TIME] if contract.is_partitioned and rows.height else None
        return Written(
            rows.height,
            times.min() if times is not None else None,  # type: ignore[arg-type]
            times.max() if times is not None else None,  # type: ignore[arg-type]
            self.notes,
        )

    def _reject_orphans(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows whose key into their own table exists; refusing one may orphan others, hence the loop."""
        for key in self.contract.foreign_keys:
            if key.parent != self.contract.name:
                continue
            (column,), (parent_column,) = key.columns, key.parent_columns
            while True:
                orphan = rows[column].is_not_null() & ~rows[column].is_in(
                    rows[parent_column].implode()
                ).fill_null(True)
                if not orphan.any():
                    break
                rows = self.reject(rows, orphan, column, f"unknown key: not in {key.parent}")
        return rows

    def _write(self, rows: pl.DataFrame) -> None:
        contract = self.contract
        if not contract.is_partitioned:
            self.lake.replace(contract.name, rows)
            return
        first, last = self.load.window or (None, None)
        self.lake.replace_days(contract.name, rows, _TIME, first, last)


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
        rows = rows.drop(ROW).with_columns(pl.lit(chunk.file).alias(_FILE), week)
        if chunk.is_whole_partition:
            rows = self.reject_elsewhere(self.reject_repeated(rows))
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
                self._write_week(start, self.reject_elsewhere(rows))
            shutil.rmtree(self._staging)
        first, last = self.load.window or (NO_ROWS_DAY, dt.date.max)
        stale = [day for day in self.lake.days(self.contract.name) if first <= day <= last]
        self.lake.remove_weeks(self.contract.name, [day for day in stale if day not in self._weeks])
        times = self._times
        return Written(self._rows, min(times, default=None), max(times, default=None), self.notes)

    def _write_week(self, start: dt.date, rows: pl.DataFrame) -> None:
        if not rows.height:
            return
        rows = self.complete(rows)
        self.lake.replace_week_file(self.contract.name, rows, start)
        self._weeks.add(start)
        self._rows += rows.height
        self._times += [rows[_TIME].min(), rows[_TIME].max()]  # type: ignore[list-item]


def sink_for(
    contract: ContractTable,
    lake: Lake,
    load: Load,
    quarantine: QuarantineWriter,
    parent_times: pl.DataFrame | None,
) -> Sink:
    """The sink that suits the table's size and partitions."""
    kind = Weeks if contract.is_weekly else WholeTable
    return kind(contract, lake, load, quarantine, parent_times)
