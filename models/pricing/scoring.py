"""Prices of listings: inputs joined, anchor, policy, guard rails, explanation with turnover warnings.

Reads frames and a bundle folder; writes nothing. Uses polars, so a serving process must not import it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from models.contracts import PUBLISHED_TABLES
from models.pricing.bundle import PricingBundle, load_bundle
from models.pricing.config import GuardConfig, PolicyConfig, PricingConfig
from models.pricing.inputs import learning_week, listing_inputs
from models.pricing.rules.explanation import Step, explain
from models.pricing.rules.formula import (
    FloatArray,
    formula_printed,
    implied_elasticity,
    index_parameters,
    price_index,
    scarcity,
)
from models.pricing.rules.guards import (
    NO_LAW_MAX,
    BoolArray,
    GuardInputs,
    GuardResult,
    IntArray,
    apply_guards,
)
from models.pricing.rules.markdown import markdown_warnings, turnover_ladders
from models.pricing.rules.policy import Beliefs, Choice, choose, log_beliefs, uniform_of

_PRICE_TYPES = {"text": pl.String(), "json": pl.String(), "int": pl.Int64(), "float": pl.Float64()}
PRICE_SCHEMA = pl.Schema(
    {column.name: _PRICE_TYPES[column.type] for column in PUBLISHED_TABLES["prices"].columns}
)


@dataclass(frozen=True)
class _Anchors:
    """Anchor and its parts, float64 (n,) each; the elasticity is the point estimate."""

    anchor: FloatArray
    printed: FloatArray
    markup: FloatArray
    scarce: FloatArray
    relative: FloatArray
    beliefs: Beliefs
    has_model: bool


def price(
    listings: pl.DataFrame,
    supply: pl.DataFrame,
    competitor_prices: pl.DataFrame,
    sold: pl.DataFrame,
    as_of: datetime,
    bundle: Path | None,
    config: PricingConfig,
    periods: pl.DataFrame | None = None,
    unpromoted: Collection[str] = (),
) -> pl.DataFrame:
    """Suggest a price for each listing that somebody supplies.

    Args:
        listings: Current listings, one row a merchant and sku: merchant_id, sku_id, list_price_cents,
            pricing_mode (null means `approve`). Optional columns: current_price_cents (else the list price),
            week_low_price_cents and week_high_price_cents (lowest and highest of the last seven days, else
            the current price), map_cents, legal_max_cents, valid_from (last change of the price, for dwell),
            cost_at_change_cents (the cost at that change, to tell whether it jumped since).
        supply: Offers in force with what their supplier has at hand: supplier_id, sku_id, category_l3_id
            (nullable), supply_price_cents, on_hand_qty. The cheapest offer in stock is the cost; the cheapest
            of all where none is in stock.
        competitor_prices: sku_id, competitor, observed_at, price_cents; may be empty.
        sold: Sale lines that cover the windows of demand and turnover: merchant_id, sku_id, placed_at,
            qty_milli (thousandths of a unit).
        as_of: Business moment, aware UTC.
        bundle: Folder of promoted elasticities; None means cost plus.
        config: Settings.
        periods: What sold at the prices that the platform put in force, `learning.PERIOD_SCHEMA`; only whole
            weeks before that of `as_of` are learnt from, so that beliefs change once a week. None: nothing.
        unpromoted: Skus that the quality brake limits: no policy cuts their price.

    Returns:
        The columns of `PUBLISHED_TABLES["prices"]`, sorted by merchant_id and sku_id. Listings without an
        offer or without a list price have no row; `inputs.count_unpriced` counts them. Only the mode `auto`
        publishes, and only moves within the steps: what law, floor or ceiling force asks in every mode.

    Raises:
        ModelError: A listing appears twice.
        BundleError: The bundle cannot be read.

    Note:
        A price depends on skus of its own category (`category_l3_id`) only: the typical scarcity and the
        change budget are the category's. Scoring whole categories therefore gives the rows that scoring
        everything gives.
    """
    elasticities = None if bundle is None else load_bundle(bundle)
    rows = listing_inputs(
        listings, supply, competitor_prices, sold, as_of, elasticities, config.policy, periods
    )
    if rows.is_empty():
        return pl.DataFrame(schema=PRICE_SCHEMA)
    slow = turnover_ladders(markdown_warnings(listings, supply, sold, as_of, elasticities, config))
    rows = rows.join(slow, on="sku_id", how="left", maintain_order="left")
    anchors = _anchors(rows, elasticities, config.policy)
    choice = _choice(rows, anchors, as_of, config.policy)
    inputs = _guard_inputs(rows, _without_cuts(rows, choice, unpromoted))
    guarded = apply_guards(inputs, config.guards)
    changed = guarded.price_cents != inputs.current_cents
    anchor_cents = _cents(anchors.anchor)
    # What a hard rail forces may go far beyond a step, because a cost jumped: that is a person's to decide.
    by_itself = (rows.get_column("pricing_mode") == "auto") & ~pl.Series(guarded.is_forced)
    action = (
        pl.when(~pl.Series(changed))
        .then(pl.lit("keep"))
        .when(by_itself)
        .then(pl.lit("publish"))
        .otherwise(pl.lit("await_approval"))
    )
    return rows.select(
        "merchant_id",
        "sku_id",
        "cost_cents",
        "list_price_cents",
        price_cents=pl.Series(guarded.price_cents),
        floor_cents=pl.Series(guarded.floor_cents),
        ceiling_cents=pl.Series(guarded.ceiling_cents),
        anchor_cents=pl.Series(anchor_cents),
        printed_formula_cents=_nullable_cents(anchors.printed),
        elasticity=pl.Series(anchors.beliefs.elasticity),
        pricing_mode=pl.col("pricing_mode"),
        action=action,
        explanation=_explanation(rows, anchors, anchor_cents, choice, inputs, guarded, config),
    ).cast(PRICE_SCHEMA)


def _floats(rows: pl.DataFrame, name: str) -> FloatArray:
    """A column as float64, null as NaN."""
    return rows.get_column(name).cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _anchors(rows: pl.DataFrame, bundle: PricingBundle | None, policy: PolicyConfig) -> _Anchors:
    """Anchor of each row: the index with a promoted model, cost plus without."""
    cost, demand, supply = (_floats(rows, name) for name in ("cost_cents", "demand_qty", "supply_qty"))
    competitor, market = _floats(rows, "competitor_cents"), _floats(rows, "market_mean_cents")
    relative = np.where(np.isfinite(competitor / market), competitor / market, 1.0)
    ones = np.ones(rows.height)
    if bundle is None:
        markup = ones * policy.cost_plus_markup
        implied = implied_elasticity(policy.cost_plus_markup)
        beliefs = log_beliefs(ones * implied, ones * 0.0, implied)
        anchor, scarce = cost * (1.0 + markup), ones
    else:
        beliefs = Beliefs(_floats(rows, "log_size"), _floats(rows, "log_deviation"), bundle.max_elasticity)
        scarce = scarcity(demand, supply, _floats(rows, "typical_ratio"))
        markup, alpha, beta = index_parameters(
            beliefs.elasticity,
            demand > supply,
            theta=policy.theta,
            slack_share=policy.slack_share,
            min_abs_elasticity=policy.min_abs_elasticity,
        )
        anchor = price_index(cost, markup, scarce, competitor, market, alpha, beta)
    printed = formula_printed(cost, markup, demand, supply, relative, ones)
    return _Anchors(anchor, printed, markup, scarce, relative, beliefs, bundle is not None)


def _choice(rows: pl.DataFrame, anchors: _Anchors, as_of: datetime, policy: PolicyConfig) -> Choice:
    """The policy's targets; cost plus takes its anchor as it is."""
    cost, current = _floats(rows, "cost_cents"), _floats(rows, "current_price_cents")
    own_qty = _floats(rows, "own_qty")
    if not anchors.has_model:
        target = np.maximum(np.rint(anchors.anchor), 1.0)
        response = np.exp(np.clip(anchors.beliefs.elasticity * np.log(target / current), -50.0, 50.0))
        gain = own_qty * ((target - cost) * response - (current - cost))
        return Choice(target.astype(np.int64), gain)
    draw = np.full(rows.height, 0.5)
    if policy.learning == "thompson":
        # Beliefs are learned weekly. A draw that changed within the week would move a price without news.
        week = learning_week(as_of)
        draw = uniform_of(week, rows.get_column("merchant_id").to_list(), rows.get_column("sku_id").to_list())
    return choose(anchors.anchor, cost, current, own_qty, anchors.beliefs, policy, draw)


