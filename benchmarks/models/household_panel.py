"""The embedded household panel (Complete Journey) as the lifecycle family reads it, without a home."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from pipelines.sources.panel.complete_journey import CompleteJourney

TIME_ZONE = "America/New_York"


def read_lines(panel: CompleteJourney) -> pl.DataFrame:
    """Every order line with its household, its product type and its time, as lifecycle histories ask.

    What the panel says is never corrected: a line is known from its order on.
    """

    def table(name: str) -> pl.DataFrame:
        return pl.concat(chunk.frame for chunk in panel.read(name))

    lines, orders, products, categories = map(table, ("order_lines", "orders", "products", "categories"))
    roles = categories.select("category_id", "role")
    goods = products.join(roles, on="category_id", how="left").select(
        "sku_id", category_l3_id="category_id", is_merchandise=pl.col("role").is_null()
    )
    return (
        lines.select("order_id", "line_no", "sku_id", "net_paid_cents", qty=pl.col("qty_milli") / 1000)
        .join(orders.select("order_id", "consumer_id", "merchant_id", "placed_at"), on="order_id")
        .join(goods, on="sku_id", how="left")
        .with_columns(
            received_at=pl.col("placed_at"),
            superseded_at=pl.lit(None, dtype=pl.Datetime("us", "UTC")),
        )
        .sort("placed_at", "order_id", "line_no")
    )


def last_order(lines: pl.DataFrame) -> datetime:
    """Time of the newest order (UTC)."""
    found = lines["placed_at"].max()
    assert isinstance(found, datetime)
    return found
