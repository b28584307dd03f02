"""Who supplies what a day, and who could: one row a supplier and sku, the ground of everything here."""

from __future__ import annotations

import polars as pl

from models.supply.resilience.config import ResilienceConfig


def daily_supply(supplied: pl.DataFrame, offers: pl.DataFrame, config: ResilienceConfig) -> pl.DataFrame:
    """Units a day of each supplier and sku, and what it could ship a day.

    Args:
        supplied: supplier_id, sku_id, category_id, units, net_paid_cents of the window; one row a supplier
            and sku. Rows without units are left out.
        offers: Current offers: supplier_id, sku_id, category_id, supply_price_cents,
            lead_time_days, on_hand_qty, capacity_per_day (null: not stated); one row a supplier and sku.
        config: Settings.

    Returns:
        category_id, sku_id, supplier_id, per_day (units a day now), able_per_day (units a day that it could
        ship: its stated capacity, else its stock spread over the horizon, and at least what it ships now; 0
        without an offer), is_offered, unit_cents (supply price), lead_time_days, on_hand_qty,
        capacity_per_day (0 where it is not stated), price_cents (what buyers paid for a unit of the sku; null
        where nobody bought it). Sorted by category, sku and supplier; rows without a category are left out.
    """
    sold = supplied.filter(pl.col("units") > 0)
    paid = sold.group_by("sku_id").agg(price_cents=pl.col("net_paid_cents").sum() / pl.col("units").sum())
    per_day = pl.col("units").fill_null(0.0) / config.window_days
    on_hand = pl.col("on_hand_qty").fill_null(0).clip(0)
    able = pl.col("capacity_per_day").cast(pl.Float64).fill_null(on_hand / config.horizon_days)
    return (
        sold.select("supplier_id", "sku_id", "category_id", "units")
        .join(
            offers.with_columns(is_offered=pl.lit(True)),
            on=["supplier_id", "sku_id"],
            how="full",
            coalesce=True,
        )
        .with_columns(
            category_id=pl.coalesce("category_id", "category_id_right"),
            is_offered=pl.col("is_offered").fill_null(False),
            per_day=per_day,
        )
        .filter(pl.col("category_id").is_not_null())
        .join(paid, on="sku_id", how="left")
        .select(
            "category_id",
            "sku_id",
            "supplier_id",
            "per_day",
            able_per_day=pl.when("is_offered").then(pl.max_horizontal(able, "per_day")).otherwise(0.0),
            is_offered="is_offered",
            unit_cents="supply_price_cents",
            lead_time_days=pl.col("lead_time_days").fill_null(0),
            on_hand_qty=on_hand.cast(pl.Float64),
            capacity_per_day=pl.col("capacity_per_day").cast(pl.Float64).fill_null(0.0),
            price_cents="price_cents",
        )
        .sort("category_id", "sku_id", "supplier_id")
    )
