"""Loads one table of a source into the lake: accepted rows, quarantined rows and a report that adds up.

What lives here: the pass over the rows and the account received = accepted + quarantined. What does not:
rules on a row (`validation`), windows (`window`), versions and the way to disk (`whole_table`, `sinks`),
where files lie (`lake`). A load replaces what an earlier load of the same window wrote, so running it twice
changes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

import polars as pl

from pipelines.lake.tables import Lake
from pipelines.sources.contract import INGEST_ORDER, ContractTable, contract_table
from pipelines.sources.loading.defaults import LineNumbers
from pipelines.sources.loading.known import KnownKeys
from pipelines.sources.loading.sinks import Load, Weeks
from pipelines.sources.loading.validation import check_chunk
from pipelines.sources.loading.versions import (
    CHANGED_AT,
    FILE,
    IS_DELETED,
    ORDER,
    SOURCE_AT,
    changed_column,
    with_order,
)
from pipelines.sources.loading.whole_table import WholeTable
from pipelines.sources.loading.window import Window, home_times, own_window, within
from pipelines.sources.protocol import LINE_COLUMN, Chunk, Source, TableReading
from pipelines.sources.refused.quarantine import QuarantineWriter
from pipelines.sources.report import IngestError, IngestReport, read_report
from pipelines.sources.values.columns import file_column

__all__ = [
    "INGEST_ORDER",
    "IngestError",
    "IngestReport",
    "KnownKeys",
    "accept_frame",
    "ingest",
    "read_report",
]


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
    known = known or KnownKeys(lake, supplied)
    load = Load(
        origin=source.origin,
        as_of=as_of,
        window=own_window(contract, window),
        loaded_at=loaded_at,
        received_at_rule=source.received_at_rule,
        history_start=source.history()[0] if is_supplied else as_of,
    )
    report = _load(
        contract,
        chunks,
        lake,
        known,
        load,
        reading=source.reading(table) if is_supplied else TableReading(),
        homes=home_times(source, contract, as_of) if is_supplied and load.window is not None else None,
        complete=_complete(source, contract, known, load) if is_supplied else None,
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
    load = Load(origin, as_of, own_window(contract, window), loaded_at, "event_time", as_of)
    chunk = Chunk(frame.drop("origin", strict=False), file=origin)
    report = _load(contract, iter((chunk, *beside)), lake, known or KnownKeys(lake), load)
    report = replace(report, notes=(*notes, *report.notes))
    lake.write_report(f"ingest/{table}", report.to_json())
    return report


def _load(
    contract: ContractTable,
    chunks: Iterator[Chunk],
    lake: Lake,
    known: KnownKeys,
    load: Load,
    *,
    reading: TableReading | None = None,
    homes: pl.DataFrame | None = None,
    complete: pl.DataFrame | None = None,
) -> IngestReport:
    reading = reading or TableReading()
    quarantine = QuarantineWriter(lake, contract.name, load.name, load.loaded_at)
    parents = known.parents(contract)
    where = (contract, lake, load, quarantine, known.parent_times(contract))
    sink = (
        Weeks(*where) if contract.is_weekly else WholeTable(*where, around=known.around(contract, complete))
    )
    numbers = LineNumbers() if contract.name == "order_lines" else None
    received = 0
    origins: set[str] = set()
    remarks: Counter[str] = Counter()
    extra: dict[str, None] = {}
    for chunk in chunks:
        extra.update(dict.fromkeys(_unknown_columns(contract, chunk, reading)))
        chunk = numbers.add(chunk) if numbers is not None else chunk
        if load.window is not None:
            chunk = within(contract, chunk, load.window, homes)
        received += chunk.frame.height + chunk.refused.height
        origin = chunk.origin or load.origin
        checked = check_chunk(
            contract, chunk, origin=origin, as_of=load.as_of, parents=parents, reading=reading
        )
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
        notes=(
            *(f"{remark} ({count:,})" for remark, count in remarks.items()),
            *(numbers.notes if numbers is not None else ()),
            *written.notes,
        ),
        current=written.current,
        history=written.history,
        unchanged=written.unchanged,
        deleted=written.deleted,
        kept=written.kept,
    )


def _complete(source: Source, contract: ContractTable, known: KnownKeys, load: Load) -> pl.DataFrame | None:
    """Keys of the rows that have an acceptable row in the table which completes them; None where none must.

    The rows of that table are loaded later; here only their own rules and their other parents count.
    """
    if contract.completed_by is None or contract.completed_by not in source.tables():
        return None
    child = contract_table(contract.completed_by)
    parents = [parent for parent in known.parents(child) if parent.key.parent != contract.name]
    reading = source.reading(child.name)
    numbers = LineNumbers()
    parts = []
    for chunk in source.read(child.name):
        checked = check_chunk(
            child,
            numbers.add(chunk),
            origin=chunk.origin or load.origin,
            as_of=load.as_of,
            parents=parents,
            reading=reading,
        )
        rows = checked.accepted.select(*child.key, CHANGED_AT, IS_DELETED)
        parts.append(rows.with_columns(pl.lit(chunk.file).alias(FILE)))
    if not parts:
        return pl.DataFrame(schema={name: contract.dtypes[name] for name in contract.key})
    rows = with_order(pl.concat(parts))
    if rows[IS_DELETED].any():
        rows = rows.sort(SOURCE_AT, ORDER, nulls_last=False).unique(child.key, keep="last")
    return rows.filter(~pl.col(IS_DELETED)).select(contract.key).unique()


def _unknown_columns(contract: ContractTable, chunk: Chunk, reading: TableReading) -> list[str]:
    known = {*contract.columns, *(file_column(contract, name) for name in contract.columns)} - {"origin"}
    known |= {LINE_COLUMN, *reading.deleted_when}
    known |= {name for name in (changed_column(chunk, reading),) if name}
    return [name for name in chunk.frame.columns if name not in known]
