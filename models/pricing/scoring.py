"""Prices of listings: inputs joined, anchor, policy, guard rails, explanation. Markdown warnings: `markdown`.

Reads frames and a bundle folder; writes nothing. Uses polars, so a serving process must not import it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from models.contracts import PUBLISHED_TABLES
from models.errors import ModelError
from models.pricing.bundle import OVERALL, PricingBundle, load_bundle
from models.pricing.config import PolicyConfig, PricingConfig
from models.pricing.explanation import Step, explain
from models.pricing.formula import FloatArray, formula_printed, index_parameters, price_index, scarcity
from models.pricing.guards import NO_LAW_MAX, BoolArray, GuardInputs, GuardResult, IntArray, apply_guards
from models.pricing.policy import Beliefs, Choice, choose, uniform_of

_PRICE_TYPES = {"text": pl.String, "json": pl.String, "int": pl.Int64, "float": pl.Float64}
PRICE_SCHEMA = {column.name: _PRICE_TYPES[column.type] for column in PUBLISHED_TABLES["prices"].columns}
_LISTING_OPTIONS: dict[str, pl.DataType] = {
    "current_price_cents": pl.Int64(),
    "week_ago_price_cents": pl.Int64(),
    "map_cents": pl.Int64(),
    "legal_max_cents": pl.Int64(),
    "valid_from": pl.Datetime("us", "UTC"),
}


@dataclass(frozen=True)
class _Anchors:
    """Anchor and its parts, float64 (n,) each; the elasticity is the point estimate."""

    anchor: FloatArray
    printed: FloatArray
    markup: FloatArray
    scarce: FloatArray
    relative: FloatArray
    beliefs: Beliefs


def price(
    listings: pl.DataFrame,
    offers_current: pl.DataFrame,
    competitor_prices: pl.DataFrame,
    lines: pl.DataFrame,
    stock: pl.DataFrame,
    as_of: datetime,
    bundle: Path | None,
    config: PricingConfig,
) -> pl.DataFrame:
    """Suggest a price for each listing that somebody supplies.

    Args:
        listings: Current listings, one row a merchant and sku: merchant_id, sku_id, list_price_cents,
            pricing_mode (null means `approve`). Optional columns: current_price_cents (else the list price),
            week_ago_price_cents (else the current price), map_cents, legal_max_cents, valid_from (last change
            of the price, for dwell).
        offers_current: sku_id, supplier_id, supply_price_cents, stock_qty. The cheapest offer in stock is the
            cost; the cheapest of all where none is in stock.
        competitor_prices: sku_id, competitor, observed_at, price_cents; may be empty.
        lines: Order lines that cover the demand window: sku_id, merchant_id, qty, placed_at, is_merchandise,
            category_l3_id.
        stock: sku_id, on_hand_qty; may be empty, then the offers' stock counts.
        as_of: Business moment, aware UTC.
        bundle: Folder of promoted elasticities; None means cost plus.
        config: Settings.

    Returns:
        The columns of `PUBLISHED_TABLES["prices"]`, sorted by merchant_id and sku_id. Listings without an
        offer or without a list price have no row; `count_unpriced` counts them.

    Raises:
        ModelError: A listing appears twice.
        BundleError: The bundle cannot be read.
    """
    elasticities = None if bundle is None else load_bundle(bundle)
    rows = _inputs(
        listings, offers_current, competitor_prices, lines, stock, as_of, elasticities, config.policy
    )
    if rows.is_empty():
        return pl.DataFrame(schema=PRICE_SCHEMA)
    anchors = _anchors(rows, elasticities, config.policy)
    choice = _choice(rows, anchors, elasticities is not None, as_of, config.policy)
    inputs = _guard_inputs(rows, choice)
    guarded = apply_guards(inputs, config.guards)
    changed = guarded.price_cents != inputs.current_cents
    anchor_cents = _cents(anchors.anchor)
    action = (
        pl.when(~pl.Series(changed))
        .then(pl.lit("keep"))
        .when(rows.get_column("pricing_mode") == "auto")
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
        explanation=_explanation(anchors, anchor_cents, inputs, guarded, elasticities is not None, config),
    ).cast(PRICE_SCHEMA)


def count_unpriced(listings: pl.DataFrame, offers_current: pl.DataFrame) -> dict[str, int]:
    """Listings that get no row from `price`, by reason.

    Args:
        listings: As for `price`.
        offers_current: As for `price`.

    Returns:
        `without_list_price` and `without_offer`; a listing is counted once, in this order.
    """
    priced = pl.col("list_price_cents").fill_null(0) > 0
    sellable = listings.filter(priced)
    supplied = sellable.join(_costs(offers_current), on="sku_id", how="semi")
    return {
        "without_list_price": listings.height - sellable.height,
        "without_offer": sellable.height - supplied.height,
    }


def sku_supply(offers_current: pl.DataFrame, stock: pl.DataFrame) -> pl.DataFrame:
    """Cost and sellable stock of each sku with an offer: sku_id, cost_cents, supply_qty; sorted by sku_id."""
    on_hand = stock.select("sku_id", pl.col("on_hand_qty").cast(pl.Int64)).drop_nulls()
    on_hand = on_hand.group_by("sku_id").agg(pl.col("on_hand_qty").sum())
    return (
        _costs(offers_current)
        .join(on_hand, on="sku_id", how="left")
        .select("sku_id", "cost_cents", supply_qty=pl.coalesce("on_hand_qty", "offered_qty").clip(0))
        .sort("sku_id")
    )


def sku_elasticities(skus: pl.DataFrame, bundle: PricingBundle) -> pl.DataFrame:
    """Elasticity and deviation of each sku; a new sku takes its category's, else that of all skus.

    Args:
        skus: sku_id, category_l3_id (nullable), one row a sku.
        bundle: Fitted elasticities.

    Returns:
        `skus` with elasticity and deviation, float64, never null.
    """
    overall = bundle.level(OVERALL)
    return (
        skus.join(bundle.skus.select("sku_id", "elasticity", "deviation"), on="sku_id", how="left")
        .join(bundle.level("l3"), left_on="category_l3_id", right_on="category_id", how="left", suffix="_l3")
        .select(
            *skus.columns,
            *(
                pl.coalesce(name, f"{name}_l3", pl.lit(overall.get_column(name).item()))
                for name in ("elasticity", "deviation")
            ),
        )
    )


def implied_elasticity(markup: float) -> float:
    """The elasticity at which cost plus `markup` is the most profitable price, -(1 + 1/markup)."""
    return -(1.0 + 1.0 / markup)


def _costs(offers_current: pl.DataFrame) -> pl.DataFrame:
    """sku_id, cost_cents, offered_qty: the cheapest offer in stock, else the cheapest; stock of all offers."""
    offers = offers_current.filter(pl.col("supply_price_cents").fill_null(0) > 0).with_columns(
        pl.col("stock_qty").fill_null(0).cast(pl.Int64), pl.col("supply_price_cents").cast(pl.Int64)
    )
    in_stock = pl.col("supply_price_cents").filter(pl.col("stock_qty") > 0).min()
    return offers.group_by("sku_id").agg(
        cost_cents=pl.coalesce(in_stock, pl.col("supply_price_cents").min()),
        offered_qty=pl.col("stock_qty").clip(0).sum(),
    )


def _competitors(competitor_prices: pl.DataFrame, as_of: datetime, days: int) -> pl.DataFrame:
    """sku_id, competitor_cents (mean of each competitor's latest price), market_mean_cents (of the window)."""
    seen = competitor_prices.filter(
        (pl.col("observed_at") <= as_of)
        & (pl.col("observed_at") > as_of - timedelta(days=days))
        & (pl.col("price_cents") > 0)
    )
    latest = (
        seen.sort("observed_at", "price_cents")
        .group_by("sku_id", "competitor")
        .agg(pl.col("price_cents").last())
        .group_by("sku_id")
        .agg(competitor_cents=pl.col("price_cents").cast(pl.Float64).mean())
    )
    market = seen.group_by("sku_id").agg(market_mean_cents=pl.col("price_cents").cast(pl.Float64).mean())
    return latest.join(market, on="sku_id")


def _inputs(
    listings: pl.DataFrame,
    offers_current: pl.DataFrame,
    competitor_prices: pl.DataFrame,
    lines: pl.DataFrame,
    stock: pl.DataFrame,
    as_of: datetime,
    bundle: PricingBundle | None,
    policy: PolicyConfig,
) -> pl.DataFrame:
    """One row a priced listing with everything known about it, sorted by merchant_id and sku_id."""
    rows = listings.filter(pl.col("list_price_cents").fill_null(0) > 0).with_columns(
        pl.lit(None, dtype).alias(name)
        for name, dtype in _LISTING_OPTIONS.items()
        if name not in listings.columns
    )
    rows = rows.select(
        "merchant_id",
        "sku_id",
        pl.col("list_price_cents").cast(pl.Int64),
        pl.col("pricing_mode").fill_null("approve"),
        *(pl.col(name).cast(dtype) for name, dtype in _LISTING_OPTIONS.items()),
    ).sort("merchant_id", "sku_id")
    twice = rows.filter(pl.struct("merchant_id", "sku_id").is_duplicated())
    if twice.height:
        merchant, sku = twice.select("merchant_id", "sku_id").row(0)
        raise ModelError(f"prices: merchant {merchant} lists sku {sku} twice; pass current listings only")
    sold = lines.filter(
        pl.col("is_merchandise")
        & (pl.col("placed_at") <= as_of)
        & (pl.col("placed_at") > as_of - timedelta(days=policy.demand_days))
    )
    skus = sku_supply(offers_current, stock)
    skus = skus.join(
        sold.group_by("sku_id").agg(
            demand_qty=pl.col("qty").sum(), line_l3_id=pl.col("category_l3_id").min()
        ),
        on="sku_id",
        how="left",
    ).with_columns(pl.col("demand_qty").fill_null(0).cast(pl.Float64), category_l3_id="line_l3_id")
    if bundle is not None:
        known = bundle.skus.select("sku_id", known_l3_id="category_l3_id")
        skus = skus.join(known, on="sku_id", how="left").with_columns(
            category_l3_id=pl.coalesce("known_l3_id", "line_l3_id")
        )
        skus = sku_elasticities(skus, bundle)
    both = (pl.col("demand_qty") > 0) & (pl.col("supply_qty") > 0)
    skus = skus.with_columns(
        typical_ratio=(pl.col("demand_qty") / pl.col("supply_qty"))
        .filter(both)
        .median()
        .over("category_l3_id")
    ).join(_competitors(competitor_prices, as_of, policy.competitor_days), on="sku_id", how="left")
    own = sold.group_by("merchant_id", "sku_id").agg(own_qty=pl.col("qty").sum())
    return (
        rows.join(skus, on="sku_id", how="inner", maintain_order="left")
        .join(own, on=["merchant_id", "sku_id"], how="left", maintain_order="left")
        .with_columns(
            pl.col("own_qty").fill_null(0).cast(pl.Float64),
            current_price_cents=pl.coalesce("current_price_cents", "list_price_cents").clip(1),
            days_since_change=(pl.lit(as_of) - pl.col("valid_from")).dt.total_seconds() / 86_400.0,
        )
        .with_columns(week_ago_price_cents=pl.coalesce("week_ago_price_cents", "current_price_cents").clip(1))
    )


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
        beliefs = Beliefs(ones * implied, ones * 0.0, implied)
        anchor, scarce = cost * (1.0 + markup), ones
    else:
        beliefs = Beliefs(_floats(rows, "elasticity"), _floats(rows, "deviation"), bundle.max_elasticity)
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
    return _Anchors(anchor, printed, markup, scarce, relative, beliefs)


def _choice(
    rows: pl.DataFrame, anchors: _Anchors, has_model: bool, as_of: datetime, policy: PolicyConfig
) -> Choice:
    """The policy's targets; cost plus takes its anchor as it is."""
    cost, current = _floats(rows, "cost_cents"), _floats(rows, "current_price_cents")
    own_qty = _floats(rows, "own_qty")
    if not has_model:
        target = np.maximum(np.rint(anchors.anchor), 1.0)
        response = np.exp(np.clip(anchors.beliefs.elasticity * np.log(target / current), -50.0, 50.0))
        gain = own_qty * ((target - cost) * response - (current - cost))
        return Choice(target.astype(np.int64), gain)
    draw = np.full(rows.height, 0.5)
    if policy.learning == "thompson":
        draw = uniform_of(
            as_of, rows.get_column("merchant_id").to_list(), rows.get_column("sku_id").to_list()
        )
    return choose(anchors.anchor, cost, current, own_qty, anchors.beliefs, policy, draw)


def _guard_inputs(rows: pl.DataFrame, choice: Choice) -> GuardInputs:
    """Put the columns into guard-rail arrays."""

    def cents(name: str, absent: int = 0) -> IntArray:
        return rows.get_column(name).fill_null(absent).cast(pl.Int64).to_numpy()

    return GuardInputs(
        target_cents=choice.target_cents,
        current_cents=cents("current_price_cents"),
        week_ago_cents=cents("week_ago_price_cents"),
        list_price_cents=cents("list_price_cents"),
        cost_cents=cents("cost_cents"),
        law_min_cents=cents("map_cents"),
        law_max_cents=np.maximum(cents("legal_max_cents", NO_LAW_MAX), 1),
        days_since_change=np.nan_to_num(_floats(rows, "days_since_change"), nan=np.inf),
        gain_cents=choice.gain_cents,
        is_fixed=(rows.get_column("pricing_mode") == "fixed").to_numpy(),
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
    anchors: _Anchors,
    anchor_cents: IntArray,
    inputs: GuardInputs,
    guarded: GuardResult,
    has_model: bool,
    config: PricingConfig,
) -> pl.Series:
    """All steps from cost to price; a rail appears where it moved the price."""
    everyone: BoolArray = np.ones(len(anchor_cents), dtype=np.bool_)
    policy = config.policy
    reason: str | pl.Series
    if has_model:
        reason = (
            pl.DataFrame(
                {
                    "m": anchors.markup,
                    "s": anchors.scarce,
                    "c": anchors.relative,
                    "e": anchors.beliefs.elasticity,
                }
            )
            .select(
                pl.format(
                    "index: markup {}, scarcity {}, competitor against market {}, elasticity {}",
                    *(pl.col(name).round(2) for name in "msce"),
                )
            )
            .to_series()
        )
        chosen = f"best expected profit on the ladder, {policy.learning}"
    else:
        reason = f"no promoted elasticity model: cost plus {policy.cost_plus_markup:.0%}"
        chosen = "cost plus is the target"
    steps = [
        Step("anchor", reason, inputs.cost_cents, anchor_cents, everyone),
        Step("policy", chosen, anchor_cents, inputs.target_cents, ~inputs.is_fixed),
        Step("fixed", "the merchant fixed the price", anchor_cents, inputs.current_cents, inputs.is_fixed),
    ]
    steps += [
        Step(
            step.name, step.reason, step.before_cents, step.after_cents, step.before_cents != step.after_cents
        )
        for step in guarded.steps
    ]
    return explain(steps, len(anchor_cents))