def _without_cuts(rows: pl.DataFrame, choice: Choice, unpromoted: Collection[str]) -> Choice:
    """The targets, but no cut of what nothing may promote."""
    held = rows.get_column("sku_id").is_in(sorted(unpromoted)).to_numpy()
    current = rows.get_column("current_price_cents").cast(pl.Int64).to_numpy()
    uncut = np.maximum(choice.target_cents, current)
    return replace(choice, target_cents=np.where(held, uncut, choice.target_cents))


def _guard_inputs(rows: pl.DataFrame, choice: Choice) -> GuardInputs:
    """Put the columns into guard-rail arrays."""

    def cents(name: str, absent: int = 0) -> IntArray:
        return rows.get_column(name).fill_null(absent).cast(pl.Int64).to_numpy()

    return GuardInputs(
        target_cents=choice.target_cents,
        current_cents=cents("current_price_cents"),
        week_low_cents=cents("week_low_price_cents"),
        week_high_cents=cents("week_high_price_cents"),
        list_price_cents=cents("list_price_cents"),
        cost_cents=cents("cost_cents"),
        law_min_cents=cents("map_cents"),
        law_max_cents=np.maximum(cents("legal_max_cents", NO_LAW_MAX), 1),
        days_since_change=np.nan_to_num(_floats(rows, "days_since_change"), nan=np.inf),
        gain_cents=choice.gain_cents,
        is_fixed=(rows.get_column("pricing_mode") == "fixed").to_numpy(),
        budget_group=rows.get_column("group_id").rank("dense").cast(pl.Int64).to_numpy(),
    )


