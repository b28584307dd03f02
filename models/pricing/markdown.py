"""Turnover warnings: skus that sell too slowly for their stock, with a ladder of cuts; changes no price."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from models.pricing.bundle import load_bundle
from models.pricing.config import PricingConfig
from models.pricing.formula import implied_elasticity
from models.pricing.inputs import sku_elasticities, sku_supply

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
    offers_current: pl.DataFrame,
    lines: pl.DataFrame,
    stock: pl.DataFrame,
    as_of: datetime,
    bundle: Path | None,
    config: PricingConfig,
) -> pl.DataFrame:
    """Warn about skus with a 30-day turnover below 15%, and show what cuts would do.

    Args:
        listings: merchant_id, sku_id, list_price_cents; the median over merchants is the price.
        offers_current: As for `scoring.price`.
        lines: Order lines that cover the window: sku_id, qty, placed_at, is_merchandise, category_l3_id.
        stock: sku_id, on_hand_qty; may be empty, then the offers' stock counts.
        as_of: Business moment, aware UTC.
        bundle: Folder of promoted elasticities; None takes the elasticity that cost plus implies.
        config: Settings.

    Returns:
        `WARNING_SCHEMA`, sorted by sku_id and cut_bps; one row a warned sku and cut. Turnover is
        sold / (sold + on hand) over the window. days_to_clear is null where nothing sold. margin_cost_cents
        is what the cut gives up on the stock at hand. is_below_floor says that the guard rails forbid it.

    Raises:
        BundleError: The bundle cannot be read.
    """
    policy = config.policy
    window = timedelta(days=policy.turnover_days)
    sold = (
        lines.filter(
            pl.col("is_merchandise") & (pl.col("placed_at") <= as_of) & (pl.col("placed_at") > as_of - window)
        )
        .group_by("sku_id")
        .agg(sold_qty=pl.col("qty").sum(), category_l3_id=pl.col("category_l3_id").min())
    )
    prices = (
        listings.filter(pl.col("list_price_cents").fill_null(0) > 0)
        .group_by("sku_id")
        .agg(price_cents=pl.col("list_price_cents").median().round().cast(pl.Int64))
    )
    slow = (
        sku_supply(offers_current, stock)
        .rename({"supply_qty": "on_hand_qty"})
        .filter(pl.col("on_hand_qty") > 0)
        .join(prices, on="sku_id", how="inner")
        .join(sold, on="sku_id", how="left")
        .with_columns(pl.col("sold_qty").fill_null(0).cast(pl.Float64))
        .with_columns(turnover_rate=pl.col("sold_qty") / (pl.col("sold_qty") + pl.col("on_hand_qty")))
        .filter(pl.col("turnover_rate") < policy.turnover_warning)
    )
    if bundle is None:
        slow = slow.with_columns(elasticity=pl.lit(implied_elasticity(policy.cost_plus_markup)))
    else:
        slow = sku_elasticities(slow, load_bundle(bundle))
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
        .select(pl.col(name).cast(dtype) for name, dtype in WARNING_SCHEMA.items())
        .sort("sku_id", "cut_bps")
    )
