"""A merchant's assortment and what it sold most; the answer for consumers that are not known."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import polars as pl

from models.recommendation.config import RecommendationConfig


def assortments(
    sold: pl.DataFrame,
    listings: pl.DataFrame,
    as_of: datetime,
    active_days: int,
    in_stock: Collection[str] | None,
) -> pl.DataFrame:
    """Distinct `merchant_id`, `sku_id` that may be shown, ordered.

    Args:
        sold: Merchandise lines up to `as_of`.
        listings: `merchant_id`, `sku_id`; zero rows: pairs sold in the last `active_days` stand in.
        as_of: Moment of knowledge.
        active_days: Window of the stand-in.
        in_stock: Skus that may be shown; None for all.

    Returns:
        Two text columns, one row a pair.
    """
    source = (
        listings
        if listings.height
        else sold.filter(pl.col("placed_at") > as_of - timedelta(days=active_days))
    )
    pairs = source.select(pl.col("merchant_id", "sku_id").cast(pl.String)).drop_nulls().unique()
    if in_stock is not None:
        pairs = pairs.filter(pl.col("sku_id").is_in(sorted(in_stock)))
    return pairs.sort("merchant_id", "sku_id")


def popular_items(
    sold: pl.DataFrame, assortment: pl.DataFrame, as_of: datetime, config: RecommendationConfig
) -> pl.DataFrame:
    """Each merchant's best sellers by number of orders; equal numbers go to the smaller sku id.

    A merchant that sold nothing in the window falls back to its whole history (`popular_here_earlier`), and
    one that never sold to what all merchants sold in the window (`popular_elsewhere`).

    Args:
        sold: Merchandise lines up to `as_of`, guests included.
        assortment: See `assortments`; nothing outside it is listed.
        as_of: Moment of knowledge.
        config: `popular_days` and `popular_length`.

    Returns:
        Columns of the published `popular_items`, ordered by key.
    """
    recent = sold.filter(pl.col("placed_at") > as_of - timedelta(days=config.popular_days))
    on_pair, on_sku = ["merchant_id", "sku_id"], ["sku_id"]
    orders = pl.col("order_id").n_unique().cast(pl.Float64).alias("score")
    here = assortment.join(recent.group_by(on_pair).agg(orders), on=on_pair).with_columns(
        reason_code=pl.lit("popular_here")
    )
    rest = assortment.join(here, on="merchant_id", how="anti")
    earlier = rest.join(sold.group_by(on_pair).agg(orders), on=on_pair).with_columns(
        reason_code=pl.lit("popular_here_earlier")
    )
    rest = rest.join(earlier, on="merchant_id", how="anti")
    elsewhere = rest.join(recent.group_by(on_sku).agg(orders), on=on_sku).with_columns(
        reason_code=pl.lit("popular_elsewhere")
    )
    return (
        pl.concat([here, earlier, elsewhere])
        .sort(["merchant_id", "score", "sku_id"], descending=[False, True, False])
        .with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("merchant_id"))
        .filter(pl.col("rank") <= config.popular_length)
        .select("merchant_id", "rank", "sku_id", "score", "reason_code")
    )