def _cents(values: FloatArray) -> IntArray:
    """Float cents to int64, at least 1 cent."""
    return np.clip(np.rint(values), 1.0, float(NO_LAW_MAX)).astype(np.int64)


def _nullable_cents(values: FloatArray) -> pl.Series:
    """Float cents to Int64; null where not finite or beyond exact integers."""
    usable = np.isfinite(values) & (np.abs(values) < float(NO_LAW_MAX))
    whole = np.rint(np.where(usable, values, 0.0)).astype(np.int64)
    return pl.Series(whole).to_frame("v").select(pl.when(pl.Series(usable)).then("v")).to_series()


def _explanation(
    rows: pl.DataFrame,
    anchors: _Anchors,
    anchor_cents: IntArray,
    choice: Choice,
    inputs: GuardInputs,
    guarded: GuardResult,
    config: PricingConfig,
) -> pl.Series:
    """All steps from cost to price; a rail appears where it moved the price, a turnover warning where due."""
    everyone: BoolArray = np.ones(len(anchor_cents), dtype=np.bool_)
    policy = config.policy
    current = pl.Series(inputs.current_cents)
    how: dict[str, Any] = {"rule": "cost_plus", "markup": policy.cost_plus_markup}
    if anchors.has_model:
        how = {
            "rule": "index",
            "markup": pl.Series(anchors.markup).round(4),
            "scarcity": pl.Series(anchors.scarce).round(4),
            "competitor_ratio": pl.Series(anchors.relative).round(4),
            "elasticity": pl.Series(anchors.beliefs.elasticity).round(4),
        }
    chosen = policy.learning if anchors.has_model else "anchor"
    steps = [
        Step("anchor", inputs.cost_cents, anchor_cents, everyone, {**how, "current_cents": current}),
        Step("policy", anchor_cents, choice.target_cents, ~inputs.is_fixed, {"rule": chosen}),
        Step(
            "quality_brake",
            choice.target_cents,
            inputs.target_cents,
            ~inputs.is_fixed & (choice.target_cents != inputs.target_cents),
        ),
        Step("fixed", anchor_cents, inputs.current_cents, inputs.is_fixed),
    ]
    numbers = _rail_numbers(rows, inputs, guarded, config.guards)
    steps += [
        Step(
            step.name,
            step.before_cents,
            step.after_cents,
            step.before_cents != step.after_cents,
            numbers.get(step.name, {}),
        )
        for step in guarded.steps
    ]
    final = guarded.price_cents
    asks = guarded.is_forced & (final != inputs.current_cents)
    steps.append(Step("asks", final, final, asks, _causes(rows, inputs, guarded, policy)))
    slow: dict[str, Any] = {
        "turnover_rate": rows.get_column("turnover_rate"),
        "window_days": policy.turnover_days,
        "on_hand_qty": rows.get_column("turnover_on_hand_qty"),
        "days_to_clear_now": rows.get_column("days_to_clear_now"),
        "cuts": rows.get_column("cuts"),
    }
    steps.append(Step("turnover", final, final, slow["turnover_rate"].is_not_null().to_numpy(), slow))
    return explain(steps, len(anchor_cents))


