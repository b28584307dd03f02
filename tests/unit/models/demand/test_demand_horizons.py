"""Days and months of published weeks: days share a week, months hold what their weeks may miss together."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from demand_samples import FIRST_MONDAY, LINES_SCHEMA, MakeLines, after
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.contracts import PUBLISHED_TABLES
from models.counts import SMALL, count_quantile, count_quantiles
from models.demand.config import DemandConfig
from models.demand.horizons.outlook import outlook as days_and_months
from models.demand.horizons.together import FEWEST_WEEKS, correlation, variance_of_sum
from models.demand.horizons.weekdays import PRIOR_UNITS, Weekdays, learn
from models.demand.panel.series import Panel
from models.demand.scoring import forecast, outlook

MONDAY = date(2018, 1, 29)
EVEN = Weekdays(np.full(7, 1 / 7), {}, {}, 1.0)
COLUMNS = [column.name for column in PUBLISHED_TABLES["demand_outlook"].columns]


@given(
    st.lists(st.tuples(st.floats(0, 3 * SMALL), st.floats(0.5, 20)), min_size=1, max_size=20),
    st.sampled_from([(0.1, 0.5, 0.9), (0.025, 0.975)]),
)
def test_quantiles_at_once_are_those_one_by_one(
    rows: list[tuple[float, float]], levels: tuple[float, ...]
) -> None:
    mean, ratio = np.array(rows).T
    one_by_one = np.stack([count_quantile(mean, ratio * mean, level) for level in levels], axis=-1)
    np.testing.assert_array_equal(count_quantiles(mean, ratio * mean, levels), one_by_one)


def sold(rows: list[tuple[str, str, int, float]]) -> pl.DataFrame:
    """(merchant, category, day before `MONDAY`, units)."""
    return pl.DataFrame(
        [(m, c, MONDAY - timedelta(days=ago), units) for m, c, ago, units in rows],
        schema=["merchant_id", "category_l2_id", "placed_on", "qty"],
        orient="row",
    )


def test_weekdays_by_hand() -> None:
    """Eight units, six on a Sunday (a day before), two on a Saturday; the cell is drawn to its category."""
    found = learn(sold([("m1", "a", 1, 5.0), ("m1", "a", 8, 1.0), ("m2", "b", 2, 2.0)]), MONDAY)
    np.testing.assert_allclose(found.everybody, [0, 0, 0, 0, 0, 0.25, 0.75])
    a = (np.array([0, 0, 0, 0, 0, 0, 6.0]) + PRIOR_UNITS * found.everybody) / (6 + PRIOR_UNITS)
    np.testing.assert_allclose(found.categories["a"], a)
    cell = (np.array([0, 0, 0, 0, 0, 0, 6.0]) + PRIOR_UNITS * a) / (6 + PRIOR_UNITS)
    np.testing.assert_allclose(found.series["m1", "a"], cell)
    shares = found.shares(["m1", "m9", "m9"], ["a", "a", "z"])
    np.testing.assert_allclose(shares, [cell, a, found.everybody])
    # Of weeks of 5, 1 and 2 units: misses (1.25, 1.25), (.25, .25) and (1.5, 1.5) squared, over 8 x 2 x 3/16.
    assert found.scatter == pytest.approx(2 * (1.25**2 + 0.25**2 + 1.5**2) / (8 * 2 * 3 / 16))


@pytest.mark.parametrize(("ago", "is_read"), [(0, False), (1, True), (91, True), (92, False)])
def test_thirteen_weeks_before_the_monday_are_read(ago: int, is_read: bool) -> None:
    assert bool(learn(sold([("m1", "a", ago, 1.0)]), MONDAY).series) == is_read


def test_nothing_sold_is_an_even_week() -> None:
    found = learn(sold([("m1", "a", 1, -2.0)]), MONDAY)
    np.testing.assert_allclose(found.everybody, 1 / 7)
    assert found.scatter == 1.0
    assert found.shares([], []).shape == (0, 7)


def weeks(mean: list[float], spread: float, merchant: str = "m1") -> pl.DataFrame:
    """Published weeks from `MONDAY` on whose outer quantiles are `spread` standard deviations wide."""
    reach = spread * stats.norm.ppf(0.9)
    return pl.DataFrame(
        {
            "merchant_id": merchant,
            "category_id": "a",
            "week_start_on": [MONDAY + timedelta(weeks=k) for k in range(len(mean))],
            "horizon_weeks": list(range(1, len(mean) + 1)),
            "mean_qty": mean,
            "p10_qty": [value - reach for value in mean],
            "p50_qty": mean,
            "p90_qty": [value + reach for value in mean],
            "model": "tsb",
        }
    )


def test_days_share_their_week(small_panel: Panel) -> None:
    share = np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.4])
    told = days_and_months(
        weeks([70.0, 14.0], 10.0), Weekdays(share, {}, {}, 3.0), small_panel, least_weekly=2.0
    )
    days = told.filter(grain="day")
    assert told.columns == COLUMNS
    np.testing.assert_allclose(days["mean_qty"], np.r_[70 * share, 14 * share])
    assert days["starts_on"].to_list() == days["ends_on"].to_list()
    assert days["ends_on"].to_list() == [MONDAY + timedelta(days=k) for k in range(14)]
    # Sunday of the first week: 28 units; variance (10 x .4)^2 + 3 x 28 x .6.
    variance = 16 + 3 * 28 * 0.6
    assert days["p90_qty"][6] == stats.nbinom.ppf(0.9, 28**2 / (variance - 28), 28 / variance)


@pytest.mark.parametrize(("least", "is_told"), [(42.0, True), (42.1, False)])
def test_days_are_told_of_series_that_sell_often(small_panel: Panel, least: float, is_told: bool) -> None:
    told = days_and_months(weeks([70.0, 14.0], 1.0), EVEN, small_panel, least_weekly=least)
    assert bool(told.filter(grain="day").height) == is_told
    assert told.filter(grain="month").height == 3


def test_months_sum_weeks_and_go_on_like_their_mean(small_panel: Panel) -> None:
    """From 29 January: to 27 February 30 days, to 28 March and 28 April 59 and 90."""
    told = days_and_months(weeks([70.0, 14.0], 10.0), EVEN, small_panel, 1e9)
    assert told["ends_on"].to_list() == [date(2018, 2, 27), date(2018, 3, 28), date(2018, 4, 28)]
    assert told["starts_on"].to_list() == [MONDAY] * 3
    rest = [30 - 14, 59 - 14, 90 - 14]
    np.testing.assert_allclose(told["mean_qty"], [84 + 42 / 7 * days for days in rest])
    part = np.array([1, 1, 1, 1, 2 / 7])
    together = correlation(small_panel, 5)
    variance = 100 * ((1 - together) * (part**2).sum() + together * part.sum() ** 2)
    mean = 84 + 6 * 16
    variance = max(variance, mean)
    size = mean**2 / (variance - mean)
    assert told["p90_qty"][0] == stats.nbinom.ppf(0.9, size, mean / variance)


def test_a_sum_of_weeks_against_draws() -> None:
    """Weeks with a common error: 20,000 draws of their sum."""
    rng = np.random.default_rng(1)
    spread, part, common = np.array([[2.0, 3.0, 1.0]]), np.array([1.0, 1.0, 0.5]), 0.4
    shared = rng.standard_normal((20_000, 1)) * np.sqrt(common)
    noise = shared + rng.standard_normal((20_000, 3)) * np.sqrt(1 - common)
    drawn = (noise * spread * part).sum(axis=1).var()
    assert variance_of_sum(spread, part, common)[0] == pytest.approx(drawn, rel=0.03)
    np.testing.assert_allclose(variance_of_sum(spread, part, 0.0), 4 + 9 + 0.25)
    np.testing.assert_allclose(variance_of_sum(spread, part, 1.0), (2 + 3 + 0.5) ** 2)


def panel_with(small_panel: Panel, units: np.ndarray) -> Panel:
    count = len(units)
    return replace(
        small_panel,
        qty=units.astype(np.float32),
        start=np.zeros(count, dtype=np.int64),
        merchant_id=tuple(f"m{k}" for k in range(count)),
        category_id=("a",) * count,
    )


def test_the_correlation_is_found(small_panel: Panel) -> None:
    """Each series sells a Poisson count of its own level, which moves after every origin or never."""
    rng = np.random.default_rng(7)
    steady = panel_with(small_panel, rng.poisson(20, (2000, 40)))
    assert correlation(steady, 4) < 0.2
    level = 20 * np.exp(np.cumsum(rng.standard_normal((2000, 40)) * 0.3, axis=1))
    wandering = panel_with(small_panel, rng.poisson(level))
    assert correlation(wandering, 4) > 0.5


def test_of_a_short_history_the_longest_that_fits_is_taken(small_panel: Panel) -> None:
    units = np.random.default_rng(3).poisson(9, (50, FEWEST_WEEKS + 3))
    panel = panel_with(small_panel, units)
    assert correlation(panel, 13) == correlation(panel, 3)
    assert correlation(panel, 3) < 1
    assert correlation(panel_with(small_panel, units[:, : FEWEST_WEEKS + 1]), 4) == 1.0
    assert correlation(panel_with(small_panel, np.zeros((3, 30))), 4) == 1.0


def test_through_the_door_of_scoring(
    make_lines: MakeLines, no_promotions: pl.DataFrame, small_config: DemandConfig
) -> None:
    """Everything sells on Mondays: so do the days; a superseded line and one of later are not read."""
    weekly = {("l2-a", "m1"): [50, 60] * 20, ("l2-a", "m2"): [0] * 39 + [1]}
    lines = make_lines(weekly)
    told = forecast(lines, no_promotions, after(40), None, "none", config=small_config)
    found = outlook(lines, told, after(40), config=small_config)
    assert found.columns == COLUMNS
    assert found.select("merchant_id", "category_id", "grain", "ends_on").is_unique().all()
    days = found.filter(pl.col("grain") == "day", pl.col("merchant_id") == "m1")
    assert days.height == 28
    assert days["ends_on"][0] == FIRST_MONDAY + timedelta(weeks=40)
    monday, tuesday = days["mean_qty"][:2]
    assert tuesday == 0
    assert monday == pytest.approx(told.filter(merchant_id="m1")["mean_qty"][0])
    assert set(found.filter(merchant_id="m2")["grain"]) == {"month"}
    ordered = (pl.col("p10_qty") <= pl.col("p50_qty")) & (pl.col("p50_qty") <= pl.col("p90_qty"))
    assert found.select(ordered.all()).item()
    later = pl.concat([lines, make_lines({("l2-a", "m1"): [0] * 40 + [900]})])
    assert outlook(later, told, after(40), config=small_config).equals(found)
    shuffled = lines.sample(fraction=1, shuffle=True, seed=1)
    assert outlook(shuffled, told, after(40), config=small_config).equals(found)


def test_no_weeks_no_outlook(small_config: DemandConfig) -> None:
    nothing = forecast(pl.DataFrame(schema=LINES_SCHEMA), pl.DataFrame(), after(3), None, "none")
    found = outlook(pl.DataFrame(schema=LINES_SCHEMA), nothing, after(3), config=small_config)
    assert found.is_empty()
    assert found.columns == COLUMNS
