"""The simulated-profit yardstick: how much of a clairvoyant's profit a seller earns in a made-up market.

The market's truths are planted. The seller `shipped` is the product: every morning it calls `scoring.price`,
with the prices that it published before, what sold at them and what competitors ask, and publishes what comes
back with the action `publish`. It knows neither the elasticities nor how demand answers competitors; it
begins with what is known of consumer goods in general. Stock is plentiful, so a constant-elasticity seller's
best price does not depend on competitors; they only move demand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from models.pricing.bundle import OVERALL, PricingBundle, save_bundle
from models.pricing.config import GuardConfig, PricingConfig
from models.pricing.elasticities.learning import PERIOD_SCHEMA
from models.pricing.rules.formula import FloatArray
from models.pricing.rules.guards import IntArray
from models.pricing.scoring import price

TYPICAL_ELASTICITY = -2.62
"""Mean of 1,851 price elasticities: Bijmolt, van Heerde and Pieters, Journal of Marketing Research 2005."""
TYPICAL_DEVIATION = 1.2
"""Deviation round it that the seller begins with; wide enough for most of the published ones."""

_BEGIN = datetime(2018, 1, 1, 6, tzinfo=UTC)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class MarketConfig:
    """The made-up market.

    Attributes:
        skus: Number of skus.
        days: Days simulated.
        median_elasticity: Median of |e|, log-normal.
        elasticity_sigma: Sigma of log |e|.
        theta: Mean of the cross-price elasticities, never told to a seller.
        theta_sigma: Their deviation.
        competitor_memory: AR(1) coefficient of the log competitor price, a day.
        competitor_sigma: Stationary standard deviation of it.
        daily_units: Median units a day at the starting price.
        last_days: Length of the final stretch that is also reported.
    """

    skus: int = 200
    days: int = 180
    median_elasticity: float = 2.4
    elasticity_sigma: float = 0.35
    theta: float = 0.5
    theta_sigma: float = 0.2
    competitor_memory: float = 0.95
    competitor_sigma: float = 0.12
    daily_units: float = 8.0
    last_days: int = 30


@dataclass(frozen=True)
class Market:
    """One seed's truths; int64 cents and float64, (skus,) unless said otherwise.

    Attributes:
        cost: Cost of a unit.
        start: Price at the beginning, and the list price for ever.
        size: |e|.
        theta: Cross-price elasticity.
        units: Units a day at the starting price.
        competitor: Competitor price, (days, skus).
        competitor_mean: Its mean.
    """

    cost: IntArray
    start: IntArray
    size: FloatArray
    theta: FloatArray
    units: FloatArray
    competitor: FloatArray
    competitor_mean: FloatArray

    def rate(self, day: int, prices: FloatArray) -> FloatArray:
        """Expected units of a day at some prices."""
        rival = (self.competitor[day] / self.competitor_mean) ** self.theta
        return np.asarray(self.units * rival * (prices / self.start) ** -self.size)


@dataclass(frozen=True)
class Morning:
    """What a seller sees before a day: nothing that a real one would not know.

    Attributes:
        day: Number of the day.
        cost: int64 (skus,).
        list_price: int64 (skus,).
        prices: int64 (day + 1, skus), in force on each day so far; the last row is the one in force now.
        since: float64 (skus,), days since the price last changed, infinite at first.
        sold: float64 (day, skus), units.
        competitor: float64 (day + 1, skus), competitor prices, today's last.
        typical_units: float64 (skus,), units a day at the list price, roughly.
    """

    day: int
    cost: IntArray
    list_price: IntArray
    prices: IntArray
    since: FloatArray
    sold: FloatArray
    competitor: FloatArray
    typical_units: FloatArray


Seller = Callable[[Morning], IntArray]
"""Takes what is known in the morning, gives the prices of the day, int64 (skus,)."""


@dataclass(frozen=True)
class Regret:
    """Lost share of the clairvoyant's profit.

    Attributes:
        regret: Over all days, 0-1.
        last_days_regret: Over the final stretch.
        violations: Published prices outside a guard rail.
        prices: Prices set.
    """

    regret: float
    last_days_regret: float
    violations: int
    prices: int


def simulate(
    seller: Callable[[Market, int], Seller],
    guards: GuardConfig,
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4),
    setting: MarketConfig | None = None,
) -> Regret:
    """Let a seller run a market for each seed.

    Args:
        seller: Makes the seller of a market and seed. Only one that is meant to be clairvoyant may look at
            the market's truths.
        guards: The rails that prices are checked against; floor and ceiling bind the clairvoyant, too.
        seeds: One market a seed.
        setting: Settings of the market.

    Returns:
        Profits summed over the seeds; the clairvoyant is free of step limits, dwell, endings and budgets.
    """
    setting = setting or MarketConfig()
    money, violations = np.zeros(4), 0
    for seed in seeds:
        truth = make_market(np.random.default_rng(seed), setting)
        earned, broken = _run(seller(truth, seed), truth, setting, guards, np.random.default_rng([seed, 1]))
        money, violations = money + earned, violations + broken
    return Regret(
        float(1.0 - money[0] / money[1]),
        float(1.0 - money[2] / money[3]),
        violations,
        len(seeds) * setting.days * setting.skus,
    )


def make_market(rng: np.random.Generator, setting: MarketConfig) -> Market:
    """Draw one market."""
    size = setting.median_elasticity * np.exp(setting.elasticity_sigma * rng.standard_normal(setting.skus))
    cost = rng.integers(300, 3000, setting.skus)
    mean = cost * 1.6 * np.exp(0.1 * rng.standard_normal(setting.skus))
    noise = rng.standard_normal((setting.days, setting.skus)) * setting.competitor_sigma
    path = np.empty_like(noise)
    path[0] = noise[0]
    fresh = np.sqrt(1.0 - setting.competitor_memory**2)
    for day in range(1, setting.days):
        path[day] = setting.competitor_memory * path[day - 1] + fresh * noise[day]
    units = setting.daily_units * np.exp(0.5 * rng.standard_normal(setting.skus))
    theta = setting.theta + setting.theta_sigma * rng.standard_normal(setting.skus)
    return Market(
        cost=cost,
        start=np.rint(cost * 1.35).astype(np.int64),
        # Below 1.3 no price that rails allow is best.
        size=np.clip(size, 1.3, 8.0),
        theta=np.maximum(theta, 0.0),
        units=units,
        competitor=np.asarray(mean * np.exp(path), dtype=np.float64),
        competitor_mean=np.asarray(mean, dtype=np.float64),
    )


def best_price(truth: Market, guards: GuardConfig) -> FloatArray:
    """The clairvoyant's price, inside floor and ceiling."""
    free = truth.cost * truth.size / (truth.size - 1.0)
    low = truth.cost * (1.0 + guards.min_margin_bps / 10_000)
    return np.clip(free, low, truth.start * (1.0 + guards.ceiling_bps / 10_000))


