"""From a merchant's category forecast to the weekly demand of a sku, pooled over merchants.

A sku's share of its category is its share of the newest weeks' sales at that merchant, shrunk towards the
platform-wide split over the same assortment; a listing without a sale has what new ones take (`newcomers`).
Days on which nobody had the sku are no evidence (`stockouts`): with k units of the split mixed in, what a sku
sold is held against the T units of the category times the share of days on which it was on sale.
Variances: the share of the category's forecast variance, plus the spread of which sku a unit falls on, plus
what is not known of a new listing. Forecast errors of different merchants are taken as independent.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
from scipy import stats

from models.metrics import FloatArray
from models.out_of_stock import OUT_OF_STOCK
from models.replenishment.config import ReorderConfig
from models.replenishment.newcomers import NEW_LISTINGS, with_newcomers
from models.replenishment.stockouts import shares_on_sale

# Distance of the 90% from the 10% point of a normal distribution, in standard deviations.
OUTER_WIDTH = float(2 * stats.norm.ppf(0.9))
LEAST_ON_SALE = 0.25
"""What a sku sold in the long window is scaled up four times at most."""
BUNDLE_CAP = 100.0
"""Largest line that counts in full, in medians of a line."""


def sku_shares(
    lines: pl.DataFrame,
    listings: pl.DataFrame,
    today: date,
    config: ReorderConfig,
    new_listings: pl.DataFrame | None = None,
    out_of_stock: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Each merchant's split of a category over its skus.

    Args:
        lines: Columns of core.fct_order_lines.
        listings: Columns of core.dim_listings; a pair whose current listing is off is left out. May be empty.
        today: Local day; later sales are ignored.
        config: Settings.
        new_listings: As `newcomers.NEW_LISTINGS`; None when there are none.
        out_of_stock: As `OUT_OF_STOCK`; None where no stock is known.

    Returns:
        merchant_id, category_id, sku_id, share (float, > 0; sums to 1 within merchant and category), is_new
        (never sold there).
    """
    sold = lines.lazy().filter(pl.col("is_merchandise") & (pl.col("placed_on") <= today))
    recent_day = today - timedelta(weeks=config.share_weeks)
    assortment_day = today - timedelta(weeks=config.assortment_weeks)
    pairs = (
        sold.filter(pl.col("placed_on") > assortment_day)
        .group_by("merchant_id", pl.col("category_l2_id").alias("category_id"), "sku_id")
        .agg(
            long=pl.col("qty").sum(),
            recent=pl.col("qty").filter(pl.col("placed_on") > recent_day).sum(),
        )
        .filter(pl.col("long") > 0)
        # A fixed row order fixes the order of every sum below.
        .sort("merchant_id", "category_id", "sku_id")
        .collect()
    )
    if listings.height:
        current = listings.filter(pl.col("is_current")) if "is_current" in listings.columns else listings
        off = current.filter(~pl.col("is_listed")).select("merchant_id", "sku_id")
        pairs = pairs.join(off, on=["merchant_id", "sku_id"], how="anti")
    cell = ["merchant_id", "category_id"]
    out = OUT_OF_STOCK.to_frame() if out_of_stock is None else out_of_stock
    pairs = pairs.join(
        shares_on_sale(out, lines, today, config), on="sku_id", how="left", maintain_order="left"
    ).with_columns(pl.col("recent_on_sale", "long_on_sale").fill_null(1.0))
    seen = pl.col("long") / pl.col("long_on_sale").clip(LEAST_ON_SALE)
    platform = seen.sum().over("category_id", "sku_id")
    prior = pl.col("platform") / pl.col("platform").sum().over(cell)
    strength = config.share_prior_units
    total = pl.col("recent").sum().over(cell)
    # Poisson units with a gamma prior: (recent + k prior) / (T on sale + k), times T + k for all on sale.
    offered = total * pl.col("recent_on_sale") + strength
    weight = (pl.col("recent") + strength * prior) * pl.when(offered > 0).then(
        (total + strength) / offered
    ).otherwise(1.0)
    weighed = (
        pairs.with_columns(platform=platform)
        # With no prior and no recent sale a cell would have no split at all; the longer window steps in.
        .with_columns(weight=pl.when(weight.sum().over(cell) > 0).then(weight).otherwise(pl.col("long")))
    )
    new = NEW_LISTINGS.to_frame() if new_listings is None else new_listings
    return (
        with_newcomers(weighed, new, today, config)
        .sort("merchant_id", "category_id", "sku_id")
        .with_columns(share=pl.col("weight") / pl.col("weight").sum().over(cell))
        .filter(pl.col("share") > 0)
        .select(*cell, "sku_id", "share", "is_new")
        .sort("merchant_id", "category_id", "sku_id")
    )


