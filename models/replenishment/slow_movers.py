"""The slow-mover alarm: seven consecutive days, each below a fifth of the safety stock, as printed."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from models.replenishment.config import ReorderConfig


def slow_movers(
    lines: pl.DataFrame, safety_stock: pl.DataFrame, today: date, config: ReorderConfig
) -> pl.DataFrame:
    """Mark skus whose newest complete days all stayed below a share of the safety stock.

    Args:
        lines: Columns of core.fct_order_lines.
        safety_stock: sku_id, safety_stock_qty (float, units).
        today: Local day; the `slow_days` days before it are looked at.
        config: Settings; `slow_reading` chooses each day (printed) or the sum of the days.

    Returns:
        sku_id, is_slow_mover; one row per row of `safety_stock`. Exactly at the limit is not below it. A sku
        without safety stock, or first sold within the window, is never marked.
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
    measure = "busiest" if config.slow_reading == "each_day" else "total"
    return (
        safety_stock.lazy()
        .join(days, on="sku_id", how="left")
        .join(begun, on="sku_id", how="left")
        .with_columns(
            is_slow_mover=(pl.col(measure).fill_null(0) < config.slow_share * pl.col("safety_stock_qty"))
            & (pl.col("first_sold_on") < first).fill_null(value=False)
        )
        .select("sku_id", "is_slow_mover")
        .sort("sku_id")
        .collect()
    )
