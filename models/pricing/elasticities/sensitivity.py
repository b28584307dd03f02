"""How sensitive consumers are to prices: the elasticities of what they bought. Nothing is fitted here."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from models.pricing.bundle import PricingBundle
from models.pricing.inputs import sku_elasticities
from models.states import known_at, with_states

DAYS = 365
_FIXED_POINT = 1_000_000


def price_sensitivity(lines: pl.DataFrame, as_of: datetime, bundle: PricingBundle) -> pl.DataFrame:
    """Mean elasticity of the skus that a consumer bought in the last year, weighted with what was paid.

    Args:
        lines: Sale lines with consumer_id, sku_id, category_l3_id, placed_at, net_paid_cents, is_merchandise
            and perhaps the columns of `models.states`.
        as_of: Moment of knowledge, aware UTC; what was placed or received later is not seen.
        bundle: Fitted elasticities; a sku that they lack takes its category's, else that of all.

    Returns:
        `consumer_id` and `elasticity` (float64), of whoever paid for merchandise; sorted by id.
    """
    bought = with_states(lines).filter(
        (pl.col("placed_at") <= as_of)
        & (pl.col("placed_at") > as_of - timedelta(days=DAYS))
        & known_at(as_of)
        & pl.col("is_merchandise").fill_null(value=False)
        & pl.col("consumer_id").is_not_null()
        & (pl.col("net_paid_cents") > 0)
    )
    skus = bought.group_by("sku_id").agg(pl.col("category_l3_id").min()).sort("sku_id")
    elastic = sku_elasticities(skus, bundle).select(
        "sku_id",
        # Summed in whole numbers, so that no order of rows matters.
        fixed=(pl.col("elasticity") * _FIXED_POINT).round().cast(pl.Int64),
    )
    paid = pl.col("net_paid_cents").cast(pl.Int64)
    return (
        bought.join(elastic, on="sku_id", how="inner")
        .group_by("consumer_id")
        .agg(total=(paid * pl.col("fixed")).sum(), paid=paid.sum())
        .select("consumer_id", elasticity=pl.col("total") / pl.col("paid") / _FIXED_POINT)
        .sort("consumer_id")
    )
