"""Predicted tags of consumers from what the champions said; no model is run here."""

from __future__ import annotations

import polars as pl

from feature_store.predicted import CHURN, ELASTICITY, REBUY, SCHEMA, VALUE

TABLE = "features/predicted_tags"
"""Where they lie in the lake."""


def predicted_tags(
    churn: pl.DataFrame,
    rebuy: pl.DataFrame,
    sensitivity: pl.DataFrame,
    value: pl.DataFrame,
    versions: dict[str, str],
) -> pl.DataFrame:
    """One row a consumer about whom any champion said something.

    Args:
        churn: `consumer_id`, `probability`; zero rows where no champion serves.
        rebuy: `consumer_id`, `category_id`, `rebuy_probability`, several a consumer; zero rows likewise.
        sensitivity: `consumer_id`, `elasticity`; zero rows likewise.
        value: `consumer_id`, `expected_orders`, `value_cents`; zero rows likewise.
        versions: Model to the version that serves, in words.

    Returns:
        Columns of `feature_store.predicted.SCHEMA`, sorted by id.
    """
    likeliest = rebuy.sort(
        "consumer_id", "rebuy_probability", "category_id", descending=[False, True, False]
    ).unique("consumer_id", keep="first", maintain_order=True)

    def said(model: str) -> pl.Expr:
        return pl.lit(f"{model} {versions.get(model, '')}".strip())

    parts = (
        churn.select(
            "consumer_id", churn_probability_28d="probability", churn_probability_28d_by=said(CHURN)
        ),
        likeliest.select(
            "consumer_id",
            rebuy_category_14d="category_id",
            rebuy_probability_14d="rebuy_probability",
            rebuy_probability_14d_by=said(REBUY),
        ),
        sensitivity.select(
            "consumer_id", price_sensitivity_365d="elasticity", price_sensitivity_365d_by=said(ELASTICITY)
        ),
        value.select(
            "consumer_id",
            expected_orders_90d="expected_orders",
            clv_90d=pl.col("value_cents").round().cast(pl.Int64),
            clv_90d_by=said(VALUE),
        ),
    )
    everybody = pl.concat([part.select("consumer_id") for part in parts]).unique().sort("consumer_id")
    for part in parts:
        everybody = everybody.join(part, on="consumer_id", how="left", maintain_order="left")
    return everybody.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
