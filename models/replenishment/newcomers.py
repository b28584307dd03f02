"""What a listing without a sale may take of its category: what new listings took before it.

A new listing weighs as a multiple of an average one of its category at that merchant. The multiple is learnt
from the first weeks of earlier new listings, those that sold nothing included.
"""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from models.replenishment.config import ReorderConfig

NEW_LISTINGS = pl.Schema(
    {
        "merchant_id": pl.String,
        "category_id": pl.String,
        "sku_id": pl.String,
        "first_listed_on": pl.Date,
        "first_weeks_qty": pl.Float64,
        "sold_qty": pl.Float64,
    }
)
"""Listings that a merchant has on sale and began lately, without a sale before; quantities are since then."""


def ratios(new: pl.DataFrame, pairs: pl.DataFrame, today: date, config: ReorderConfig) -> pl.DataFrame:
    """How many times an average pair of a category a new listing sells.

    Args:
        new: As `NEW_LISTINGS`.
        pairs: category_id, recent (units in `share_weeks`), one row a merchant and sku of an assortment.
        today: Local day; listings younger than `newcomer_weeks` have not shown what they sell.
        config: Settings.

    Returns:
        category_id, ratio: units of the listings seen, and those of `newcomer_prior` listings at
        `newcomer_ratio`, over what as many average pairs sold. One row a category of `pairs`.
    """
    weeks = config.newcomer_weeks
    grown = new.filter(pl.col("first_listed_on") <= today - timedelta(weeks=weeks))
    seen = grown.group_by("category_id").agg(seen=pl.len(), qty=pl.col("first_weeks_qty").sum())
    average = pairs.group_by("category_id").agg(
        average=pl.col("recent").sum() / pl.len() * weeks / config.share_weeks
    )
    prior = config.newcomer_prior
    usual = (pl.col("seen") + prior) * pl.col("average")
    return (
        average.join(seen, on="category_id", how="left")
        .with_columns(pl.col("seen", "qty").fill_null(0))
        .select(
            "category_id",
            ratio=pl.when(usual > 0)
            .then((pl.col("qty") + prior * config.newcomer_ratio * pl.col("average")) / usual)
            .otherwise(config.newcomer_ratio),
        )
    )


def with_newcomers(
    pairs: pl.DataFrame, new: pl.DataFrame, today: date, config: ReorderConfig
) -> pl.DataFrame:
    """Add listings without a sale to a split of categories over skus.

    Args:
        pairs: merchant_id, category_id, sku_id, recent, weight (> 0 in total), one row a pair that sold.
        new: As `NEW_LISTINGS`; those older than `assortment_weeks` are not new.
        today: Local day.
        config: Settings.

    Returns:
        merchant_id, category_id, sku_id, weight, is_new. All new listings of a merchant in a category have
        at most `newcomer_share` of its weight; a category in which it sold nothing has none.
    """
    cell = ["merchant_id", "category_id"]
    known = pairs.select(*cell, "sku_id", "weight", is_new=pl.lit(value=False))
    silent = new.filter(
        (pl.col("sold_qty") <= 0)
        & pl.col("first_listed_on").is_between(
            today - timedelta(weeks=config.assortment_weeks), today, closed="right"
        )
    ).join(pairs, on=["merchant_id", "sku_id"], how="anti")
    usual = pairs.group_by(cell).agg(mean=pl.col("weight").mean(), total=pl.col("weight").sum())
    most = config.newcomer_share / (1 - config.newcomer_share) * pl.col("total")
    weighed = (
        silent.join(usual, on=cell, how="inner")
        .join(ratios(new, pairs, today, config), on="category_id", how="inner")
        .with_columns(weight=pl.col("ratio") * pl.col("mean"))
        .with_columns(wanted=pl.col("weight").sum().over(cell))
        .with_columns(
            weight=pl.when(pl.col("wanted") > most)
            .then(pl.col("weight") * most / pl.col("wanted"))
            .otherwise(pl.col("weight"))
        )
        .select(*cell, "sku_id", "weight", is_new=pl.lit(value=True))
    )
    return pl.concat([known, weighed])
