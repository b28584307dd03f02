"""ETS: what statsforecast says of logarithms, over gaps, for short series, and never reading what comes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from panels import panel_of
from scipy import stats

from models.backtest import backtest
from models.demand.families.intermittent import Intermittent
from models.demand.families.smoothing import FEWEST_FOR_SEASON, FEWEST_SEEN, Smoothing, load
from models.errors import BundleError
from models.measures import quantile_loss, wape
from models.splits import rolling_steps


def rising(weeks: int = 60, seed: int = 0) -> np.ndarray:
    """Eight series that grow by 3% a week, with noise of a tenth."""
    rng = np.random.default_rng(seed)
    level = np.linspace(20, 90, 8)[:, None] * 1.03 ** np.arange(weeks)
    return np.round(level * np.exp(0.1 * rng.normal(size=level.shape)))


def test_it_is_what_statsforecast_says_of_logarithms() -> None:
    from statsforecast.models import AutoETS

    units = rising()
    told = Smoothing().fit(panel_of(units), 60).predict(panel_of(units), 60, 3)
    theirs = AutoETS(season_length=1, model="AZN").forecast(np.log(units[0] + 0.5), 3, level=[80])
    np.testing.assert_allclose(told.quantiles[0, :, 1], np.exp(theirs["mean"]) - 0.5, rtol=1e-6)
    np.testing.assert_allclose(told.quantiles[0, :, 0], np.exp(theirs["lo-80"]) - 0.5, rtol=1e-4)
    np.testing.assert_allclose(told.quantiles[0, :, 2], np.exp(theirs["hi-80"]) - 0.5, rtol=1e-4)


def test_the_mean_is_that_of_a_log_normal() -> None:
    units = rising()
    told = Smoothing(levels=(0.05, 0.25, 0.5, 0.75, 0.95)).predict(panel_of(units), 60, 1)
    logs = np.log(told.quantiles[:, 0] + 0.5)
    sigma = (logs[:, 4] - logs[:, 0]) / (2 * stats.norm.ppf(0.95))
    np.testing.assert_allclose(told.mean[:, 0], np.exp(logs[:, 2] + sigma**2 / 2) - 0.5, rtol=2e-3)


def test_nothing_is_read_of_what_comes() -> None:
    units = rising()
    panel, origin = panel_of(units), 50
    told = Smoothing().predict(panel, origin, 4)
    later = units.copy()
    later[:, origin:] = 9_999
    np.testing.assert_array_equal(
        Smoothing().predict(replace(panel, target=later), origin, 4).quantiles, told.quantiles
    )


def test_weeks_that_nobody_saw_before_the_origin_are_forecast_over() -> None:
    """The same model, two weeks later: the third week ahead of a gap of two is the first after it."""
    units = rising()
    whole = Smoothing().predict(panel_of(units[:, :58]), 58, 3)
    units[:, 58:] = np.nan
    after = Smoothing().predict(panel_of(units), 60, 1)
    np.testing.assert_allclose(after.quantiles[:, 0], whole.quantiles[:, 2])


def test_a_gap_between_two_weeks_is_a_straight_line_of_logarithms() -> None:
    units = rising()
    line = units.copy()
    line[:, 30] = np.sqrt((line[:, 29] + 0.5) * (line[:, 31] + 0.5)) - 0.5
    gap = units.copy()
    gap[:, 30] = np.nan
    told, same = (Smoothing().predict(panel_of(one), 60, 2).quantiles for one in (gap, line))
    np.testing.assert_allclose(told, same, rtol=1e-6)


def test_short_constant_silent_and_never_seen_series_have_an_answer() -> None:
    units = np.full((4, 20), np.nan)
    units[0, -(FEWEST_SEEN - 1) :] = [2, 4, 6, 2, 4, 6, 4]
    units[1], units[2] = 5.0, 0.0
    told = Smoothing().predict(panel_of(units), 20, 2)
    np.testing.assert_allclose(told.mean[:, 0], [4, 5, 0, 0])
    np.testing.assert_allclose(told.quantiles[1:, 0], [[5, 5, 5], [0, 0, 0], [0, 0, 0]], atol=1e-9)
    assert (np.diff(told.quantiles, axis=2) >= 0).all()


def test_before_its_start_a_series_has_no_weeks() -> None:
    units = rising()
    early = np.concatenate([np.full((8, 5), 700.0), units], axis=1)
    panel = replace(panel_of(early), start=np.full(8, 5, dtype=np.int64))
    np.testing.assert_allclose(
        Smoothing().predict(panel, 65, 2).mean, Smoothing().predict(panel_of(units), 60, 2).mean
    )


def test_a_season_of_four_weeks_is_told_and_too_short_a_series_has_none() -> None:
    rng = np.random.default_rng(1)
    units = np.round(np.tile([10.0, 40, 80, 20], 15) * np.exp(0.05 * rng.normal(size=(3, 60))))
    seasonal = Smoothing(season=4).predict(panel_of(units), 60, 4)
    assert (np.abs(seasonal.mean / [10, 40, 80, 20] - 1) < 0.15).all()
    short = panel_of(units[:, :11])
    np.testing.assert_array_equal(
        Smoothing(season=4).predict(short, 11, 4).mean, Smoothing().predict(short, 11, 4).mean
    )


@pytest.mark.parametrize("weeks", range(FEWEST_SEEN, 14))
def test_eight_weeks_and_more_have_an_answer_whatever_the_season(weeks: int) -> None:
    units = rising(weeks)
    told = Smoothing(season=2).predict(panel_of(units), weeks, 2)
    assert np.isfinite(told.quantiles).all()
    if weeks < FEWEST_FOR_SEASON:
        np.testing.assert_array_equal(told.mean, Smoothing().predict(panel_of(units), weeks, 2).mean)


def test_where_there_is_a_trend_the_gate_takes_it() -> None:
    panel = panel_of(rising(80))
    found = backtest(
        Smoothing(),
        panel,
        rolling_steps(80, 4, 4),
        [quantile_loss((0.1, 0.5, 0.9)), wape()],
        {"tsb": Intermittent("tsb")},
    )
    assert found.decision.promoted, found.leaderboard
    assert found.leaderboard["system"].to_list()[0] == "ets"


def test_a_bundle_comes_back_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    kept = Smoothing(season=52, levels=(0.2, 0.8), name="ets_year")
    kept.save(tmp_path / "kept")
    assert load(tmp_path / "kept") == kept
    with pytest.raises(BundleError):
        load(tmp_path / "none")
    with pytest.raises(ValueError, match="season of 0 periods"):
        Smoothing(season=0)
