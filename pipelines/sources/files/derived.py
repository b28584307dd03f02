"""Tables that can be derived when they are not supplied, so that the rest of the graph works.

Merchants and consumers come from the ids in the orders, categories from the ids in the products. A derived
consumer belongs to the merchant with most of its orders, may be profiled, and has not agreed to marketing; a
derived merchant is of the scene 'general' in the region 'unknown', and both joined with their first order.
Supply the tables to say more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import polars as pl

PARENTS: Mapping[str, str] = MappingProxyType(
    {"categories": "products", "merchants": "orders", "consumers": "orders"}
)
"""Tables that can be derived, and the table that each is derived from."""

COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "categories": ("category_id",),
        "merchants": ("merchant_id", "placed_at"),
        "consumers": ("consumer_id", "merchant_id", "placed_at"),
    }
)
"""Columns of the parent that each needs; rows that lack one of them are left out."""


def derive(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """A derived table.

    Args:
        table: One of `PARENTS`.
        rows: The columns `COLUMNS` of the parent in contract types, without nulls.
    """
    makers: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
        "categories": _categories,
        "merchants": _merchants,
        "consumers": _consumers,
    }
    return makers[table](rows)


def _categories(products: pl.DataFrame) -> pl.DataFrame:
    unique = products.unique().sort("category_id")
    return unique.with_columns(pl.col("category_id").alias("name"), pl.lit(1, dtype=pl.Int32).alias("level"))


def _merchants(orders: pl.DataFrame) -> pl.DataFrame:
    return (
        orders.group_by("merchant_id")
        .agg(pl.col("placed_at").min())
        .sort("merchant_id")
        .select(
            "merchant_id",
            name="merchant_id",
            scene=pl.lit("general"),
            region_code=pl.lit("unknown"),
            joined_on=pl.col("placed_at").dt.date(),
        )
    )


def _consumers(orders: pl.DataFrame) -> pl.DataFrame:
    home = (
        orders.group_by("consumer_id", "merchant_id")
        .len()
        .sort("consumer_id", "len", "merchant_id", descending=[False, True, False])
        .unique("consumer_id", keep="first", maintain_order=True)
    )
    return (
        home.join(orders.group_by("consumer_id").agg(pl.col("placed_at").min()), on="consumer_id")
        .sort("consumer_id")
        .select(
            "consumer_id",
            "merchant_id",
            registered_at="placed_at",
            consent_marketing=pl.lit(False),
            consent_profiling=pl.lit(True),
        )
    )
