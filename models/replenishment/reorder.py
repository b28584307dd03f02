"""Reorder suggestions for suppliers and the merchants' shares of them.

Order up to a quantile of the demand over lead time and review, less what is on offer. Forecasting is not done
here; forecasts arrive as `demand_forecasts`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from models.replenishment.apportion import largest_remainder
from models.replenishment.config import ReorderConfig
from models.replenishment.disaggregate import (
    OUTER_WIDTH,
    merchant_sku_weeks,
    sku_shares,
    sku_weeks,
    units_per_line_factor,
)
from models.replenishment.limits import within_budget
from models.replenishment.loop.past_loop import SKU_LEVELS, sku_levels
from models.replenishment.protection import (
    demand_quantile,
    expected_lost,
    protection_demand,
    service_level,
)
from models.replenishment.sku_forecasts import (
    SKU_FORECASTS_SCHEMA,
    sku_forecasts,
)
from models.replenishment.stalled import stalled
from models.replenishment.suppliers import ranked_offers, split_over_suppliers

SUGGESTIONS_SCHEMA = pl.Schema(
    {
        "supplier_id": pl.String,
        "sku_id": pl.String,
        "on_hand_qty": pl.Int64,
        "lead_time_days": pl.Int64,
        "demand_mean_qty": pl.Float64,
        "demand_p90_qty": pl.Float64,
        "order_up_to_qty": pl.Int64,
        "reorder_qty": pl.Int64,
        "order_by_on": pl.Date,
        "is_stalled": pl.Boolean,
        "reason_code": pl.String,
        "explanation": pl.String,
    }
)
SHARES_SCHEMA = pl.Schema(
    {
        "merchant_id": pl.String,
        "sku_id": pl.String,
        "supplier_id": pl.String,
        "expected_qty": pl.Float64,
        "reorder_qty": pl.Int64,
    }
)
DEFAULT_LEAD_DAYS = 7


@dataclass(frozen=True)
class ReorderResult:
    """The published tables of the reorder rule.

    Attributes:
        reorder_suggestions: As in `PUBLISHED_TABLES`; one row per offer of a sku with expected demand or with
            stock: what lies there and is not expected to sell is found, too.
        reorder_merchant_shares: As in `PUBLISHED_TABLES`; only shares above 0, summing to the suggestion.
        sku_forecasts: As in `PUBLISHED_TABLES`; also of skus that nobody offers.
    """

    reorder_suggestions: pl.DataFrame
    reorder_merchant_shares: pl.DataFrame
    sku_forecasts: pl.DataFrame


def reorder(
    forecasts: pl.DataFrame,
    lines: pl.DataFrame,
    offers_current: pl.DataFrame,
    listings: pl.DataFrame,
    as_of: datetime,
    config: ReorderConfig | None = None,
    weekly: pl.DataFrame | None = None,
    new_listings: pl.DataFrame | None = None,
    out_of_stock: pl.DataFrame | None = None,
    *,
    stopped: Collection[str] = (),
) -> ReorderResult:
    """Suggest how much of each sku its suppliers should bring in, and by when.

    Args:
        forecasts: Columns of `demand_forecasts`.
        lines: Columns of core.fct_order_lines: split of categories over skus, and the newest days.
        offers_current: supplier_id, sku_id, supply_price_cents, on_hand_qty, capacity_per_day,
            lead_time_days, min_order_qty, valid_from, and optionally pack_qty and first_offered_at.
        listings: Columns of core.dim_listings; may be empty.
        as_of: Business time, with time zone.
        config: Settings.
        weekly: sku_id, week_start_on, qty of the past weeks, on which the quantile of each class of demand
            is tuned in the closed loop; without it every sku has `config.service_quantile`.
        new_listings: As `newcomers.NEW_LISTINGS`: what has no sale yet is expected to sell as new listings of
            its category do.
        out_of_stock: As `OUT_OF_STOCK`: when nobody had a sku, that it did not sell says nothing.
        stopped: Skus of which nothing is to be brought in, whatever is missing.

    Returns:
        Suggestions, shares and forecasts of skus; without offers only the last, without forecasts none.

    Raises:
        ValueError: `as_of` carries no time zone.
    """
    config = config or ReorderConfig()
    if as_of.utcoffset() is None:
        raise ValueError("reorder: as_of needs a time zone (UTC)")
    nothing = ReorderResult(
        SUGGESTIONS_SCHEMA.to_frame(), SHARES_SCHEMA.to_frame(), SKU_FORECASTS_SCHEMA.to_frame()
    )
    if forecasts.height == 0:
        return nothing
    today = (as_of + timedelta(hours=config.utc_offset_hours)).date()
    shares = sku_shares(lines, listings, today, config, new_listings, out_of_stock)
    units_per_line = units_per_line_factor(lines)
    pairs = merchant_sku_weeks(forecasts, shares, units_per_line, config.newcomer_cv)
    by_sku = sku_forecasts(pairs)
    if offers_current.height == 0:
        return replace(nothing, sku_forecasts=by_sku)
    offers = ranked_offers(offers_current, config)
    tuned = SKU_LEVELS.to_frame()
    if weekly is not None:
        spread = _forecast_cv(forecasts)
        tuned = sku_levels(weekly, offers, today, config, units_per_line=units_per_line, forecast_cv=spread)
    levels = _levels(forecasts, pairs, offers, tuned, today, config)
    stock = levels.select("sku_id", "safety_stock_qty", "offered_on", on_hand_qty="on_hand_total")
    alarms = stalled(lines, stock, today, config)
    orders = split_over_suppliers(
        offers.join(levels.drop("lead_days", "offered_on"), on="sku_id", how="inner").with_columns(
            is_stopped=pl.col("sku_id").is_in(sorted(stopped)),
            need_qty=pl.when(~pl.col("sku_id").is_in(sorted(stopped)))
            .then(pl.max_horizontal(pl.col("order_up_to_qty") - pl.col("on_hand_total"), pl.lit(0)))
            .otherwise(0),
        ),
        config,
    ).join(alarms, on="sku_id", how="left")
    orders = orders.join(by_sku.select("sku_id", "basis").unique("sku_id"), on="sku_id", how="left")
    orders = _with_budget(orders, config)
    suggestions = _suggestions(orders, today, config)
    return ReorderResult(suggestions, _merchant_shares(orders, pairs), by_sku)


def _levels(
    forecasts: pl.DataFrame,
    pairs: pl.DataFrame,
    offers: pl.DataFrame,
    tuned: pl.DataFrame,
    today: date,
    config: ReorderConfig,
) -> pl.DataFrame:
    """Order-up-to level, reorder point and safety stock of each sku with an offer and demand or stock."""
    horizon = int(forecasts["horizon_weeks"].max())  # type: ignore[arg-type]
    first_week = forecasts["week_start_on"].min()
    elapsed = max(0, (today - first_week).days) if isinstance(first_week, date) else 0
    sku, mean, variance = sku_weeks(pairs, horizon)
    weekly = pl.DataFrame({"sku_id": sku, "row": np.arange(len(sku))}, schema_overrides={"sku_id": pl.String})
    chosen = (
        offers.group_by("sku_id")
        .agg(
            # The slowest supplier decides: an order may be split, and the last part must still arrive.
            lead_days=pl.col("lead_time_days").max().fill_null(DEFAULT_LEAD_DAYS).cast(pl.Float64),
            on_hand_total=pl.col("on_hand_qty").fill_null(0).clip(0).sum().cast(pl.Int64),
            offered_on=(
                pl.col("first_offered_at").min() + timedelta(hours=config.utc_offset_hours)
            ).dt.date(),
        )
        .join(weekly, on="sku_id", how="left")
        .filter(pl.col("row").is_not_null() | (pl.col("on_hand_total") > 0))
        .join(tuned, on="sku_id", how="left")
        .with_columns(pl.col("service_quantile").fill_null(config.service_quantile))
        .sort("sku_id")
    )
    quantile = chosen["service_quantile"].to_numpy()
    # Stock of which nothing is expected to sell: the row behind the last, without demand.
    rows, lead = chosen["row"].fill_null(len(sku)).to_numpy(), chosen["lead_days"].to_numpy()
    nothing = np.zeros((1, horizon))
    mean, variance = np.vstack([mean, nothing])[rows], np.vstack([variance, nothing])[rows]
    total, spread = protection_demand(mean, variance, lead, config.lead_time_cv, config.review_days, elapsed)
    lead_mean, lead_spread = protection_demand(mean, variance, lead, config.lead_time_cv, 0, elapsed)
    level = demand_quantile(total, spread, quantile)
    daily = total / np.maximum(lead + config.review_days, 1.0)
    point = demand_quantile(lead_mean, lead_spread, quantile)
    spare = np.maximum(chosen["on_hand_total"].to_numpy() - point, 0.0)
    days_left = np.floor(np.divide(spare, daily, out=np.full(len(daily), 3650.0), where=daily > 0))
    kept = ("sku_id", "on_hand_total", "lead_days", "offered_on", "demand_class", "service_quantile")
    return chosen.select(*kept).with_columns(
        demand_mean_qty=total,
        demand_variance=spread,
        demand_p90_qty=demand_quantile(total, spread, 0.9),
        order_up_to_qty=level.astype(np.int64),
        reorder_point_qty=point.astype(np.int64),
        safety_stock_qty=np.maximum(level - total, 0.0),
        days_left=np.minimum(days_left, 3650.0).astype(np.int64),
    )


def _forecast_cv(forecasts: pl.DataFrame) -> float:
    """Median over the forecasts of their standard deviation over their mean."""
    spread = (pl.col("p90_qty") - pl.col("p10_qty")) / OUTER_WIDTH / pl.col("mean_qty")
    value = forecasts.filter(pl.col("mean_qty") > 0).select(spread.median()).item()
    return float(value or 0.0)


def _with_budget(orders: pl.DataFrame, config: ReorderConfig) -> pl.DataFrame:
    """Cut the orders to the budget; over_budget_qty tells by how much."""
    if config.budget_cents is None or orders.is_empty():
        return orders.with_columns(over_budget_qty=pl.lit(0, pl.Int64))
    # An offer without a price costs nothing that is known, and stays.
    priced = orders.with_columns(cost=pl.col("supply_price_cents").fill_null(0).cast(pl.Float64))
    ordered = pl.col("reorder_qty").sum().over("sku_id")
    spent = (pl.col("reorder_qty") * pl.col("cost")).sum().over("sku_id")
    sums = priced.select(ordered=ordered.cast(pl.Float64), spent=spent)
    mean, variance = (orders[name].to_numpy() for name in ("demand_mean_qty", "demand_variance"))
    at_hand = orders["on_hand_total"].cast(pl.Float64).to_numpy()
    avoided = expected_lost(mean, variance, at_hand) - expected_lost(
        mean, variance, at_hand + sums["ordered"].to_numpy()
    )
    kept = within_budget(
        orders["reorder_qty"].cast(pl.Float64).to_numpy(),
        priced["cost"].to_numpy(),
        orders["minimum"].to_numpy(),
        orders["pack"].to_numpy(),
        avoided / np.maximum(sums["spent"].to_numpy(), 1.0),
        float(config.budget_cents),
    )
    cut = pl.Series(kept).cast(pl.Int64)
    return orders.with_columns(reorder_qty=cut, over_budget_qty=pl.col("reorder_qty") - cut)


def _with_outlook(orders: pl.DataFrame, config: ReorderConfig) -> pl.DataFrame:
    """What the stock and all orders of a sku lead to by the end of lead time and review."""
    stock = orders.select(
        (pl.col("on_hand_total") + pl.col("reorder_qty").sum().over("sku_id")).cast(pl.Float64)
    )
    at_hand = stock.to_series().to_numpy()
    mean, variance = (orders[name].to_numpy() for name in ("demand_mean_qty", "demand_variance"))
    lost = expected_lost(mean, variance, at_hand)
    left = np.maximum(at_hand - mean + lost, 0.0)
    return orders.with_columns(
        service_level=service_level(mean, variance, at_hand),
        expected_lost_qty=lost,
        expected_left_qty=left,
        expected_cost=config.lost_sale_cost * lost + config.holding_cost * left,
    )


def _suggestions(orders: pl.DataFrame, today: date, config: ReorderConfig) -> pl.DataFrame:
    """Reason, date and explanation of each order."""
    ordered = pl.col("reorder_qty") > 0
    short = pl.col("shortfall_qty") > 0
    over = pl.col("over_budget_qty") > 0
    reason = (
        pl.when(pl.col("is_stopped"))
        .then(pl.lit("stopped_by_quality_brake"))
        .when(ordered & over)
        .then(pl.lit("reorder_cut_by_budget"))
        .when(over)
        .then(pl.lit("over_budget"))
        .when(ordered & short)
        .then(pl.lit("reorder_capped_by_capacity"))
        .when(ordered)
        .then(pl.lit("below_order_up_to_level"))
        .when(pl.col("demand_mean_qty") == 0)
        .then(pl.lit("no_expected_demand"))
        .when(pl.col("need_qty") == 0)
        .then(pl.lit("enough_stock"))
        .when(pl.col("wanted_qty") == 0)
        .then(pl.lit("covered_by_other_supplier"))
        .otherwise(pl.lit("capacity_below_minimum_order"))
    )
    orders = _with_outlook(orders, config)
    explanation = pl.struct(
        demand_basis="basis",
        demand_class="demand_class",
        service_quantile="service_quantile",
        service_level=pl.col("service_level").round(4),
        expected_lost_qty=pl.col("expected_lost_qty").round(2),
        expected_left_qty=pl.col("expected_left_qty").round(2),
        expected_cost=pl.col("expected_cost").round(2),
        review_days=pl.lit(config.review_days),
        safety_stock_qty=pl.col("safety_stock_qty").round(2),
        reorder_point_qty="reorder_point_qty",
        need_qty="need_qty",
        is_primary=pl.col("place") == 0,
        wanted_qty="wanted_qty",
        min_order_qty="minimum",
        pack_qty="pack",
        capacity_qty="capacity",
        open_share_qty="open_qty",
        shortfall_qty="shortfall_qty",
        over_budget_qty="over_budget_qty",
        is_stock_known=pl.col("on_hand_qty").is_not_null(),
    ).struct.json_encode()
    return (
        orders.with_columns(
            order_by_on=pl.when(ordered).then(pl.lit(today) + pl.duration(days=pl.col("days_left"))),
            reason_code=reason,
            explanation=explanation,
        )
        .select([pl.col(name).cast(kind) for name, kind in SUGGESTIONS_SCHEMA.items()])
        .sort("supplier_id", "sku_id")
    )


def _merchant_shares(orders: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Split each order over the merchants by their expected demand."""
    placed = orders.filter(pl.col("reorder_qty") > 0).select(
        "supplier_id",
        "sku_id",
        total_qty="reorder_qty",
        supplier_part=pl.col("reorder_qty") / pl.col("reorder_qty").sum().over("sku_id"),
        demand_mean_qty="demand_mean_qty",
    )
    weight = pairs.group_by("merchant_id", "sku_id").agg(weight=pl.col("mean").sort().sum())
    weight = weight.sort("merchant_id", "sku_id")
    parts = (
        weight.join(placed, on="sku_id", how="inner", maintain_order="left_right")
        .with_columns(
            expected_qty=pl.col("demand_mean_qty")
            * pl.col("supplier_part")
            * pl.col("weight")
            / pl.col("weight").sum().over("supplier_id", "sku_id")
        )
        .sort("supplier_id", "sku_id", "merchant_id")
    )
    split = largest_remainder(
        parts, ["supplier_id", "sku_id"], "weight", "total_qty", "merchant_id", "reorder_qty"
    )
    return (
        split.filter(pl.col("reorder_qty") > 0)
        .select([pl.col(name).cast(kind) for name, kind in SHARES_SCHEMA.items()])
        .sort("merchant_id", "sku_id", "supplier_id")
    )
