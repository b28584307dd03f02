"""Sellers to compare with: two rules, the printed formula, two textbook learners, known elasticities.

They keep the same guard rails as the product. The learners know how demand answers competitors, which the
product must find out, and hold exact beliefs on a grid of |e| with a gamma prior on each sku's level.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.pricing.config import GuardConfig
from models.pricing.rules.formula import FloatArray, formula_printed
from models.pricing.rules.guards import NO_LAW_MAX, GuardInputs, IntArray, apply_guards
from models.pricing.simulate import Market, Morning, Seller, best_price

_GRID = np.linspace(1.2, 8.0, 69)
_MARKUP = 0.35

Maker = Callable[[Market, int], Seller]
Rule = Callable[[Morning], FloatArray]


def peers(guards: GuardConfig) -> dict[str, Maker]:
    """Every seller by name, under some guard rails."""

    def known(truth: Market, seed: int) -> Seller:
        del seed
        best = best_price(truth, guards)
        return _within(lambda morning: best, guards)

    def greedy(truth: Market, seed: int) -> Seller:
        del seed
        return _within(_Learner(truth).greedy, guards)

    def thompson(truth: Market, seed: int) -> Seller:
        return _within(_Learner(truth, np.random.default_rng([seed, 2])).thompson, guards)

    rules: dict[str, Rule] = {
        "printed_formula": _printed,
        "match_competitor": lambda morning: morning.competitor[-1],
        "cost_plus_35": lambda morning: morning.cost * (1.0 + _MARKUP),
    }
    made: dict[str, Maker] = {
        name: (lambda truth, seed, rule=rule: _within(rule, guards)) for name, rule in rules.items()
    }
    return made | {"greedy_bayes": greedy, "thompson_weekly": thompson, "known_elasticities": known}


def _within(rule: Rule, guards: GuardConfig) -> Seller:
    """A seller that asks for what a rule says and takes what the rails leave of it."""

    def seller(morning: Morning) -> IntArray:
        count = len(morning.cost)
        week = morning.prices[-8:]
        target = np.clip(np.rint(rule(morning)), 1, NO_LAW_MAX).astype(np.int64)
        inputs = GuardInputs(
            target_cents=target,
            current_cents=morning.prices[-1],
            week_low_cents=week.min(axis=0),
            week_high_cents=week.max(axis=0),
            list_price_cents=morning.list_price,
            cost_cents=morning.cost,
            law_min_cents=np.zeros(count, dtype=np.int64),
            law_max_cents=np.full(count, NO_LAW_MAX, dtype=np.int64),
            days_since_change=morning.since,
            gain_cents=np.zeros(count),
            is_fixed=np.zeros(count, dtype=np.bool_),
            budget_group=np.zeros(count, dtype=np.int64),
        )
        return apply_guards(inputs, guards).price_cents

    return seller


def _printed(morning: Morning) -> FloatArray:
    """The formula as printed, with last week's units as demand and a usual week's as supply."""
    cost = morning.cost.astype(np.float64)
    usual = morning.typical_units * 7.0
    sold = morning.sold[-7:].mean(axis=0) * 7.0 if morning.day else usual
    market = morning.competitor.mean(axis=0)
    return formula_printed(cost, np.full(len(cost), _MARKUP), sold, usual, morning.competitor[-1], market)


class _Learner:
    """Exact beliefs under Poisson sales; the prior over the grid is shared and moves to the mean belief."""

    def __init__(self, truth: Market, rng: np.random.Generator | None = None) -> None:
        self._truth, self._rng = truth, rng
        skus = len(truth.cost)
        self._prior = np.exp(-0.5 * ((np.log(_GRID) - np.log(2.5)) / 0.5) ** 2) / _GRID
        self._prior /= self._prior.sum()
        self._sold, self._sold_log_price = np.zeros(skus), np.zeros(skus)
        self._exposure = np.zeros((skus, len(_GRID)))
        self._seen = 0
        self._asked = np.zeros(skus)

    def greedy(self, morning: Morning) -> FloatArray:
        """The price with the best mean profit, weekly."""
        if self._learn(morning):
            multiples = np.linspace(1.05, 6.0, 100)
            start = morning.list_price / morning.cost
            response = np.exp(-_GRID[:, None, None] * np.log(multiples[:, None] / start))
            profit = np.einsum("sg,gms->sm", self._weights(), response) * (multiples - 1.0)
            self._asked = morning.cost * multiples[profit.argmax(axis=1)]
        return self._asked

    def thompson(self, morning: Morning) -> FloatArray:
        """The best price of one draw, weekly."""
        assert self._rng is not None
        if self._learn(morning):
            level = self._rng.uniform(size=len(morning.cost))
            place = (self._weights().cumsum(axis=1) < level[:, None]).sum(axis=1)
            size = _GRID[np.minimum(place, len(_GRID) - 1)]
            self._asked = morning.cost * size / (size - 1.0)
        return self._asked

    def _learn(self, morning: Morning) -> bool:
        """Take in the days since the last time; whether this morning begins a week."""
        for day in range(self._seen, morning.day):
            log_price = np.log(morning.prices[day] / morning.list_price)
            rival = morning.competitor[day] / self._truth.competitor_mean
            self._sold += morning.sold[day]
            self._sold_log_price += morning.sold[day] * log_price
            self._exposure += (rival**self._truth.theta)[:, None] * np.exp(-log_price[:, None] * _GRID)
        self._seen = morning.day
        begins = morning.day % 7 == 0
        if begins and morning.day:
            self._prior = self._weights().mean(axis=0)
        return begins

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
