"""What matching reads from the published warehouse. No rule."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import polars as pl

from models.supply.assortment.history import World
from models.supply.assortment.suggestions import Supply
from models.supply.resilience.config import ResilienceConfig
from models.supply.resilience.supply import daily_supply
from pipelines.warehouse import reading


def world(connection: duckdb.DuckDBPyConnection) -> World:
    """Sales in every state that was known, the pool of products, merchants with scenes, and listings."""
    merchants = connection.execute(
        "select merchant_id, scene from core.dim_merchants order by merchant_id"
    ).pl()
    listings = connection.execute(
        "select merchant_id, sku_id, min(valid_from) as first_listed_at from core.dim_listings"
        " where is_listed group by all order by all"
    ).pl()
    lines = reading.known_lines(connection, merchandise_only=True, with_guests=True)
    return World.of(lines, reading.product_content(connection), merchants, listings)


def supply(
    connection: duckdb.DuckDBPyConnection,
    offers: pl.DataFrame,
    channels: pl.DataFrame,
    barred: Sequence[str],
    days: int,
) -> Supply:
    """What offers can spare beside what sells already, with the grade of their channel.

    Args:
        connection: The published warehouse.
        offers: As `reading.current_offers`, without those of gated and frozen suppliers.
        channels: The published channel scores: supplier_id, category_id, grade, gate. Gated channels and
            those of grade D supply nothing that is new.
        barred: Skus that the quality brake limits or stops.
        days: Length of the window.
    """
    offers = offers.rename({"category_l2_id": "category_id"})
    a_day = daily_supply(reading.units_supplied(connection), offers, ResilienceConfig())
    spare = (pl.col("able_per_day") - pl.col("per_day")) * days
    may = pl.col("gate").is_null() & (pl.col("grade").is_null() | (pl.col("grade") != "D"))
    prices = (
        reading.current_listings(connection)
        .group_by("sku_id")
        .agg(list_price_cents=pl.col("list_price_cents").median())
        .sort("sku_id")
    )
    return Supply(
        a_day.filter(pl.col("is_offered"))
        .join(
            channels.select("supplier_id", "category_id", "grade", "gate"),
            on=["supplier_id", "category_id"],
            how="left",
            maintain_order="left",
        )
        .filter(may)
        .select(
            "supplier_id", "sku_id", "category_id", "unit_cents", "lead_time_days", "grade", spare_qty=spare
        )
        .filter(pl.col("spare_qty") > 0),
        prices,
        tuple(barred),
    )
