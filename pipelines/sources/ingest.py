"""Loads one table of a source into the lake: accepted rows, quarantined rows and a report that adds up.

What lives here: windows, keys the lake knows, and the account received = accepted + quarantined. What does
not: rules on a row (`validation`), `received_at`, repeated keys and the way to disk (`sinks`), where files
lie (`lake`). A load replaces what an earlier load of the same window wrote, so running it twice changes
nothing.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import polars as pl

from pipelines.lake import Lake
from pipelines.sources.contract import INGEST_ORDER, ContractTable, ForeignKey, contract_table
from pipelines.sources.protocol import LINE_COLUMN, Chunk, Source
from pipelines.sources.quarantine import QuarantineWriter
from pipelines.sources.sinks import Load, sink_for
from pipelines.sources.validation import check_chunk, lines_of
from pipelines.sources.values.columns import has_column, read_column, read_columns

__all__ = [
    "INGEST_ORDER",
    "IngestError",
    "IngestReport",
    "KnownKeys",
    "accept_frame",
    "ingest",
    "read_report",
]

Window = tuple[dt.date, dt.date]
"""First and last UTC day, both included."""


class IngestError(Exception):
    """The account of a load does not add up; nothing should be built on it."""


@dataclass(frozen=True)
class IngestReport:
    """The account of one load of one table.

    Attributes:
        table: Contract table.
        origin: 'observed', 'overlay', or 'both' when rows of both came in.
        received: Rows of the source that belong to this load.
        accepted: Rows now in the lake.
        quarantined: Rows now in the quarantine; received = accepted + quarantined.
        reasons: Quarantined rows by reason.
        extra_columns: Columns of the source that the contract does not know; they were set aside.
        first_time: Oldest time of the accepted rows, for tables with a time.
        last_time: Newest time of the accepted rows.
        notes: What a reader should know: choices made, tables not supplied.
    """

    table: str
    origin: str
    received: int
    accepted: int
    quarantined: int
    reasons: dict[str, int]
    extra_columns: tuple[str, ...]
    first_time: dt.datetime | None
    last_time: dt.datetime | None
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The report with times as ISO texts."""
        content = asdict(self)
        for name in ("first_time", "last_time"):
            content[name] = content[name].isoformat() if content[name] else None
        return content

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> IngestReport:
        """The report that `to_json` wrote."""
        times = {
            name: dt.datetime.fromisoformat(content[name]) if content[name] else None
            for name in ("first_time", "last_time")
        }
        lists = {name: tuple(content[name]) for name in ("extra_columns", "notes")}
        return cls(**{**content, **times, **lists})


class KnownKeys:
    """Keys that the lake holds, read once each: parents of foreign keys and times of orders.

    Args:
        lake: Where the parents were loaded.
        supplied: Tables the source supplies; a foreign key to another table is checked only when the lake has
            rows of it. None means: whatever the lake has rows of.
    """

    def __init__(self, lake: Lake, supplied: Iterable[str] | None = None) -> None:
        self._lake = lake
        self._supplied = frozenset(supplied or ())
        self._cache: dict[tuple[str, tuple[str, ...]], pl.DataFrame] = {}

    def columns(self, table: str, columns: tuple[str, ...]) -> pl.DataFrame:
        """Some columns of an accepted table."""
        if (table, columns) not in self._cache:
            self._cache[table, columns] = self._lake.read(table, columns)
        return self._cache[table, columns]

    def parents(self, table: ContractTable) -> list[tuple[ForeignKey, pl.DataFrame]]:
        """Foreign keys to other tables that can be checked, each with the keys its parent has."""
        found = []
        for key in table.foreign_keys:
            if key.parent == table.name:
                continue
            keys = self.columns(key.parent, key.parent_columns)
            if keys.height or key.parent in self._supplied or contract_table(key.parent).is_required:
                found.append((key, keys))
        return found

    def parent_times(self, table: ContractTable) -> pl.DataFrame | None:
        """Key and time of the parent that dates the rows of this table; None if they carry their own time."""
        if table.time_parent is None:
            return None
        column, parent = table.time_parent
        return self.columns(parent, (column, str(table.time_column)))

    def forget(self, table: str) -> None:
        """Drops what was read of a table, after it was written."""
        for cached in [key for key in self._cache if key[0] == table]:
            del self._cache[cached]


