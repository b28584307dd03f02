"""The price policy: profit against brute force, draws from the posterior, and seeding."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.pricing.config import PolicyConfig
from models.pricing.rules.policy import (
    LARGEST,
    WIDEST,
    Beliefs,
    choose,
    elasticity_quantile,
    log_beliefs,
    uniform_of,
)

GREEDY_POLICY = PolicyConfig(learning="greedy")
WEEK = date(2018, 1, 1)


def brute_force(anchor: float, cost: float, current: float, e: float, policy: PolicyConfig) -> float:
    """Best price under a known elasticity, one rung at a time."""
    rungs = [current] + [
        float(
            round(
                anchor * (1 - policy.ladder_width + 2 * policy.ladder_width * k / (policy.ladder_rungs - 1))
            )
        )
        for k in range(policy.ladder_rungs)
    ]
    profits = [(p - cost) * (p / current) ** e for p in rungs]
    return rungs[int(np.argmax(profits))]


@pytest.mark.parametrize(
    ("anchor", "cost", "current", "e"),
    [(2000.0, 1000.0, 1500.0, -2.0), (1400.0, 1000.0, 1500.0, -3.5), (900.0, 500.0, 1000.0, -1.2)],
)
def test_known_elasticity_gives_the_brute_force_price(
    anchor: float, cost: float, current: float, e: float
) -> None:
    believed = log_beliefs(np.array([e]), np.array([0.0]), -0.1)
    args = (np.array([anchor]), np.array([cost]), np.array([current]), np.array([10.0]), believed)
    choice = choose(*args, GREEDY_POLICY, np.array([0.5]))
    best = brute_force(anchor, cost, current, e, GREEDY_POLICY)
    assert choice.target_cents[0] == best
    expected = 10 * ((best - cost) * (best / current) ** e - (current - cost))
    assert choice.gain_cents[0] == pytest.approx(expected)
    # With a known elasticity, a draw is the same as the mean.
    thompson = replace(GREEDY_POLICY, learning="thompson")
    assert choose(*args, thompson, np.array([0.9])).target_cents[0] == best


def test_gain_is_never_negative_and_keeping_wins_ties() -> None:
    rng = np.random.default_rng(0)
    n = 500
    cost = rng.uniform(100, 1000, n)
    beliefs = log_beliefs(rng.uniform(-5, 1, n), rng.uniform(0, 1, n), -0.1)
    choice = choose(cost * 1.5, cost, cost * 1.4, np.ones(n), beliefs, GREEDY_POLICY, np.full(n, 0.5))
    assert (choice.gain_cents >= 0).all()
    flat = replace(GREEDY_POLICY, ladder_width=0.0)
    kept = choose(np.array([500.0]), np.array([0.0]), np.array([500.0]), np.ones(1),
                  log_beliefs(np.array([-2.0]), np.zeros(1), -0.1), flat, np.array([0.5]))  # fmt: skip
    assert (kept.target_cents[0], kept.gain_cents[0]) == (500, 0.0)


@given(st.floats(-6, 6), st.floats(0, 3), st.floats(0.001, 0.999), st.floats(0, 4), st.floats(0, 1))
def test_posterior_draws_keep_the_sign(
    mean: float, deviation: float, level: float, tilt: float, temper: float
) -> None:
    beliefs = log_beliefs(np.array([mean]), np.array([deviation]), -0.1)
    drawn = elasticity_quantile(beliefs, np.array([level]), tilt=tilt, temper=temper)
    assert -LARGEST <= drawn[0] <= -0.1
    assert beliefs.log_deviation[0] <= WIDEST


def test_posterior_draws_have_the_weighted_distribution() -> None:
    """Log |e| normal, weighted with |e|^-2: quantiles of a weighted sample."""
    rng = np.random.default_rng(1)
    log_size = rng.normal(1.0, 0.3, 400_000)
    order = np.argsort(-log_size)
    weight = np.exp(-2.0 * log_size[order]).cumsum()
    levels = np.array([0.1, 0.5, 0.9])
    expected = -np.exp(log_size[order][np.searchsorted(weight / weight[-1], levels)])
    beliefs = Beliefs(np.full(3, 1.0), np.full(3, 0.3), -0.1)
    drawn = elasticity_quantile(beliefs, 1.0 - levels, tilt=2.0)
    assert drawn == pytest.approx(expected, rel=0.01)
    middle = elasticity_quantile(beliefs, 1.0 - levels, tilt=2.0, temper=0.0)
    assert middle == pytest.approx(np.full(3, -np.exp(1.0 - 2.0 * 0.09)))


def test_seed_depends_on_week_merchant_and_sku_only() -> None:
    merchants, skus = ["m1", "m1", "m2", "m2"], ["a", "b", "a", "b"]
    one = uniform_of(WEEK, merchants, skus)
    assert len(set(one.tolist())) == 4
    assert uniform_of(WEEK, merchants[::-1], skus[::-1]).tolist() == one.tolist()[::-1]
    assert (uniform_of(WEEK + timedelta(days=7), merchants, skus) != one).all()
    assert uniform_of(WEEK, [], []).tolist() == []


def test_seed_is_uniform() -> None:
    drawn = uniform_of(WEEK, [f"m{i % 100}" for i in range(20_000)], [f"s{i // 100}" for i in range(20_000)])
    counts = np.histogram(drawn, bins=20, range=(0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 45  # chi-square, 19 degrees of freedom, p about 0.001
