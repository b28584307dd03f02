"""Columns of a file to columns of the contract: renamed, multiplied, or the first of some that is filled."""

from __future__ import annotations

import polars as pl

from pipelines.sources.mapping.model import From
from pipelines.sources.mapping.numbers import product


def as_text(column: pl.Series) -> pl.Series:
    """The column as trimmed text; blank is null."""
    text = column.cast(pl.String, strict=False).str.strip_chars()
    return text.set((text == "").fill_null(False), None)


def column_of(frame: pl.DataFrame, made: From, *, decimals: int | None) -> pl.Series:
    """One column of the contract; a column that the frame lacks counts as blank.

    Args:
        frame: Columns of the file.
        made: What the column is made of.
        decimals: Decimals a product is rounded to, half away from zero; None keeps all.
    """
    nothing = pl.Series([None], dtype=pl.String).new_from_index(0, frame.height)
    columns = [frame[name] if name in frame.columns else nothing for name in made.columns]
    if made.how == "column":
        return columns[0]
    if made.how == "product":
        return product([as_text(one) if one.dtype == pl.String else one for one in columns], decimals)
    first, *others = (as_text(column) for column in columns)
    for other in others:
        first = first.fill_null(other)
    return first
