"""The simulated-profit yardstick: how much of a clairvoyant's profit each price rule earns.

The market is made up (its truths are planted), the policy and the guard rails are the shipped ones. Stock is
plentiful, so a constant-elasticity seller's best price does not depend on competitors; they only move demand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.pricing.config import GuardConfig, PolicyConfig
from models.pricing.formula import FloatArray, formula_printed, index_parameters
from models.pricing.guards import NO_LAW_MAX, GuardInputs, IntArray, apply_guards
from models.pricing.policy import Beliefs, choose

PRINTED = "printed_formula"
MATCH = "match_competitor"
COST_PLUS = "cost_plus"
GREEDY = "greedy_bayes"
THOMPSON = "thompson_weekly"
SYSTEMS = (PRINTED, MATCH, COST_PLUS, GREEDY, THOMPSON)

_GRID = np.linspace(1.2, 8.0, 69)
_MAX_ELASTICITY = -1.2


@dataclass(frozen=True)
class MarketConfig:
    """The made-up market.

    Attributes:
        skus: Number of skus.
        days: Days simulated.
        median_elasticity: Median of |e|, log-normal.
        elasticity_sigma: Sigma of log |e|.
        theta: Cross-price elasticity.
        competitor_memory: AR(1) coefficient of the log competitor price, a day.
        competitor_sigma: Stationary standard deviation of it.
        daily_units: Median units a day at the starting price.
        learning_days: Days between two updates of the beliefs.
        last_days: Length of the final stretch that is also reported.
    """

    skus: int = 200
    days: int = 180
    median_elasticity: float = 2.4
    elasticity_sigma: float = 0.35
    theta: float = 0.5
    competitor_memory: float = 0.95
    competitor_sigma: float = 0.12
    daily_units: float = 8.0
    learning_days: int = 7
    last_days: int = 30


@dataclass(frozen=True)
class Regret:
    """Lost share of the clairvoyant's profit.

    Attributes:
        system: Name of the rule.
        regret: Over all days, 0-1.
        last_days_regret: Over the final stretch.
        violations: Prices outside a guard rail.
        prices: Prices set.
    """

    system: str
    regret: float
    last_days_regret: float
    violations: int
    prices: int


@dataclass(frozen=True)
class _Market:
    """One seed's truths: cents, units a day at the start price, and the competitors' path (days, skus)."""

    cost: IntArray
    start: IntArray
    size: FloatArray
    units: FloatArray
    competitor: FloatArray
    competitor_mean: FloatArray


def simulate(
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4),
    market: MarketConfig | None = None,
    guards: GuardConfig | None = None,
    systems: tuple[str, ...] = SYSTEMS,
) -> list[Regret]:
    """Run every rule through the same markets.

    Args:
        seeds: One market a seed.
        market: Settings of the market.
        guards: Guard rails; the default lets a price change every second day and three times in a week.
        systems: Rules to run.

    Returns:
        One entry a rule in the order asked for, profits summed over the seeds.
    """
    setting = market or MarketConfig()
    rails = guards or GuardConfig(
        ceiling_bps=20_000, dwell_days=2, change_budget_bps=10_000, price_endings=()
    )
    totals = {system: np.zeros(4) for system in systems}
    counts = {system: np.zeros(2, dtype=np.int64) for system in systems}
    for seed in seeds:
        truth = _market(np.random.default_rng(seed), setting)
        for system in systems:
            money, violations = _run(system, truth, setting, rails, seed)
            totals[system] += money
            counts[system] += np.array([violations, setting.days * setting.skus])
    return [
        Regret(
            system,
            float(1.0 - totals[system][0] / totals[system][1]),
            float(1.0 - totals[system][2] / totals[system][3]),
            int(counts[system][0]),
            int(counts[system][1]),
        )
        for system in systems
    ]


def _market(rng: np.random.Generator, setting: MarketConfig) -> _Market:
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
    return _Market(
        cost=cost,
        start=np.rint(cost * 1.35).astype(np.int64),
        # Below 1.3 no finite price is best; above 8 the grid of beliefs ends.
        size=np.clip(size, 1.3, 8.0),
        units=setting.daily_units * np.exp(0.5 * rng.standard_normal(setting.skus)),
        competitor=np.asarray(mean * np.exp(path), dtype=np.float64),
        competitor_mean=np.asarray(mean, dtype=np.float64),
    )


def _run(
    system: str, truth: _Market, setting: MarketConfig, rails: GuardConfig, seed: int
) -> tuple[FloatArray, int]:
    """Profit and clairvoyant's profit, over all days and the last ones; and guard-rail violations."""
    rng = np.random.default_rng([seed, SYSTEMS.index(system)])
    policy = PolicyConfig(
        learning="thompson" if system == THOMPSON else "greedy",
        theta=0.0,
        min_abs_elasticity=-_MAX_ELASTICITY,
    )
    learner = _Learner(setting.skus)
    price = truth.start
    history = np.tile(truth.start, (setting.days + 1, 1))
    since = np.full(setting.skus, np.inf)
    sold_week = truth.units * 7.0
    draw = rng.uniform(size=setting.skus)
    best = _best_price(truth, rails)
    money, violations = np.zeros(4), 0
    for day in range(setting.days):
        if day and day % setting.learning_days == 0:
            learner.share_prior()
            draw = rng.uniform(size=setting.skus)
        target = _target(system, truth, day, price, learner, policy, sold_week, draw)
        week = history[max(day - 6, 0) : day + 1]
        guarded = apply_guards(_guard_inputs(truth, target, price, week, since), rails)
        changed = guarded.price_cents != price
        violations += _violations(guarded.price_cents, price, week, since, truth, rails)
        since = np.where(changed, 1.0, since + 1.0)
        price = guarded.price_cents
        history[day + 1] = price
        shift = (truth.competitor[day] / truth.competitor_mean) ** setting.theta
        relative = price / truth.start
        rate = truth.units * shift * relative**-truth.size
        sold = rng.poisson(rate).astype(np.float64)
        sold_week = sold_week * 6.0 / 7.0 + sold
        learner.observe(np.log(relative), shift, sold)
        earned = float(((price - truth.cost) * rate).sum())
        possible = float(
            ((best - truth.cost) * truth.units * shift * (best / truth.start) ** -truth.size).sum()
        )
        is_last = day >= setting.days - setting.last_days
        money += np.array([earned, possible, earned * is_last, possible * is_last])
    return money, violations


