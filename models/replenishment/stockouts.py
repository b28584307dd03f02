"""Days on which nobody could buy a sku: they say nothing of its demand, and are missing instead of zero."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from models.replenishment.config import ReorderConfig

OUT_OF_STOCK = pl.Schema(
    {
        "sku_id": pl.String(),
        "began_at": pl.Datetime("us", "UTC"),
        "ended_at": pl.Datetime("us", "UTC"),
    }
)
"""Times at which no supplier had anything of a sku; those of a sku do not overlap."""


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

    def local(column: str) -> pl.Expr:
        return (pl.col(column) + timedelta(hours=config.utc_offset_hours)).dt.replace_time_zone(None)

    since = today - timedelta(weeks=config.assortment_weeks)
    begins = local("began_at")
    first = begins.dt.date() + pl.duration(days=(begins != begins.dt.truncate("1d")).cast(pl.Int64))
    days = (
        out.select(
            "sku_id",
            first=pl.max_horizontal(first, pl.lit(since + timedelta(days=1))),
            last=pl.min_horizontal(local("ended_at").dt.date() - pl.duration(days=1), pl.lit(today)),
        )
        .filter(pl.col("first") <= pl.col("last"))
        .with_columns(placed_on=pl.date_ranges("first", "last"))
        .explode("placed_on")
        .unique(["sku_id", "placed_on"])
    )
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
