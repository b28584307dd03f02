"""Stalled goods: seven consecutive days, each below a fifth of the safety stock, as printed.

What lies in stock and is expected to sell nothing has no safety stock to compare with: it is stalled when it
sold nothing in those days.
"""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from models.replenishment.config import ReorderConfig


def stalled(lines: pl.DataFrame, stock: pl.DataFrame, today: date, config: ReorderConfig) -> pl.DataFrame:
    """Mark skus whose newest complete days all stayed below a share of the safety stock.

    Args:
        lines: Columns of core.fct_order_lines.
        stock: sku_id, on_hand_qty (units of all suppliers), safety_stock_qty (float, units), offered_on
            (local day on which it was first offered, nullable); one row a sku.
        today: Local day; the `slow_days` days before it are looked at.
        config: Settings; `slow_reading` chooses each day (printed) or the sum of the days.

    Returns:
        sku_id, is_stalled; one row per row of `stock`, sorted. Exactly at the limit is not below it. A sku
        first sold within the window, or not sold yet and first offered within it, is never marked; neither
        is one without safety stock that has no stock.
    """
    first = today - timedelta(days=config.slow_days)
    sold = lines.lazy().filter(pl.col("is_merchandise") & (pl.col("placed_on") < today))
    days = (
        sold.filter(pl.col("placed_on") >= first)
        .group_by("sku_id", "placed_on")
        .agg(pl.col("qty").sum())
        .group_by("sku_id")
        .agg(busiest=pl.col("qty").max(), total=pl.col("qty").sum())
    )
    begun = sold.group_by("sku_id").agg(first_sold_on=pl.col("placed_on").min())
    measure = pl.col("busiest" if config.slow_reading == "each_day" else "total").fill_null(0)
    below = measure < config.slow_share * pl.col("safety_stock_qty")
    unmoved = (pl.col("safety_stock_qty") == 0) & (pl.col("on_hand_qty") > 0) & (measure == 0)
    is_old = (pl.coalesce("first_sold_on", "offered_on") < first).fill_null(value=False)
    return (
        stock.lazy()
        .join(days, on="sku_id", how="left")
        .join(begun, on="sku_id", how="left")
        .with_columns(is_stalled=(below | unmoved) & is_old)
        .select("sku_id", "is_stalled")
        .sort("sku_id")
        .collect()
    )