def _best_price(truth: _Market, rails: GuardConfig) -> FloatArray:
    """The clairvoyant's price, inside floor and ceiling but free of step limits."""
    free = truth.cost * truth.size / (truth.size - 1.0)
    low = truth.cost * (1.0 + rails.min_margin_bps / 10_000)
    return np.clip(free, low, truth.start * (1.0 + rails.ceiling_bps / 10_000))


def _target(
    system: str,
    truth: _Market,
    day: int,
    price: IntArray,
    learner: _Learner,
    policy: PolicyConfig,
    sold_week: FloatArray,
    draw: FloatArray,
) -> IntArray:
    """What each rule asks for before the guard rails."""
    cost = truth.cost.astype(np.float64)
    if system == COST_PLUS:
        return np.rint(cost * (1.0 + policy.cost_plus_markup)).astype(np.int64)
    if system == MATCH:
        return np.rint(truth.competitor[day]).astype(np.int64)
    if system == PRINTED:
        printed = formula_printed(
            cost,
            np.full(len(cost), policy.cost_plus_markup),
            sold_week,
            truth.units * 7.0,
            truth.competitor[day],
            truth.competitor_mean,
        )
        return np.rint(printed).astype(np.int64)
    mean, deviation = learner.beliefs()
    markup, _, _ = index_parameters(
        mean,
        np.zeros(len(cost), dtype=np.bool_),
        theta=policy.theta,
        slack_share=0.0,
        min_abs_elasticity=policy.min_abs_elasticity,
    )
    beliefs = Beliefs(mean, deviation, _MAX_ELASTICITY)
    anchor = cost * (1.0 + markup)
    return choose(anchor, cost, price.astype(np.float64), truth.units, beliefs, policy, draw).target_cents


def _guard_inputs(
    truth: _Market, target: IntArray, price: IntArray, week: IntArray, since: FloatArray
) -> GuardInputs:
    """Guard-rail arrays of one day."""
    count = len(price)
    return GuardInputs(
        target_cents=target,
        current_cents=price,
        week_low_cents=week.min(axis=0),
        week_high_cents=week.max(axis=0),
        list_price_cents=truth.start,
        cost_cents=truth.cost,
        law_min_cents=np.zeros(count, dtype=np.int64),
        law_max_cents=np.full(count, NO_LAW_MAX, dtype=np.int64),
        days_since_change=since,
        gain_cents=np.zeros(count),
        is_fixed=np.zeros(count, dtype=np.bool_),
        budget_group=np.zeros(count, dtype=np.int64),
    )


def _violations(
    price: IntArray,
    before: IntArray,
    week: IntArray,
    since: FloatArray,
    truth: _Market,
    rails: GuardConfig,
) -> int:
    """Prices outside floor, ceiling, a step limit or dwell, counted from their definitions."""
    broken = price * 10_000 < truth.cost * (10_000 + rails.min_margin_bps)
    broken |= price * 10_000 > truth.start * (10_000 + rails.ceiling_bps)
    broken |= np.abs(price - before) * 10_000 > before * rails.step_bps
    broken |= (np.abs(price - week) * 10_000 > week * rails.week_step_bps).any(axis=0)
    broken |= (price != before) & (since < rails.dwell_days)
    return int(broken.sum())


class _Learner:
    """Exact beliefs on a grid of |e| under Poisson sales, with a gamma prior on the level of each sku.

    The prior over the grid is shared: it moves to the mean belief of all skus with every update.
    """

    def __init__(self, skus: int) -> None:
        self._prior = np.exp(-0.5 * ((np.log(_GRID) - np.log(2.5)) / 0.5) ** 2) / _GRID
        self._prior /= self._prior.sum()
        self._sold = np.zeros(skus)
        self._sold_log_price = np.zeros(skus)
        self._exposure = np.zeros((skus, len(_GRID)))

    def observe(self, log_price: FloatArray, shift: FloatArray, sold: FloatArray) -> None:
        """Take in a day: log price against the start, known demand shift, units sold; each (skus,)."""
        self._sold += sold
        self._sold_log_price += sold * log_price
        self._exposure += shift[:, None] * np.exp(-log_price[:, None] * _GRID)

    def share_prior(self) -> None:
        """Move the shared prior to the mean belief (one step of expectation-maximisation)."""
        self._prior = self._weights().mean(axis=0)

    def beliefs(self) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of e (negative), each float64 (skus,)."""
        weights = self._weights()
        mean = weights @ _GRID
        return -mean, np.sqrt(np.maximum(weights @ _GRID**2 - mean**2, 0.0))

    def _weights(self) -> FloatArray:
        """Belief on each grid value, float64 (skus, grid)."""
        shape, rate = 1.0, 0.1
        log_weight = (
            np.log(np.maximum(self._prior, 1e-300))
            - self._sold_log_price[:, None] * _GRID
            - (shape + self._sold[:, None]) * np.log(rate + self._exposure)
        )
        weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
        return np.asarray(weight / weight.sum(axis=1, keepdims=True))