def _run(
    seller: Seller, truth: Market, setting: MarketConfig, guards: GuardConfig, rng: np.random.Generator
) -> tuple[FloatArray, int]:
    """Profit and the clairvoyant's, over all days and the last ones; and broken guard rails."""
    prices = np.tile(truth.start, (setting.days + 1, 1))
    sold = np.zeros((setting.days, setting.skus))
    since = np.full(setting.skus, np.inf)
    best = best_price(truth, guards)
    money, violations = np.zeros(4), 0
    for day in range(setting.days):
        morning = Morning(
            day, truth.cost, truth.start, prices[: day + 1], since, sold[:day],
            truth.competitor[: day + 1], truth.units,
        )  # fmt: skip
        chosen = seller(morning)
        week = prices[max(day - 7, 0) : day + 1]
        violations += _violations(chosen, prices[day], week, since, truth, guards)
        since = np.where(chosen != prices[day], 1.0, since + 1.0)
        # From this morning on: the day itself is lived at the new price.
        prices[day], prices[day + 1] = chosen, chosen
        rate = truth.rate(day, chosen.astype(np.float64))
        sold[day] = rng.poisson(rate)
        earned = float(((chosen - truth.cost) * rate).sum())
        possible = float(((best - truth.cost) * truth.rate(day, best)).sum())
        is_last = day >= setting.days - setting.last_days
        money += np.array([earned, possible, earned * is_last, possible * is_last])
    return money, violations


def _violations(
    chosen: IntArray, before: IntArray, week: IntArray, since: FloatArray, truth: Market, guards: GuardConfig
) -> int:
    """Prices outside floor, ceiling, a step limit or dwell, counted from their definitions."""
    broken = chosen * 10_000 < truth.cost * (10_000 + guards.min_margin_bps)
    broken |= chosen * 10_000 > truth.start * (10_000 + guards.ceiling_bps)
    broken |= np.abs(chosen - before) * 10_000 > before * guards.step_bps
    broken |= (np.abs(chosen - week) * 10_000 > week * guards.week_step_bps).any(axis=0)
    broken |= (chosen != before) & (since < guards.dwell_days)
    return int(broken.sum())


def shipped(config: PricingConfig, folder: Path) -> Callable[[Market, int], Seller]:
    """The product as a seller: `scoring.price` every morning, on the prices that it published itself.

    Args:
        config: Its settings.
        folder: Where the elasticities that it begins with are written: one for everything, the typical one.
    """
    write_typical(folder, config)

    def seller(truth: Market, seed: int) -> Seller:
        del truth  # The product does not know it.
        return lambda morning: _published(morning, seed, config, folder)

    return seller