def units_per_line_factor(lines: pl.DataFrame) -> float:
    """E[qty^2] / E[qty] over merchandise lines: units arrive in bundles, which widens counts; at least 1.

    A line counts with at most `BUNDLE_CAP` times the median: one wholesale line among ordinary ones says
    little about how the others spread, and squared it would say everything.
    """
    qty = lines.filter(pl.col("is_merchandise"))["qty"].cast(pl.Float64)
    median = qty.median()
    if isinstance(median, float):
        qty = qty.clip(upper_bound=BUNDLE_CAP * median)
    total = float(qty.sum())
    return max(1.0, float((qty * qty).sum()) / total) if total > 0 else 1.0


def merchant_sku_weeks(
    forecasts: pl.DataFrame, shares: pl.DataFrame, bundle_factor: float, newcomer_cv: float
) -> pl.DataFrame:
    """Expected units and variance of a sku at a merchant in each forecast week.

    Args:
        forecasts: Columns of `demand_forecasts`.
        shares: From `sku_shares`.
        bundle_factor: From `units_per_line_factor`.
        newcomer_cv: Spread of what a new listing sells over its mean.

    Returns:
        merchant_id, category_id, sku_id, is_new, week_start_on, horizon_weeks, mean, variance (units, units
        squared, of a whole week).
    """
    sd = (pl.col("p90_qty") - pl.col("p10_qty")) / OUTER_WIDTH
    share = pl.col("share")
    unknown = pl.when("is_new").then(newcomer_cv * share * pl.col("mean_qty")).otherwise(0.0) ** 2
    return (
        forecasts.lazy()
        .select("merchant_id", "category_id", "week_start_on", "horizon_weeks", "mean_qty", sd=sd)
        .join(shares.lazy(), on=["merchant_id", "category_id"], how="inner")
        .select(
            "merchant_id",
            "category_id",
            "sku_id",
            "is_new",
            "week_start_on",
            "horizon_weeks",
            mean=share * pl.col("mean_qty"),
            variance=(share * pl.col("sd")) ** 2
            + bundle_factor * share * (1 - share) * pl.col("mean_qty")
            + unknown,
        )
        .collect()
    )


def sku_weeks(pairs: pl.DataFrame, horizon: int) -> tuple[list[str], FloatArray, FloatArray]:
    """Pool merchants: weekly mean and variance of each sku.

    Args:
        pairs: From `merchant_sku_weeks`.
        horizon: Forecast weeks.

    Returns:
        Sorted sku ids, mean float64 (n, horizon), variance float64 (n, horizon).
    """
    # Sorted within the group: threads add in another order each time, and the last bit decides a hash.
    pooled = pairs.group_by("sku_id", "horizon_weeks").agg(pl.col("mean", "variance").sort().sum())
    skus = pooled["sku_id"].unique().sort()
    row = skus.to_frame().with_row_index("row")
    pooled = pooled.join(row, on="sku_id", how="left")
    rows, columns = pooled["row"].to_numpy(), pooled["horizon_weeks"].to_numpy() - 1
    mean, variance = np.zeros((len(skus), horizon)), np.zeros((len(skus), horizon))
    mean[rows, columns] = pooled["mean"].to_numpy()
    variance[rows, columns] = pooled["variance"].to_numpy()
    return skus.to_list(), mean, variance