def ingest(
    source: Source,
    table: str,
    lake: Lake,
    *,
    as_of: dt.datetime,
    window: Window | None,
    loaded_at: dt.datetime,
    known: KnownKeys | None = None,
) -> IngestReport:
    """Loads one table of a source and saves the report under `reports/ingest/<table>.json`.

    Args:
        source: Where the rows come from.
        table: Contract table; one the source does not supply becomes empty.
        lake: Where the rows go.
        as_of: Business time of the run (UTC); later history is refused.
        window: Days to load; rows of other days are not this load's. None loads everything. Tables in one
            file are always loaded whole; weekly tables by whole weeks.
        loaded_at: When the load runs (UTC), for the quarantine and for `received_at` by load time.
        known: Lake look-ups shared between the loads of one run.

    Raises:
        SourceError: If the source cannot be read.
        LakeError: If the lake cannot be written.
        IngestError: If received differs from accepted + quarantined.
    """
    contract = contract_table(table)
    supplied = source.tables()
    is_supplied = table in supplied
    chunks = source.read(table) if is_supplied else iter(())
    first_times = {}
    if is_supplied and contract.time_parent is not None and window is not None:
        # An order outside the window is not in the lake yet, but its lines must not count as orphans.
        column, parent = contract.time_parent
        first_times = {"parent_times": _times_at_source(source, parent, column)}
    report = _load(
        contract,
        chunks,
        lake,
        known or KnownKeys(lake, supplied),
        Load(
            origin=source.origin,
            as_of=as_of,
            window=_own_window(contract, window),
            loaded_at=loaded_at,
            received_at_rule=source.received_at_rule,
            history_start=source.history()[0] if is_supplied else as_of,
        ),
        **first_times,
    )
    notes = source.notes(table) if is_supplied else (f"not supplied by {source.name}",)
    report = replace(report, notes=(*notes, *report.notes))
    lake.write_report(f"ingest/{table}", report.to_json())
    return report


def accept_frame(
    table: str,
    frame: pl.DataFrame,
    lake: Lake,
    *,
    origin: str = "overlay",
    as_of: dt.datetime,
    loaded_at: dt.datetime,
    window: Window | None = None,
    known: KnownKeys | None = None,
    notes: tuple[str, ...] = (),
    beside: Iterable[Chunk] = (),
) -> IngestReport:
    """Loads rows that were made in memory by the same rules, and saves the same report.

    Args:
        table: Contract table.
        frame: Contract columns; without `received_at` the event time is taken. For order lines and
            shipments the time comes from the order in the lake.
        lake: Where the rows go; they replace the table (or the window of it).
        origin: 'overlay' for generated rows.
        as_of: Business time of the run (UTC).
        loaded_at: When the load runs (UTC).
        window: Days that the frame replaces; None replaces everything.
        known: Lake look-ups shared between the loads of one run.
        notes: Put into the report.
        beside: Further rows of the table, each chunk with its own origin.

    Raises:
        LakeError: If the lake cannot be written.
        IngestError: If received differs from accepted + quarantined.
    """
    contract = contract_table(table)
    load = Load(origin, as_of, _own_window(contract, window), loaded_at, "event_time", as_of)
    chunk = Chunk(frame.drop("origin", strict=False), file=origin)
    report = _load(contract, iter((chunk, *beside)), lake, known or KnownKeys(lake), load)
    report = replace(report, notes=(*notes, *report.notes))
    lake.write_report(f"ingest/{table}", report.to_json())
    return report


def read_report(lake: Lake, table: str) -> IngestReport | None:
    """The report of the last load of a table, or None if there was none."""
    content = lake.read_report(f"ingest/{table}")
    return IngestReport.from_json(content) if content is not None else None