def _rail_numbers(
    rows: pl.DataFrame, inputs: GuardInputs, guarded: GuardResult, rails: GuardConfig
) -> dict[str, dict[str, Any]]:
    """What each rail was made with, by the rail."""
    return {
        "law": {"map_cents": rows.get_column("map_cents"), "max_cents": rows.get_column("legal_max_cents")},
        "floor": {"min_margin_bps": rails.min_margin_bps},
        "ceiling": {
            "ceiling_bps": rails.ceiling_bps,
            "list_price_cents": pl.Series(inputs.list_price_cents),
            # Where the floor lies above the ceiling, the floor is what holds.
            "is_lifted_to_floor": pl.Series(guarded.is_ceiling_lifted),
        },
        "step": {"most_bps": rails.step_bps},
        "week_step": {
            "most_bps": rails.week_step_bps,
            "week_low_cents": pl.Series(inputs.week_low_cents),
            "week_high_cents": pl.Series(inputs.week_high_cents),
        },
        "dwell": {
            "days": rails.dwell_days,
            "days_since_change": rows.get_column("days_since_change").round(2),
        },
        "change_budget": {"most_bps": rails.change_budget_bps},
    }


def _causes(
    rows: pl.DataFrame, inputs: GuardInputs, guarded: GuardResult, policy: PolicyConfig
) -> dict[str, pl.Series]:
    """Why a price must be decided by a person: the limit that it breaks, how far the next price is, the cost.

    The cause is `cost_jumped` where the floor rose above the price because the cost rose by more than
    `cost_jump_bps` since the price last changed: then it is the cost that is to be doubted first.
    """
    frame = rows.select("cost_cents", "cost_at_change_cents").with_columns(
        now=inputs.current_cents,
        price=guarded.price_cents,
        floor=guarded.floor_cents,
        ceiling=guarded.ceiling_cents,
    )
    below = pl.col("now") < pl.col("floor")
    before = pl.col("cost_at_change_cents")
    jumped = (pl.col("cost_cents") * 10_000 > before * (10_000 + policy.cost_jump_bps)).fill_null(False)
    found = frame.select(
        cause=pl.when(below & jumped)
        .then(pl.lit("cost_jumped"))
        .when(below)
        .then(pl.lit("below_floor"))
        .otherwise(pl.lit("above_ceiling")),
        current_cents="now",
        limit_cents=pl.when(below).then("floor").otherwise("ceiling"),
        move_bps=((pl.col("price") - pl.col("now")) * 10_000 / pl.col("now")).round().cast(pl.Int64),
        cost_cents="cost_cents",
        cost_at_change_cents=before,
    )
    return {name: found.get_column(name) for name in found.columns}
