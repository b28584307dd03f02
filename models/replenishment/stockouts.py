"""Days on which nobody could buy a sku: they say nothing of its demand, and are missing instead of zero."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from models.out_of_stock import whole_periods
from models.replenishment.config import ReorderConfig


def shares_on_sale(
    out: pl.DataFrame, lines: pl.DataFrame, today: date, config: ReorderConfig
) -> pl.DataFrame:
    """Share of the days on which a sku could be bought.

    A local day counts as out of stock when it lay wholly in such a time and nothing of the sku was sold on
    it: what sold was to be had, whatever the stock said.

    Args:
        out: As `OUT_OF_STOCK`.
        lines: Columns of core.fct_order_lines.
        today: Local day, the last of both windows.
        config: Settings.

    Returns:
        sku_id, recent_on_sale (of `share_weeks`) and long_on_sale (of `assortment_weeks`), 0 to 1; skus with
        a day out of stock alone.
    """
    since = today - timedelta(weeks=config.assortment_weeks)
    days = whole_periods(out, "1d", since + timedelta(days=1), today, config.utc_offset_hours)
    days = days.rename({"starts_on": "placed_on"})
    sold = lines.filter(pl.col("is_merchandise") & (pl.col("qty") > 0)).select("sku_id", "placed_on")
    is_recent = pl.col("placed_on") > today - timedelta(weeks=config.share_weeks)
    return (
        days.join(sold, on=["sku_id", "placed_on"], how="anti")
        .group_by("sku_id")
        .agg(
            recent_on_sale=1 - is_recent.sum() / (7 * config.share_weeks),
            long_on_sale=1 - pl.len() / (7 * config.assortment_weeks),
        )
        .sort("sku_id")
    )
