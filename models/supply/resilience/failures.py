"""What if a supplier fails tomorrow: who takes over, what is lost, what it costs, how much later it arrives.

The others take over from what they have beside their own sales: stock at hand and stated capacity, the
cheaper ones first. What nobody has is lost with what buyers would have paid.
"""

from __future__ import annotations

import json

import numpy as np
import polars as pl

from models.supply.resilience.config import ResilienceConfig

FAILURES_SCHEMA = pl.Schema(
    {
        "supplier_id": pl.String,
        "horizon_days": pl.Int64,
        "skus": pl.Int64,
        "units": pl.Float64,
        "lost_units": pl.Float64,
        "lost_sales_cents": pl.Int64,
        "extra_cost_cents": pl.Int64,
        "extra_days": pl.Float64,
        "days_until_short": pl.Int64,
        "lost_skus": pl.String,
    }
)

NOTHING = 1e-6
"""Units that count as none."""
_KEY = ["failed_id", "sku_id"]


def failures(supply: pl.DataFrame, config: ResilienceConfig) -> pl.DataFrame:
    """Try every supplier that ships something.

    Args:
        supply: From `daily_supply`.
        config: Settings.

    Returns:
        As `FAILURES_SCHEMA`, one row a supplier: units that it would ship within the horizon, those that are
        lost and what buyers paid for as many; what the taken-over units cost more (less: negative); by how
        many days they arrive later, weighted by units (null where nothing is taken over); the first day on
        which some sku runs short (null: none within the horizon); the skus that lose most units, as JSON.
    """
    horizon = config.horizon_days
    failed = supply.filter((pl.col("per_day") > 0) & "is_offered").select(
        "sku_id",
        failed_id="supplier_id",
        need_per_day="per_day",
        failed_cents="unit_cents",
        failed_lead="lead_time_days",
        price_cents="price_cents",
    )
    others = (
        failed.join(supply.filter("is_offered"), on="sku_id", suffix="_other")
        .filter(pl.col("supplier_id") != pl.col("failed_id"))
        .with_columns(spare=spare_units(pl.lit(horizon)))
        .sort(*_KEY, "unit_cents", "lead_time_days", "supplier_id")
    )
    need = pl.col("need_per_day") * horizon
    before = pl.col("spare").cum_sum().over(_KEY) - pl.col("spare")
    taken = others.with_columns(taken=pl.min_horizontal("spare", (need - before).clip(0)))
    moves = taken.group_by(_KEY).agg(
        taken=pl.col("taken").sum(),
        extra_cents=(pl.col("taken") * (pl.col("unit_cents") - pl.col("failed_cents"))).sum(),
        late_units=(pl.col("taken") * (pl.col("lead_time_days") - pl.col("failed_lead")).clip(0)).sum(),
    )
    skus = (
        failed.join(moves, on=_KEY, how="left")
        .join(_short_days(others, failed, horizon), on=_KEY, how="left")
        .with_columns(pl.col("taken", "extra_cents", "late_units").fill_null(0.0))
        .with_columns(lost=(need - pl.col("taken")).clip(0))
        .with_columns(lost=pl.when(pl.col("lost") > NOTHING).then("lost").otherwise(0.0))
    )
    told = (
        skus.sort("lost", "sku_id", descending=[True, False])
        .group_by("failed_id", maintain_order=True)
        .agg(
            horizon_days=pl.lit(horizon),
            skus=pl.len(),
            units=need.sum(),
            lost_units=pl.col("lost").sum(),
            lost_sales_cents=(pl.col("lost") * pl.col("price_cents").fill_null(0)).sum().round(),
            extra_cost_cents=pl.col("extra_cents").sum().round(),
            extra_days=pl.when(pl.col("taken").sum() > NOTHING).then(
                pl.col("late_units").sum() / pl.col("taken").sum()
            ),
            days_until_short=pl.col("short_on").min(),
            lost_skus=pl.col("sku_id").filter(pl.col("lost") > 0).head(config.most_trials),
        )
        .sort("failed_id")
        .rename({"failed_id": "supplier_id"})
    )
    lost_skus = pl.Series("lost_skus", map(json.dumps, told["lost_skus"].to_list()), dtype=pl.String)
    return told.with_columns(lost_skus).select(
        [pl.col(name).cast(kind) for name, kind in FAILURES_SCHEMA.items()]
    )


def spare_units(day: pl.Expr) -> pl.Expr:
    """Units that a supplier has beside its own sales up to a day: stock, and capacity after its lead time."""
    made = pl.col("capacity_per_day") * (day - pl.col("lead_time_days")).clip(0)
    return (pl.col("on_hand_qty") + made - pl.col("per_day") * day).clip(0)


def _short_days(others: pl.DataFrame, failed: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """The first day on which the others have not what the failed supplier would have shipped by then."""
    days = pl.DataFrame({"day": np.arange(1, horizon + 1)})
    has = (
        others.join(days, how="cross")
        .with_columns(spare=spare_units(pl.col("day")))
        .group_by(*_KEY, "day")
        .agg(pl.col("spare").sum())
    )
    return (
        failed.select(*_KEY, "need_per_day")
        .join(days, how="cross")
        .join(has, on=[*_KEY, "day"], how="left")
        .filter(pl.col("need_per_day") * pl.col("day") > pl.col("spare").fill_null(0.0) + NOTHING)
        .group_by(_KEY)
        .agg(short_on=pl.col("day").min())
    )
