"""What merchants said to earlier suggestions: what stays away, and what of a kind they tend to take."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from models.supply.assortment.config import AssortmentConfig

DECISIONS = pl.Schema(
    {
        "merchant_id": pl.String(),
        "sku_id": pl.String(),
        "category_id": pl.String(),
        "supplier_id": pl.String(),
        "is_taken": pl.Boolean(),
        "reason_code": pl.String(),
        "until_at": pl.Datetime("us", "UTC"),
    }
)
"""The newest decision of a merchant on a sku; `until_at` (null for what was taken): a refusal holds until."""

WRONG_CATEGORY, UNWANTED_SUPPLIER = "wrong_category", "unwanted_supplier"
"""Reasons of a refusal that speak of more than the sku."""


def without_decided(pairs: pl.DataFrame, decisions: pl.DataFrame, at: datetime) -> pl.DataFrame:
    """Pairs of merchant_id, sku_id and category_id without what a merchant took, or refuses still.

    A refusal for its category keeps the whole category away. Exactly at its end a refusal holds no more.
    """
    held = _held(decisions, at)
    refused = held.filter(reason_code=WRONG_CATEGORY).select("merchant_id", "category_id").unique()
    taken = decisions.filter("is_taken").select("merchant_id", "sku_id")
    settled = pl.concat([taken, held.select("merchant_id", "sku_id")]).unique()
    return pairs.join(settled, on=["merchant_id", "sku_id"], how="anti", maintain_order="left").join(
        refused, on=["merchant_id", "category_id"], how="anti", maintain_order="left"
    )


def without_unwanted(offered: pl.DataFrame, decisions: pl.DataFrame, at: datetime) -> pl.DataFrame:
    """Pairs of merchant_id and supplier_id without suppliers that a merchant refuses still."""
    unwanted = _held(decisions, at).filter(reason_code=UNWANTED_SUPPLIER)
    return offered.join(
        unwanted.select("merchant_id", "supplier_id").unique(),
        on=["merchant_id", "supplier_id"],
        how="anti",
        maintain_order="left",
    )


def _held(decisions: pl.DataFrame, at: datetime) -> pl.DataFrame:
    return decisions.filter(~pl.col("is_taken") & (pl.col("until_at") > at))


def acceptance(decisions: pl.DataFrame, config: AssortmentConfig) -> pl.DataFrame:
    """How a merchant's share of taken suggestions in a category compares with the usual share.

    Returns:
        merchant_id, category_id, acceptance: 1 is usual. The usual share weighs `acceptance_prior` decisions,
        and has one taken and one refused suggestion in it that nobody decided. Categories without a decision
        have no row.
    """
    usual = (int(decisions["is_taken"].sum()) + 1) / (decisions.height + 2)
    prior = config.acceptance_prior
    return (
        decisions.group_by("merchant_id", "category_id")
        .agg(taken=pl.col("is_taken").sum(), decided=pl.len())
        .select(
            "merchant_id",
            "category_id",
            acceptance=(pl.col("taken") + prior * usual) / (pl.col("decided") + prior) / usual,
        )
        .sort("merchant_id", "category_id")
    )
