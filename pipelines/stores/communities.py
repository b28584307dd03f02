"""How communities fare, as a run leaves it in the lake."""

from __future__ import annotations

import polars as pl

WEEKS = "communities/weeks"
"""Per community and local week: `WEEK_COLUMNS`."""
WEEK_COLUMNS: dict[str, pl.DataType] = {
    "community_id": pl.String(),
    "merchant_id": pl.String(),
    "title": pl.String(),
    "week_on": pl.Date(),
    "members": pl.Int64(),
    "joined": pl.Int64(),
    "left_members": pl.Int64(),
    "active_members": pl.Int64(),
    "orders": pl.Int64(),
    "net_sales_cents": pl.Int64(),
    "margin_cents": pl.Int64(),
    "promotion_orders": pl.Int64(),
    "promotion_cost_cents": pl.Int64(),
    "texts": pl.Int64(),
    "complaints": pl.Int64(),
}
