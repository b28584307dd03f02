"""Rows refused because they lie in the future: until when a load need not be tried again for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

IN_THE_FUTURE = "in the future"
"""In the reason of rows that a later moment accepts."""

_ZONES = timedelta(days=1)
"""More than the time zones of the world lie apart: the refused text may be a local time."""


def nobody_waits_before(refused: pl.DataFrame) -> datetime | None:
    """The moment before which no refused row can be accepted; None when that cannot be told.

    Args:
        refused: Quarantined rows with `value` and `reason`, among them rows in the future.
    """
    waiting = refused.filter(pl.col("reason").str.contains(IN_THE_FUTURE, literal=True))["value"]
    try:
        times = [datetime.fromisoformat(value.strip()) for value in waiting]
    except (AttributeError, ValueError):
        return None
    if not times:
        return None
    return min(time if time.tzinfo else time.replace(tzinfo=UTC) for time in times) - _ZONES
