"""Turnover warnings: skus that sell too slowly for their stock, with a ladder of cuts; changes no price."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from models.pricing.bundle import PricingBundle
from models.pricing.config import PolicyConfig, PricingConfig
from models.pricing.formula import implied_elasticity
from models.pricing.inputs import sku_elasticities, sku_supply, units_sold

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
        listings: merchant_id, sku_id, list_price_cents; the median over merchants is the price.
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
    prices = (
        listings.filter(pl.col("list_price_cents").fill_null(0) > 0)
        .group_by("sku_id")
        .agg(price_cents=pl.col("list_price_cents").median().round().cast(pl.Int64))
    )
    slow = (
        sku_supply(supply)
        .rename({"supply_qty": "on_hand_qty"})
        .filter(pl.col("on_hand_qty") > 0)
        .join(prices, on="sku_id", how="inner")
        .join(moved, on="sku_id", how="left")
        .with_columns(pl.col("sold_qty").fill_null(0.0))
        .with_columns(turnover_rate=pl.col("sold_qty") / (pl.col("sold_qty") + pl.col("on_hand_qty")))
        .filter(pl.col("turnover_rate") < policy.turnover_warning)
    )
    if bundle is None:
        slow = slow.with_columns(elasticity=pl.lit(implied_elasticity(policy.cost_plus_markup)))
    else:
        slow = sku_elasticities(slow, bundle)
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


def turnover_sentences(warnings: pl.DataFrame, policy: PolicyConfig) -> pl.DataFrame:
    """Each warned sku in a sentence.

    Args:
        warnings: As `markdown_warnings` gives them.
        policy: The settings that they were made with.

    Returns:
        sku_id and turnover_warning, one row a sku, sorted by sku_id. Plain words and numbers without quotes.
    """
    cut = pl.format(
        "{}% off clears in {} days and gives up {} cents{}",
        (pl.col("cut_bps") / 100).round(1),
        pl.col("days_to_clear").round().cast(pl.Int64),
        "margin_cost_cents",
        pl.when("is_below_floor").then(pl.lit(" (below the floor)")).otherwise(pl.lit("")),
    )
    return (
        warnings.group_by("sku_id", maintain_order=True)
        .agg(
            pl.first("turnover_rate", "on_hand_qty", "days_to_clear_now"),
            cuts=cut.str.join("; ", ignore_nulls=True),
        )
        .select(
            "sku_id",
            turnover_warning=pl.format(
                f"turnover {{}}% in {policy.turnover_days} days is below {policy.turnover_warning:.0%}, "
                "{} units in stock",
                (pl.col("turnover_rate") * 100).round(1),
                "on_hand_qty",
            )
            + pl.when(pl.col("days_to_clear_now").is_null())
            .then(pl.lit("; nothing was sold"))
            .otherwise(
                pl.format(
                    "; they clear in {} days; {}", pl.col("days_to_clear_now").round().cast(pl.Int64), "cuts"
                )
            ),
        )
        .sort("sku_id")
    )
