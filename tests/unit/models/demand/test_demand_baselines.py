from __future__ import annotations

import numpy as np
import pytest

from models.demand.weekly.baselines import (
    RULES,
    SMOOTHING_GRID,
    blend_40_30_20,
    exponential_smoothing,
    mean_last,
    naive,
    seasonal_naive,
    smoothed_levels,
)

QTY = np.array([[4.0, 8.0, 6.0, 2.0, 10.0, 4.0], [0.0, 0.0, 0.0, 0.0, 6.0, 2.0]])
START = np.array([0, 4])


def test_naive_and_season_by_hand() -> None:
    np.testing.assert_array_equal(naive(QTY, START, 3), [[4, 4, 4], [2, 2, 2]])
    np.testing.assert_array_equal(seasonal_naive(QTY, START, 5)[0], [6, 2, 10, 4, 6])


def test_season_is_last_year_once_there_is_one() -> None:
    qty = np.arange(60.0)[None, :]
    np.testing.assert_array_equal(seasonal_naive(qty, np.array([0]), 2), [[8, 9]])


def test_means_ignore_weeks_before_the_first_sale() -> None:
    np.testing.assert_allclose(mean_last(4)(QTY, START, 1)[:, 0], [5.5, 4.0])
    np.testing.assert_allclose(RULES["median_13w"](QTY, START, 1)[:, 0], [5.0, 4.0])


def test_blend_by_hand() -> None:
    # History 34/6; season 6; newest four 22/4, four before (two weeks on file) 6; slope -0.125 a week.
    trend = 5.5 + (5.5 - 6.0) / 4 * (1 + 1.5)
    expected = (0.4 * 34 / 6 + 0.3 * 6 + 0.2 * trend) / 0.9
    np.testing.assert_allclose(blend_40_30_20(QTY[:1], START[:1], 1), [[expected]])


@pytest.mark.parametrize("alpha", SMOOTHING_GRID)
def test_smoothing_equals_statsforecast(alpha: float) -> None:
    from statsforecast.models import SimpleExponentialSmoothing

    series = np.random.default_rng(1).poisson(7, 40).astype(float)
    theirs = SimpleExponentialSmoothing(alpha=alpha).forecast(series, h=1)["mean"]
    ours, _ = smoothed_levels(series[None, :], np.array([0]), alpha)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_smoothing_starts_at_the_first_sale_and_picks_the_least_error() -> None:
    late, _ = smoothed_levels(QTY, START, 0.5)
    np.testing.assert_allclose(late[1], 0.5 * 6 + 0.5 * 2)
    step = np.array([[1.0] * 10 + [9.0] * 10])
    np.testing.assert_allclose(exponential_smoothing(step, np.array([0]), 2), [[9, 9]], atol=1e-3)


@pytest.mark.parametrize("name", sorted(RULES))
@pytest.mark.parametrize("weeks", [1, 3, 60])
def test_every_rule_is_finite_and_not_negative(name: str, weeks: int) -> None:
    rng = np.random.default_rng(2)
    qty = rng.poisson(1, (5, weeks)).astype(float)
    value = RULES[name](qty, np.minimum(np.arange(5), weeks - 1), 4)
    assert value.shape == (5, 4)
    assert np.isfinite(value).all()
    assert (value >= 0).all()
