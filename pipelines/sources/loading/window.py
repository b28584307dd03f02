"""Which rows belong to a load of some days: a row, with all its versions, where its newest version lies."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import polars as pl

from pipelines.sources.contract import ContractTable, contract_table
from pipelines.sources.loading.validation import Rejections, lines_of
from pipelines.sources.loading.versions import CHANGED_AT, FILE, ORDER, SOURCE_AT, changed_times, with_order
from pipelines.sources.protocol import LINE_COLUMN, Chunk, Source
from pipelines.sources.values.columns import has_column, read_column

Window = tuple[dt.date, dt.date]
"""First and last UTC day, both included."""


def own_window(contract: ContractTable, window: Window | None) -> Window | None:
    """The window as a table can replace it: whole weeks for weekly tables, none for tables in one file."""
    if window is None or not contract.is_partitioned or contract.is_book:
        return None
    first, last = window
    if contract.is_weekly:
        return first - dt.timedelta(days=first.weekday()), last + dt.timedelta(days=6 - last.weekday())
    return window


def home_times(source: Source, contract: ContractTable, as_of: dt.datetime) -> pl.DataFrame | None:
    """Key and time of the newest version of every row that the source has; None where rows have no versions.

    Of a table that is dated by its parent these are the parent's: an order outside the window is not in the
    lake yet, but its lines must not count as orphans.
    """
    if contract.time_parent is not None:
        contract = contract_table(contract.time_parent[1])
    if not contract.has_history or contract.name not in source.tables():
        return None
    time_column = str(contract.time_column)
    names = tuple(dict.fromkeys((*contract.key, time_column)))
    reading = source.reading(contract.name)
    parts = [pl.DataFrame(schema={**{name: contract.dtypes[name] for name in names}, FILE: pl.String})]
    parts[0] = parts[0].with_columns(pl.lit(None, dtype=pl.Datetime("us", "UTC")).alias(CHANGED_AT))
    for chunk in source.read(contract.name):
        if all(has_column(chunk, contract, name) for name in names):
            read = pl.DataFrame([read_column(chunk, contract, name).values.alias(name) for name in names])
            changed = changed_times(chunk, reading, as_of, Rejections())
            parts.append(read.with_columns(pl.lit(chunk.file).alias(FILE), changed))
    rows = pl.concat(parts).drop_nulls(names)
    key = list(contract.key)
    if rows.select(pl.struct(key).is_unique().all()).item():
        return rows.select(names)
    distinct = with_order(rows).unique([*key, FILE, SOURCE_AT], keep="first", maintain_order=True)
    return distinct.sort(SOURCE_AT, ORDER, nulls_last=False).unique(key, keep="last").select(names)


def within(contract: ContractTable, chunk: Chunk, window: Window, homes: pl.DataFrame | None) -> Chunk:
    """The rows of a chunk inside a window; a row whose time cannot be told stays, to be quarantined.

    Args:
        contract: Table of the rows.
        chunk: Its rows.
        window: The days.
        homes: Key and time of the newest version of each row, or of the parent that dates it.
    """
    time_column = str(contract.time_column)
    by_parent = contract.time_parent is not None
    key = [str(contract.time_parent[0])] if contract.time_parent is not None else list(contract.key)
    has_key = all(has_column(chunk, contract, name) for name in key)
    has_time = not by_parent and has_column(chunk, contract, time_column)
    if not has_time and (not by_parent or not has_key or homes is None):
        return chunk
    frame = chunk.frame.with_columns(lines_of(chunk).alias(LINE_COLUMN))
    times = None
    if has_key and homes is not None:
        keys = pl.DataFrame([read_column(chunk, contract, name).values.alias(name) for name in key])
        times = keys.join(homes, on=key, how="left", maintain_order="left")[time_column]
    if has_time:
        own = read_column(chunk, contract, time_column).values
        times = own if times is None else times.zip_with(times.is_not_null(), own)
    if times is None:
        return chunk
    inside = times.dt.date().is_between(*window).fill_null(True)
    return replace(chunk, frame=frame.filter(inside))
