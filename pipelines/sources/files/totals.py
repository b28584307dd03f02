"""Total rows: what a report prints under its rows is no row of the table."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

import polars as pl

from pipelines.sources.protocol import LINE_COLUMN, Chunk, with_lines
from pipelines.sources.refused.quarantine import clipped, row_json

_TOTAL = (
    r"(?i)^\s*(?:"
    r"[本当每全]?[页日月季年单店]?\s*(?:合\s*计|总\s*计|小\s*计|共\s*计|累\s*计|汇\s*总|总\s*和|总\s*额)"
    r"|(?:grand|sub|page|running|overall)?[\s-]*totals?"
    r"|sum|summe|gesamt"
    r"|共\s*[\d０-９]+\s*[条行笔件单]"
    r")(?:\s*[(（].*[)）])?\s*[:：=]?\s*[\d０-９.,，]*\s*$"
)


def is_total(text: str) -> bool:
    """Whether a cell says that its row is a total."""
    return re.match(_TOTAL, text) is not None


def without_totals(chunk: Chunk, telling: Collection[str], table: str) -> Chunk:
    """A chunk whose total rows are refused.

    A total row says so in its first filled cell and fills none of the other columns that tell one row from
    another. A product that is called 'Total' is no total row.

    Args:
        chunk: Raw rows.
        telling: Columns that tell one row from another: keys, texts and times.
        table: Contract table.
    """
    cells = [name for name, dtype in chunk.frame.schema.items() if dtype == pl.String and name != LINE_COLUMN]
    if not cells or not chunk.frame.height:
        return chunk
    head = chunk.frame[cells[0]]
    # Only rows that begin with a blank or with such a word are looked at more closely.
    near = (head.str.contains(_TOTAL) | (head == "")).fill_null(True)
    if not near.any():
        return chunk
    first = pl.coalesce(_filled(name) for name in cells)
    suspects = near.scatter(
        near.arg_true(),
        chunk.frame.filter(near).select(first.str.contains(_TOTAL).fill_null(False).alias("first"))["first"],
    )
    if not suspects.any():
        return chunk
    columns = [name for name in cells if name in telling] or cells
    others = [_filled(name).is_not_null() & _filled(name).ne_missing(first) for name in columns]
    totals = suspects & ~chunk.frame.select(pl.any_horizontal(others).alias("is_row"))["is_row"]
    if not totals.any():
        return chunk
    frame = with_lines(chunk)
    rows = frame.filter(totals)
    refused = rows.select(
        pl.col(LINE_COLUMN).alias("line"),
        pl.lit(None, dtype=pl.String).alias("column"),
        clipped(first).alias("value"),
        pl.lit(f"a total row, not a row of {table}").alias("reason"),
        row_json(rows),
    )
    return replace(chunk, frame=frame.filter(~totals), refused=pl.concat([chunk.refused, refused]))


def _filled(name: str) -> pl.Expr:
    text = pl.col(name).str.strip_chars()
    return pl.when(text != "").then(text)
