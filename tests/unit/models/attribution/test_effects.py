"""What a test tells of a channel: by hand, and whether its interval holds the truth."""

from __future__ import annotations

import numpy as np
import pytest

from models.attribution.effects import geo, holdout


def floats(*values):
    return np.array(values, dtype=np.float64)


def test_difference_in_differences_by_hand():
    # On: +30, +50 (mean 40); off: +10, +10. 30 a region, two regions: 60; Welch: one freedom, 12.706 * 10.
    found = geo((floats(100, 200), floats(130, 250)), (floats(50, 60), floats(60, 70)))
    assert found.incremental_cents == pytest.approx(60)
    assert found.high_cents - found.incremental_cents == pytest.approx(2 * 12.7062 * 10, rel=1e-4)
    assert (found.units_with, found.units_without, found.word) == (2, 2, "measured")


def test_too_few_units_and_arms_that_do_not_fit_say_nothing():
    one, two = floats(1), floats(1, 2)
    assert geo((two, two), (one, one)).word == "too_few"
    assert holdout((two, two), (one, one), 0.3).incremental_cents is None
    many, few = np.zeros(900), np.zeros(100)
    assert holdout((many, many), (few, few), 0.2).word == "blocked"
    assert holdout((many, many), (few, few), 0.1).word == "measured"


def test_spend_before_narrows_the_interval_and_moves_nothing():
    rng = np.random.default_rng(3)
    before = rng.gamma(2, 4_000, 4_000)
    spend = before + rng.normal(0, 500, 4_000)
    off = rng.random(4_000) < 0.2
    plain = holdout((0 * before[~off], spend[~off]), (0 * before[off], spend[off]), 0.2)
    better = holdout((before[~off], spend[~off]), (before[off], spend[off]), 0.2)
    assert better.high_cents - better.low_cents < 0.2 * (plain.high_cents - plain.low_cents)
    assert better.low_cents < 0 < better.high_cents


def test_the_interval_of_a_holdout_holds_the_truth_about_95_times_of_100():
    rng = np.random.default_rng(17)
    held = 0
    for _ in range(400):
        before = (rng.random(2_000) < 0.3) * rng.lognormal(8, 0.6, 2_000)
        off = rng.random(2_000) < 0.2
        spend = (rng.random(2_000) < 0.3) * rng.lognormal(8, 0.6, 2_000) + np.where(off, 0.0, 150.0)
        found = holdout((before[~off], spend[~off]), (before[off], spend[off]), 0.2)
        held += found.low_cents <= 150 * found.units_with <= found.high_cents
    assert 0.92 <= held / 400 <= 0.98