def write_typical(folder: Path, config: PricingConfig) -> None:
    """Write elasticities that know no sku: the typical one for everything."""
    skus = pl.DataFrame(schema={"sku_id": pl.String, "elasticity": pl.Float64, "deviation": pl.Float64})
    typical = pl.DataFrame(
        {
            "level": [OVERALL],
            "category_id": [OVERALL],
            "elasticity": [TYPICAL_ELASTICITY],
            "deviation": [TYPICAL_DEVIATION],
        }
    )
    save_bundle(PricingBundle(skus, typical, config.elasticity.max_elasticity), folder, _BEGIN, config)


def _published(morning: Morning, seed: int, config: PricingConfig, folder: Path) -> IntArray:
    """Prices of the day: the published ones, and the old ones where nothing is published."""
    as_of, count = _BEGIN + morning.day * _DAY, len(morning.cost)
    ids = [f"k{number:04d}" for number in range(count)]
    # The merchant's id seeds the draws.
    merchant = f"m{seed}"
    current, week = morning.prices[-1], morning.prices[-8:]
    listings = pl.DataFrame(
        {
            "merchant_id": [merchant] * count,
            "sku_id": ids,
            "list_price_cents": morning.list_price,
            "pricing_mode": ["auto"] * count,
            "current_price_cents": current,
            "week_low_price_cents": week.min(axis=0),
            "week_high_price_cents": week.max(axis=0),
            "valid_from": [None if np.isinf(days) else as_of - float(days) * _DAY for days in morning.since],
        },
        schema_overrides={"valid_from": pl.Datetime("us", "UTC")},
    )
    supply = pl.DataFrame(
        {
            "supplier_id": ["s"] * count,
            "sku_id": ids,
            "category_l3_id": ["c"] * count,
            "supply_price_cents": morning.cost,
            "on_hand_qty": np.ceil(morning.typical_units * 2 * config.policy.demand_days).astype(np.int64),
        }
    )
    rivals = _long(
        morning.competitor, ids, max(morning.day - config.policy.competitor_days, 0), "price_cents"
    )
    rivals = rivals.with_columns(
        observed_at=pl.col("at"),
        competitor=pl.lit("rival"),
        price_cents=pl.col("price_cents").round().cast(pl.Int64),
    )
    window = max(config.policy.demand_days, config.policy.turnover_days)
    sold = _long(morning.sold, ids, max(morning.day - window, 0), "units").select(
        merchant_id=pl.lit(merchant),
        sku_id="sku_id",
        placed_at=pl.col("at") + _DAY / 2,
        qty_milli=(pl.col("units") * 1000).cast(pl.Int64),
    )
    priced = price(listings, supply, rivals, sold, as_of, folder, config, _periods(morning, ids, merchant))
    published = (priced.get_column("action") == "publish").to_numpy()
    return np.where(published, priced.get_column("price_cents").to_numpy(), current)


def _long(values: FloatArray, ids: list[str], first: int, name: str) -> pl.DataFrame:
    """Rows sku_id, day, at and the value, of the days from `first` on."""
    days = len(values) - first
    frame = pl.DataFrame(
        {
            "sku_id": pl.Series(ids * days, dtype=pl.String),
            "day": np.repeat(np.arange(first, first + days), len(ids)),
            name: values[first:].ravel(),
        }
    )
    return frame.with_columns(at=pl.lit(_BEGIN) + pl.col("day") * _DAY)


def _periods(morning: Morning, ids: list[str], merchant: str) -> pl.DataFrame:
    """What sold in each week at each price so far, with the competitor's mean price."""
    if not morning.day:
        return pl.DataFrame(schema=PERIOD_SCHEMA)
    lived = morning.prices[: morning.day]
    rows = _long(morning.sold, ids, 0, "units").with_columns(
        price_cents=pl.Series(lived.ravel()),
        competitor_cents=pl.Series(morning.competitor[: morning.day].ravel()),
    )
    return (
        rows.group_by(
            "sku_id", week_start_on=pl.col("at").dt.date().dt.truncate("1w"), price_cents="price_cents"
        )
        .agg(
            days=pl.len().cast(pl.Float64),
            qty_milli=(pl.col("units").sum() * 1000).cast(pl.Int64),
            competitor_cents=pl.col("competitor_cents").mean(),
        )
        .with_columns(merchant_id=pl.lit(merchant))
        .select(PERIOD_SCHEMA.names())
        .cast(PERIOD_SCHEMA)
    )
