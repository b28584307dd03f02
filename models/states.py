"""Rows in every state that was known at some time: what a model could have seen at a moment.

A state of an order is known from `received_at` until `superseded_at` (null: it stands). Frames without these
columns are of orders that were known since they were placed and never changed.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

STATE_COLUMNS = ("received_at", "superseded_at")
"""From when until when a state of an order was known."""

_INSTANT = pl.Datetime("us", "UTC")


def with_states(lines: pl.DataFrame) -> pl.DataFrame:
    """The lines with both state columns; without them, known since they were placed and standing.

    Args:
        lines: With `placed_at` (UTC).
    """
    if all(name in lines.columns for name in STATE_COLUMNS):
        return lines
    return lines.with_columns(
        received_at=pl.col("placed_at").cast(_INSTANT), superseded_at=pl.lit(None, dtype=_INSTANT)
    )


def known_at(
    moment: datetime, *, received: str = STATE_COLUMNS[0], superseded: str = STATE_COLUMNS[1]
) -> pl.Expr:
    """Whether a state was known at a moment: it had come, and no newer one had.

    Args:
        moment: Aware.
        received: Column of the time of receipt.
        superseded: Column of the time at which the next state came; null for what stands.
    """
    until = pl.col(superseded)
    return (pl.col(received) <= moment) & (until.is_null() | (until > moment))
