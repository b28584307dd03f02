"""Turnover warnings: stock that sells too slowly, with a ladder of cuts; changes no price.

A price is judged over what all suppliers of its sku hold, because one price sells it all; a supplier is
warned about what it holds itself (`analyst.mart_stock_position` says `is_low_turnover` of the same stock).
What came back was not sold: it lies in stock again.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from models.pricing.bundle import PricingBundle
from models.pricing.config import PolicyConfig, PricingConfig
from models.pricing.inputs import sku_elasticities, sku_supply, units_sold
from models.pricing.rules.formula import implied_elasticity

WARNING_SCHEMA: dict[str, pl.DataType] = {
    "sku_id": pl.String(),
    "sold_qty": pl.Float64(),
    "on_hand_qty": pl.Int64(),
    "turnover_rate": pl.Float64(),
    "price_cents": pl.Int64(),
    "cost_cents": pl.Int64(),
    "elasticity": pl.Float64(),
    "days_to_clear_now": pl.Float64(),
    "cut_bps": pl.Int64(),
    "cut_price_cents": pl.Int64(),
    "expected_daily_qty": pl.Float64(),
    "days_to_clear": pl.Float64(),
    "margin_cost_cents": pl.Int64(),
    "is_below_floor": pl.Boolean(),
}


def markdown_warnings(
    listings: pl.DataFrame,
    supply: pl.DataFrame,
    sold: pl.DataFrame,
    as_of: datetime,
    bundle: PricingBundle | None,
    config: PricingConfig,
) -> pl.DataFrame:
    """Warn about skus with a 30-day turnover below 15%, and show what cuts would do.

    Args:
        listings: merchant_id, sku_id, list_price_cents and, where known, current_price_cents; the median
            over merchants of the price in force is the price.
        supply: As for `scoring.price`.
        sold: As for `scoring.price`.
        as_of: Business moment, aware UTC.
        bundle: Promoted elasticities; None takes the elasticity that cost plus implies.
        config: Settings.

    Returns:
        `WARNING_SCHEMA`, sorted by sku_id and cut_bps; one row a warned sku and cut. Turnover is
        sold / (sold + on hand) over the window. days_to_clear is null where nothing sold. margin_cost_cents
        is what the cut gives up on the stock at hand. is_below_floor says that the guard rails forbid it.
    """
    policy = config.policy
    moved = (
        units_sold(sold, as_of, policy.turnover_days)
        .group_by("sku_id")
        .agg(sold_qty=pl.col("qty_milli").sum() / 1000.0)
    )
    stock = sku_supply(supply).rename({"supply_qty": "on_hand_qty"})
    slow = _low_turnover(stock.join(moved, on="sku_id", how="left"), policy)
    priced = slow.join(_prices(listings), on="sku_id", how="inner")
    return (
        _ladder(_elasticities(priced, bundle, policy), config)
        .select(pl.col(name).cast(dtype) for name, dtype in WARNING_SCHEMA.items())
        .sort("sku_id", "cut_bps")
    )


def clearance_warnings(
    stock: pl.DataFrame, listings: pl.DataFrame, bundle: PricingBundle | None, config: PricingConfig
) -> pl.DataFrame:
    """Warn each supplier about stock of which less than 15% moved in 30 days, with the ladder of cuts.

    Args:
        stock: One row a supplier and sku, whether anything of it ever sold or not: supplier_id, sku_id,
            category_l3_id (nullable), on_hand_qty, cost_cents (nullable), sold_qty (units that this supplier
            sold within `turnover_days`; null means none).
        listings: As for `markdown_warnings`; what nobody lists has no price, and is warned about as well.
        bundle: As for `markdown_warnings`.
        config: Settings.

    Returns:
        The columns of `PUBLISHED_TABLES["clearance_warnings"]`, sorted by supplier_id and sku_id. `cuts` is a
        JSON list by rising cut of cut_bps, price_cents, days_to_clear, margin_cost_cents and is_below_floor;
        price and margin cost are null where nobody lists the sku, the days where nothing sold, the floor
        where the cost is unknown.
    """
    policy = config.policy
    key = ["supplier_id", "sku_id"]
    slow = _low_turnover(stock, policy).join(_prices(listings), on="sku_id", how="left")
    rungs = _ladder(_elasticities(slow, bundle, policy), config).sort(*key, "cut_bps")
    return (
        rungs.with_columns(cut=_CUT.struct.json_encode())
        .group_by(key, maintain_order=True)
        .agg(
            pl.first("on_hand_qty", "sold_qty"),
            pl.lit(policy.turnover_days, pl.Int64).alias("window_days"),
            pl.first("turnover_rate").round(4),
            pl.first("days_to_clear_now").round(1),
            pl.first("price_cents", "cost_cents", "elasticity"),
            cuts=pl.format("[{}]", pl.col("cut").str.join(",")),
        )
        .sort(key)
    )


def _low_turnover(stock: pl.DataFrame, policy: PolicyConfig) -> pl.DataFrame:
    """What lies in stock and turned over too little, with sold_qty and turnover_rate."""
    return (
        stock.filter(pl.col("on_hand_qty") > 0)
        .with_columns(pl.col("sold_qty").fill_null(0.0))
        .with_columns(turnover_rate=pl.col("sold_qty") / (pl.col("sold_qty") + pl.col("on_hand_qty")))
        .filter(pl.col("turnover_rate") < policy.turnover_warning)
    )


def _prices(listings: pl.DataFrame) -> pl.DataFrame:
    """sku_id and price_cents: the median over merchants of the price in force."""
    in_force = pl.coalesce(
        *(name for name in ("current_price_cents", "list_price_cents") if name in listings.columns)
    )
    return (
        listings.filter(pl.col("list_price_cents").fill_null(0) > 0)
        .group_by("sku_id")
        .agg(price_cents=in_force.median().round().cast(pl.Int64))
    )


def _elasticities(slow: pl.DataFrame, bundle: PricingBundle | None, policy: PolicyConfig) -> pl.DataFrame:
    if bundle is None:
        return slow.with_columns(elasticity=pl.lit(implied_elasticity(policy.cost_plus_markup)))
    known = sku_elasticities(slow.select("sku_id", "category_l3_id").unique("sku_id"), bundle)
    return slow.join(known.select("sku_id", "elasticity"), on="sku_id", how="left")


def _ladder(slow: pl.DataFrame, config: PricingConfig) -> pl.DataFrame:
    """Each row once a cut, with what the cut would do."""
    policy = config.policy
    floor = -(-pl.col("cost_cents") * (10_000 + config.guards.min_margin_bps) // 10_000)
    daily = pl.col("sold_qty") / policy.turnover_days
    kept = 1.0 - pl.col("cut_bps") / 10_000
    cuts = pl.DataFrame({"cut_bps": list(policy.markdown_cuts_bps)}, schema={"cut_bps": pl.Int64})
    return (
        slow.join(cuts, how="cross")
        .with_columns(
            cut_price_cents=(pl.col("price_cents") * (10_000 - pl.col("cut_bps"))) // 10_000,
            expected_daily_qty=daily * kept.pow(pl.col("elasticity")),
        )
        .with_columns(
            days_to_clear_now=pl.when(daily > 0).then(pl.col("on_hand_qty") / daily),
            days_to_clear=pl.when(daily > 0).then(pl.col("on_hand_qty") / pl.col("expected_daily_qty")),
            margin_cost_cents=(pl.col("price_cents") - pl.col("cut_price_cents")) * pl.col("on_hand_qty"),
            is_below_floor=pl.col("cut_price_cents") < floor,
        )
    )


_CUT = pl.struct(
    "cut_bps",
    pl.col("cut_price_cents").alias("price_cents"),
    pl.col("days_to_clear").round(1),
    "margin_cost_cents",
    "is_below_floor",
)


def turnover_ladders(warnings: pl.DataFrame) -> pl.DataFrame:
    """Each warned sku in one row.

    Args:
        warnings: As `markdown_warnings` gives them.

    Returns:
        sku_id, turnover_rate, turnover_on_hand_qty, days_to_clear_now (null where nothing sold) and cuts: a
        list of cut_bps, price_cents, days_to_clear (null where nothing sold), margin_cost_cents and
        is_below_floor, by rising cut; one row a sku, sorted by sku_id.
    """
    return (
        warnings.group_by("sku_id", maintain_order=True)
        .agg(
            pl.first("turnover_rate").round(4),
            pl.first("on_hand_qty").alias("turnover_on_hand_qty"),
            pl.first("days_to_clear_now").round(1),
            cuts=_CUT,
        )
        .sort("sku_id")
    )
