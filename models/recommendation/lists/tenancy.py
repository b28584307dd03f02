"""Whose purchases a list may be made from: those at this merchant, or all where the consumer agreed.

A *history* is what one consumer bought at one merchant. Of a consumer who consented to use across merchants
it is everything that they bought. Lists are made from histories, never from consumers, so nothing that was
bought at one merchant orders, fills or explains a list of another.
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

_BETWEEN = "\x1f"
"""Stands between a consumer and a merchant in the name of a history; no id of the contract holds it."""


def by_history(lines: pl.DataFrame, platform_wide: Collection[str]) -> pl.DataFrame:
    """The lines with the name of their history in place of `consumer_id`; guests stay null.

    Args:
        lines: With `consumer_id` and `merchant_id`.
        platform_wide: Consumers who consented to use across merchants.
    """
    return lines.with_columns(consumer_id=_name(platform_wide))


def histories(lines: pl.DataFrame, platform_wide: Collection[str]) -> pl.DataFrame:
    """Who stands behind each history: `history`, `consumer_id`, `merchant_id` (null: of every merchant).

    Args:
        lines: With `consumer_id` and `merchant_id`.
        platform_wide: Consumers who consented to use across merchants.

    Returns:
        One row a history, ordered by it.
    """
    return (
        lines.select("consumer_id", "merchant_id")
        .drop_nulls()
        .unique()
        .select(
            _name(platform_wide).alias("history"),
            "consumer_id",
            pl.when(~_agreed(platform_wide)).then("merchant_id").alias("merchant_id"),
        )
        .unique()
        .sort("history")
    )


def _agreed(platform_wide: Collection[str]) -> pl.Expr:
    return pl.col("consumer_id").is_in(pl.Series(sorted(platform_wide), dtype=pl.String).implode())


def _name(platform_wide: Collection[str]) -> pl.Expr:
    merchant = pl.when(_agreed(platform_wide)).then(pl.lit("")).otherwise("merchant_id")
    return pl.concat_str("consumer_id", merchant, separator=_BETWEEN)