def _load(
    contract: ContractTable,
    chunks: Iterator[Chunk],
    lake: Lake,
    known: KnownKeys,
    load: Load,
    parent_times: pl.DataFrame | None = None,
) -> IngestReport:
    quarantine = QuarantineWriter(lake, contract.name, load.name, load.loaded_at)
    parents = known.parents(contract)
    sink = sink_for(contract, lake, load, quarantine, known.parent_times(contract))
    received = 0
    origins: set[str] = set()
    remarks: Counter[str] = Counter()
    extra: dict[str, None] = {}
    for chunk in chunks:
        extra.update(dict.fromkeys(_unknown_columns(contract, chunk)))
        if load.window is not None:
            chunk = _within(contract, chunk, load.window, parent_times)
        received += chunk.frame.height + chunk.refused.height
        origin = chunk.origin or load.origin
        checked = check_chunk(contract, chunk, origin=origin, as_of=load.as_of, parents=parents)
        if checked.accepted.height:
            origins.add(origin)
        remarks.update(checked.remarks)
        quarantine.add(checked.rejected)
        sink.add(checked.accepted, chunk)
    written = sink.finish()
    quarantine.close()
    known.forget(contract.name)
    if received != written.rows + quarantine.rows:
        raise IngestError(
            f"load of '{contract.name}' does not add up: received {received}, accepted {written.rows}, "
            f"quarantined {quarantine.rows}; do not use this load and report it as a defect"
        )
    return IngestReport(
        table=contract.name,
        origin="both" if len(origins) > 1 else next(iter(origins), load.origin),
        received=received,
        accepted=written.rows,
        quarantined=quarantine.rows,
        reasons=dict(sorted(quarantine.reasons.items())),
        extra_columns=tuple(sorted(extra)),
        first_time=written.first_time,
        last_time=written.last_time,
        notes=(*(f"{remark} ({count:,})" for remark, count in remarks.items()), *written.notes),
    )


def _unknown_columns(contract: ContractTable, chunk: Chunk) -> list[str]:
    known = {*contract.columns, LINE_COLUMN} - {"origin"}
    return [name for name in chunk.frame.columns if name not in known]


def _own_window(contract: ContractTable, window: Window | None) -> Window | None:
    """The window as this table can replace it: whole weeks for weekly tables, none for tables in one file."""
    if window is None or not contract.is_partitioned or contract.is_book:
        return None
    first, last = window
    if contract.is_weekly:
        return first - dt.timedelta(days=first.weekday()), last + dt.timedelta(days=6 - last.weekday())
    return window


def _within(
    contract: ContractTable, chunk: Chunk, window: Window, parent_times: pl.DataFrame | None
) -> Chunk:
    """The rows of a chunk inside a window; a row whose time cannot be told stays, to be quarantined."""
    time_column = str(contract.time_column)
    frame = chunk.frame.with_columns(lines_of(chunk).alias(LINE_COLUMN))
    if contract.time_parent is not None and parent_times is not None:
        key = contract.time_parent[0]
        if not has_column(chunk, contract, key):
            return chunk
        keys = read_column(chunk, contract, key).values.alias(key)
        times = keys.to_frame().join(parent_times, on=key, how="left", maintain_order="left")[time_column]
    elif contract.time_parent is None and has_column(chunk, contract, time_column):
        times = read_column(chunk, contract, time_column).values
    else:
        return chunk
    inside = times.dt.date().is_between(*window).fill_null(True)
    return replace(chunk, frame=frame.filter(inside))


def _times_at_source(source: Source, parent: str, key: str) -> pl.DataFrame:
    """Key and time of every parent row at the source that can be read, the first of each key."""
    contract = contract_table(parent)
    time_column = str(contract.time_column)
    rows = read_columns(source.read(parent), contract, (key, time_column))
    return rows.drop_nulls().unique(key, keep="first", maintain_order=True)
