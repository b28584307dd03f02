"""What an agent could speak about: skus that stand in the lists of several of its customers."""

from __future__ import annotations

import polars as pl

from models.reviews.config import ReviewConfig


def agent_suggestions(
    customers: pl.DataFrame, recommendations: pl.DataFrame, config: ReviewConfig
) -> pl.DataFrame:
    """Skus by the number of an agent's customers in whose list they stand.

    A sku that stands in the lists of fewer than `config.fewest_customers` is left out: of few one could tell
    who they are.

    Args:
        customers: `agent_id`, `merchant_id`, `consumer_id`: who bought from whom through whom.
        recommendations: Rows of the published table.
        config: Settings.

    Returns:
        The columns of the published table `agent_suggestions`, by agent, merchant and rank. `of_customers`
        counts the customers of the agent at the merchant who have a list there.
    """
    key = ["agent_id", "merchant_id"]
    listed = (
        customers.select(*key, "consumer_id")
        .unique()
        .join(
            recommendations.filter(pl.col("rank") <= config.list_depth).select(
                "merchant_id", "consumer_id", "sku_id", "rank", "reason_code"
            ),
            on=["merchant_id", "consumer_id"],
        )
    )
    sizes = listed.group_by(key).agg(of_customers=pl.col("consumer_id").n_unique())
    return (
        listed.group_by(*key, "sku_id")
        .agg(
            customers=pl.col("consumer_id").n_unique(),
            _place=pl.col("rank").mean(),
            reason_code=pl.col("reason_code").mode().sort().first(),
        )
        .filter(pl.col("customers") >= config.fewest_customers)
        .sort(*key, "customers", "_place", "sku_id", descending=[False, False, True, False, False])
        .with_columns(rank=pl.int_range(1, pl.len() + 1).over(key))
        .filter(pl.col("rank") <= config.longest_list)
        .join(sizes, on=key)
        .sort(*key, "rank")
        .select(*key, "rank", "sku_id", "customers", "of_customers", "reason_code")
    )
