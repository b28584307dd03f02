from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.counts import count_quantile
from models.demand.config import DemandConfig
from models.demand.judging import conformal
from models.demand.judging.backtest import actuals, plan_origins, roll
from models.demand.judging.conformal import calibrate, conformal_shift
from models.demand.judging.leaderboard import coverage, quantile_loss
from models.demand.panel.pooling import with_count_quantiles
from models.demand.panel.series import Panel
from models.demand.panel.vintages import Vintages
from models.demand.weekly.forecasts import Forecast, count_crossings, repaired


def overconfident(n: int, seed: int) -> tuple[np.ndarray, Forecast]:
    """Negative binomial counts beside quantiles that are far too narrow."""
    rng = np.random.default_rng(seed)
    mean = rng.uniform(1, 40, (n, 1))
    actual = rng.negative_binomial(2, 2 / (2 + mean)).astype(float)
    quantiles = np.stack([mean * 0.95, mean, mean * 1.05], axis=-1)
    return actual, Forecast(mean, quantiles)


def test_coverage_is_restored_on_new_data() -> None:
    past, narrow = overconfident(8000, 1)
    fitted = calibrate(past, narrow.quantiles)
    fresh, again = overconfident(8000, 2)
    assert coverage(fresh, again.quantiles) < 0.2
    served = conformal.apply(fitted, again)
    assert coverage(fresh, served.quantiles) == pytest.approx(0.8, abs=0.03)
    assert np.mean(fresh <= served.quantiles[..., 1]) == pytest.approx(0.5, abs=0.03)
    assert quantile_loss(fresh, served.quantiles) < quantile_loss(fresh, again.quantiles)


def test_the_wide_interval_covers_95_percent_of_new_data_and_holds_the_outer_quantiles() -> None:
    past, narrow = overconfident(8000, 1)
    fitted = calibrate(past, narrow.quantiles)
    fresh, again = overconfident(8000, 2)
    served = conformal.apply(fitted, again)
    wide = conformal.wide_interval(fitted, served)
    assert coverage(fresh, wide) == pytest.approx(0.95, abs=0.015)
    assert (wide[..., 0] <= served.quantiles[..., 0]).all()
    assert (wide[..., 1] >= served.quantiles[..., -1]).all()
    assert (wide >= 0).all()


def test_a_calibration_from_before_wide_intervals_is_read() -> None:
    past, narrow = overconfident(500, 3)
    document = calibrate(past, narrow.quantiles).as_json()
    del document["stretch"]
    stretch = stats.norm.ppf(0.975) / stats.norm.ppf(0.9)
    np.testing.assert_allclose(conformal.from_json(document).stretch, stretch, rtol=2e-3)


def test_finite_sample_ranks() -> None:
    scores = np.arange(1.0, 10.0)
    assert conformal_shift(scores, 0.9) == 9.0
    assert conformal_shift(scores, 0.1) == 1.0
    assert conformal_shift(np.arange(1.0, 20.0), 0.9) == 18.0
    assert conformal_shift(np.array([]), 0.9) == 0.0


def test_json_round_trip_changes_nothing() -> None:
    past, narrow = overconfident(500, 3)
    fitted = calibrate(past, narrow.quantiles)
    again = conformal.from_json(fitted.as_json())
    np.testing.assert_array_equal(
        conformal.apply(again, narrow).quantiles, conformal.apply(fitted, narrow).quantiles
    )


@given(st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 3), min_size=1, max_size=20))
def test_repair_never_leaves_a_crossing_or_a_negative(points: list[tuple[float, float, float]]) -> None:
    quantiles = np.array(points)[:, None, :]
    fixed = repaired(Forecast(quantiles[..., 1], quantiles))
    assert count_crossings(fixed.quantiles) == 0
    assert (fixed.quantiles >= 0).all()
    assert (fixed.mean >= 0).all()


def test_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        repaired(Forecast(np.array([[np.nan]]), np.zeros((1, 1, 3))))


def test_crossings_are_counted_by_point() -> None:
    assert count_crossings(np.array([[[1.0, 2.0, 3.0]], [[2.0, 1.0, 0.0]], [[1.0, 1.0, 0.5]]])) == 2


def test_quantile_loss_by_hand() -> None:
    # Errors 2, 1, -1 at 0.1, 0.5, 0.9: losses 0.2, 0.5, 0.1; 2 x mean / 10.
    assert quantile_loss(np.array([10.0]), np.array([[8.0, 9.0, 11.0]])) == pytest.approx(2 * 0.8 / 3 / 10)


@given(st.floats(0.05, 200), st.floats(0.2, 30), st.sampled_from([0.1, 0.5, 0.9]))
def test_count_quantile_inverts_a_gamma_poisson_mixture(mean: float, ratio: float, level: float) -> None:
    quantile = float(count_quantile(np.array([mean]), np.array([ratio * mean]), level)[0])
    # Poisson with a gamma rate of shape mean/(ratio-1) and scale ratio-1.
    over = ratio > 1 + 1e-6
    counts = stats.nbinom(mean / (ratio - 1), 1 / ratio) if over else stats.poisson(mean)
    assert counts.cdf(quantile) >= level - 1e-9
    assert quantile == 0 or counts.cdf(quantile - 1) <= level + 1e-9


def test_count_quantiles_are_ordered_and_zero_for_no_demand() -> None:
    forecast = with_count_quantiles(np.array([[0.0, 5.0]]), 2.0)
    assert forecast.quantiles[0, 0].tolist() == [0, 0, 0]
    assert (np.diff(forecast.quantiles[0, 1]) > 0).all()


def test_a_procedure_is_calibrated_by_what_it_would_have_said_at_that_moment(small_panel: Panel) -> None:
    """It says one unit more for every week that it learnt since: each moment judges its own sayings."""
    config = DemandConfig(min_history=8)
    origins = plan_origins(small_panel.n_weeks, config)
    panels = Vintages(small_panel, dict.fromkeys(origins.all, small_panel))

    def predict(origin: int, moment: int) -> Forecast:
        value = np.full((small_panel.n_series, 4), 5.0 + moment - origin)
        return Forecast(value, np.repeat(value[:, :, None], 3, axis=2))

    rolled = roll(predict, panels, origins, 4, is_rule=False)
    own = ~small_panel.is_pooled
    over = [origin for origin in origins.all if origin + 4 <= small_panel.n_weeks]
    said = np.stack([predict(origin, small_panel.n_weeks).quantiles[own] for origin in over])
    expected = calibrate(actuals(small_panel, tuple(over), 4)[:, own], said)
    np.testing.assert_allclose(rolled.calibration.shifts, expected.shifts)
    np.testing.assert_allclose(rolled.mean, 5.0)
