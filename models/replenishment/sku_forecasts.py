"""Weekly demand of a sku over all merchants, with what it rests on. No order is made here."""

from __future__ import annotations

import polars as pl

from models.counts import count_quantiles

SKU_FORECASTS_SCHEMA = pl.Schema(
    {
        "sku_id": pl.String,
        "week_start_on": pl.Date,
        "category_id": pl.String,
        "horizon_weeks": pl.Int64,
        "mean_qty": pl.Float64,
        "p10_qty": pl.Float64,
        "p50_qty": pl.Float64,
        "p90_qty": pl.Float64,
        "new_listing_qty": pl.Float64,
        "basis": pl.String,
    }
)

SHARE_OF_SALES = "share_of_sales"
NEW_IN_CATEGORY = "new_in_category"
"""No merchant sold it yet: it has what new listings take of its category."""

QUANTILES = (0.1, 0.5, 0.9)
QUANTILE_NAMES = ("p10_qty", "p50_qty", "p90_qty")


def sku_forecasts(pairs: pl.DataFrame) -> pl.DataFrame:
    """Pool merchants.

    Args:
        pairs: From `disaggregate.merchant_sku_weeks`.

    Returns:
        As `SKU_FORECASTS_SCHEMA`: units a week, those expected of listings without a sale apart. A sku that
        lies in several categories has its first. Sorted by sku and week.
    """
    pooled = (
        pairs.sort("sku_id", "week_start_on", "merchant_id", "category_id")
        .group_by("sku_id", "week_start_on", "horizon_weeks", maintain_order=True)
        .agg(
            pl.col("category_id").min(),
            pl.col("mean", "variance").sum(),
            new_listing_qty=pl.col("mean").filter("is_new").sum(),
            is_new=pl.col("is_new").all(),
        )
    )
    found = count_quantiles(pooled["mean"].to_numpy(), pooled["variance"].to_numpy(), QUANTILES)
    quantiles = {name: pl.Series(found[:, k]) for k, name in enumerate(QUANTILE_NAMES)}
    basis = pl.when("is_new").then(pl.lit(NEW_IN_CATEGORY)).otherwise(pl.lit(SHARE_OF_SALES))
    told = pooled.rename({"mean": "mean_qty"}).with_columns(basis=basis, **quantiles)
    return told.select([pl.col(name).cast(kind) for name, kind in SKU_FORECASTS_SCHEMA.items()])
