"""The number with the least relative error: against the closed form and against trying every number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.demand.families.functionals import GRID, expectation, log_normal_grid, relative_median

LEVELS = (0.1, 0.5, 0.9)


@given(mu=st.floats(-1, 8), sigma=st.floats(0.05, 1.0))
def test_a_log_normal_has_its_relative_median_at_exp_of_mu_minus_the_variance(
    mu: float, sigma: float
) -> None:
    quantiles = stats.lognorm.ppf(LEVELS, s=sigma, scale=np.exp(mu))
    found = float(relative_median(quantiles, LEVELS))
    # The grid is coarse in the tail that the weights favour.
    assert np.log(found) == pytest.approx(mu - sigma**2, abs=0.12 * sigma + 1e-6)


def test_no_other_number_has_a_smaller_relative_error_over_the_grid() -> None:
    quantiles = np.array([3.0, 10.0, 25.0])
    grid = log_normal_grid(quantiles, LEVELS)
    found = float(relative_median(quantiles, LEVELS))
    tried = np.linspace(0.5, 60, 2000)
    errors = (np.abs(grid[None, :] - tried[:, None]) / grid[None, :]).mean(axis=1)
    best = (np.abs(grid - found) / grid).mean()
    assert best <= errors.min() + 1e-9


def test_the_grid_goes_through_the_quantiles() -> None:
    grid = log_normal_grid(np.array([[1.0, 2.0, 8.0]]), LEVELS)
    assert grid.shape == (1, GRID)
    assert (np.diff(grid) >= 0).all()
    assert grid[0, GRID // 2] == pytest.approx(2.0)
    assert (grid[0] < 1.0).mean() == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("quantiles", [[0.0, 0.0, 2.0], [0.0, 1.0, 3.0], [0.0, 1e-9, 5.0]])
def test_the_mean_of_what_sells_now_and_then_is_of_the_size_of_what_sells(quantiles: list[float]) -> None:
    """Between the median and the highest quantile, which a tail of a few times its distance cannot leave."""
    found = float(expectation(np.array(quantiles), LEVELS))
    assert quantiles[1] <= found <= quantiles[2]


def test_the_mean_of_a_wide_log_normal_is_that_of_the_grid() -> None:
    quantiles = stats.lognorm.ppf(LEVELS, s=0.5, scale=1000.0)
    assert float(expectation(quantiles, LEVELS)) == pytest.approx(1000 * np.exp(0.125), rel=0.01)
