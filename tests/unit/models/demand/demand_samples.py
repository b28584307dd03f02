"""Builders of small synthetic order lines for the demand tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import polars as pl

FIRST_MONDAY = date(2017, 1, 2)
PROMOTIONS_SCHEMA = pl.Schema(
    {
        "category_l2_id": pl.String,
        "merchant_id": pl.String,
        "week_start_on": pl.Date,
        "display_sku_count": pl.UInt32,
        "mailer_sku_count": pl.UInt32,
    }
)
LINES_SCHEMA = pl.Schema(
    {
        "merchant_id": pl.String,
        "sku_id": pl.String,
        "category_l2_id": pl.String,
        "placed_at": pl.Datetime("us", "UTC"),
        "placed_on": pl.Date,
        "week_start_on": pl.Date,
        "qty": pl.Int64,
        "net_paid_cents": pl.Int64,
        "is_merchandise": pl.Boolean,
    }
)

MakeLines = Callable[..., pl.DataFrame]


def lines_of(
    weekly: Mapping[tuple[str, str], Sequence[int]], *, first: date = FIRST_MONDAY, unit_cents: int = 100
) -> pl.DataFrame:
    """One line a key and week that sold, on Monday noon local time (UTC-5)."""
    rows = []
    for (category, merchant), series in weekly.items():
        for week, qty in enumerate(series):
            if qty:
                monday = first + timedelta(weeks=week)
                rows.append(
                    {
                        "merchant_id": merchant,
                        "sku_id": f"{category}-sku",
                        "category_l2_id": category,
                        "placed_at": datetime(monday.year, monday.month, monday.day, 17, tzinfo=UTC),
                        "placed_on": monday,
                        "week_start_on": monday,
                        "qty": int(qty),
                        "net_paid_cents": int(qty) * unit_cents,
                        "is_merchandise": True,
                    }
                )
    return pl.DataFrame(rows, schema=LINES_SCHEMA)


def after(weeks: int, *, first: date = FIRST_MONDAY) -> datetime:
    """Business time at which exactly `weeks` weeks are complete."""
    day = first + timedelta(weeks=weeks)
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
