"""Weeks in which nothing of a merchant's category could be bought: they are missing in its series, not zero.

A week in which one sku of it could be bought counts as it is: another sku may have sold instead.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from models.demand.config import DemandConfig
from models.out_of_stock import whole_periods

Units = TypeVar("Units", np.float32, np.float64)

KEY = ["category_id", "merchant_id"]

MISSING = pl.Schema({"category_id": pl.String, "merchant_id": pl.String, "week_start_on": pl.Date})
"""Weeks in which nothing of a category of a merchant could be bought."""

LEVEL_WEEKS = 8
"""The mean of so many weeks before it stands in for a missing week, where one is needed."""


def weeks_without_stock(
    lines: pl.LazyFrame, out: pl.DataFrame, weeks: tuple[date, ...], as_of: datetime, config: DemandConfig
) -> pl.DataFrame:
    """Weeks in which everything was out of stock that a merchant had sold of a category up to then.

    A sku is out of stock in a week that lies wholly in such a time and in which nobody sold any of it: what
    sold was to be had, whatever the stock said.

    Args:
        lines: Merchandise lines that are known.
        out: As `OUT_OF_STOCK`.
        weeks: Complete Mondays, without gaps, at least one.
        as_of: Business time, with time zone; what is out of stock then is so to the end of the last week.
        config: Settings.

    Returns:
        As `MISSING`, sorted.
    """
    until = pl.col("ended_at")
    grace = timedelta(hours=config.week_grace_hours)
    out = out.with_columns(ended_at=pl.when(until >= as_of).then(until + grace).otherwise(until))
    gone = whole_periods(out, "1w", weeks[0], weeks[-1], config.utc_offset_hours)
    if gone.is_empty():
        return MISSING.to_frame()
    sold = (
        lines.filter(pl.col("sku_id").is_in(gone["sku_id"].unique().implode()))
        .select("category_l2_id", "sku_id", starts_on="week_start_on")
        .unique()
        .collect()
    )
    gone = gone.join(sold, on=["sku_id", "starts_on"], how="anti").rename({"starts_on": "week_start_on"})
    assortment = (
        lines.filter(pl.col("category_l2_id").is_in(sold["category_l2_id"].unique().implode()))
        .group_by(pl.col("category_l2_id").alias("category_id"), "merchant_id", "sku_id")
        .agg(first=pl.col("week_start_on").min())
        .collect()
    )
    # What was sold first must be among what is gone: that alone leaves few categories to look at.
    oldest = assortment.filter(pl.col("first") == pl.col("first").min().over(KEY))
    assortment = assortment.join(oldest.join(gone, on="sku_id", how="semi"), on=KEY, how="semi")
    sold_so_far = (
        assortment.group_by(*KEY, "first")
        .agg(skus=pl.len())
        .sort("first")
        .with_columns(pl.col("skus").cum_sum().over(KEY))
    )
    return (
        assortment.join(gone, on="sku_id")
        .filter(pl.col("first") <= pl.col("week_start_on"))
        .group_by(*KEY, "week_start_on")
        .agg(gone=pl.len())
        .sort("week_start_on")
        .join_asof(sold_so_far, left_on="week_start_on", right_on="first", by=KEY, check_sortedness=False)
        .filter(pl.col("gone") == pl.col("skus"))
        .select(list(MISSING))
        .sort(list(MISSING))
    )


def filled(qty: npt.NDArray[Units], start: npt.NDArray[np.int64]) -> npt.NDArray[Units]:
    """Units with the level before it in place of each missing week, for what cannot do without a number.

    Args:
        qty: float (n, t), units a week; NaN where missing.
        start: int64 (n,), index of the first sale; nothing before it is read.

    Returns:
        float (n, t): a missing week is the mean of the `LEVEL_WEEKS` weeks before it, missing ones as they
        were filled; no later week is read. The same array where nothing is missing.
    """
    gone = np.isnan(qty)
    if not gone.any():
        return qty
    units = qty.copy()
    for week in np.flatnonzero(gone.any(axis=0)):
        rows, since = gone[:, week], max(0, int(week) - LEVEL_WEEKS)
        begun = np.arange(since, week)[None, :] >= start[rows, None]
        before = np.where(begun, units[rows, since:week], 0.0)
        units[rows, week] = before.sum(axis=1) / np.maximum(begun.sum(axis=1), 1)
    return units
