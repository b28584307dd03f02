"""Levels of categories: smoothing meets a regression, a known plan is used, and no week ahead is read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from demand_samples import PROMOTIONS_SCHEMA, MakeLines, after, lines_of

from models.demand.config import DemandConfig
from models.demand.judging.levels import BOTH, REGRESSION, SMOOTHING, CategoryLevels
from models.demand.panel.series import Panel, build_panel, weekly_sales
from models.demand.weekly.baselines import exponential_smoothing

WEEKS = 44


@pytest.fixture(scope="module")
def promoted_panel(small_config: DemandConfig) -> Panel:
    """Thirty categories; in a quarter of the blocks of four weeks one is promoted and sells threefold."""
    rng = np.random.default_rng(8)
    weekly, rows = {}, []
    for category in range(30):
        promoted = np.repeat(rng.random(WEEKS // 4 + 1) < 0.25, 4)[:WEEKS]
        level = np.where(promoted, 30, 10)
        weekly[f"l2-{category:02d}", "m1"] = list(rng.poisson(level) + 1)
        rows += [
            (f"l2-{category:02d}", "m1", after(int(week)).date(), 6, 0) for week in np.flatnonzero(promoted)
        ]
    promotions = pl.DataFrame(rows, schema=PROMOTIONS_SCHEMA, orient="row")
    return build_panel(weekly_sales(lines_of(weekly), after(WEEKS), small_config), promotions, small_config)


def wape(panel: Panel, origin: int, level: np.ndarray) -> float:
    sold = panel.qty[:, origin : origin + 4].sum(axis=1)
    return float(np.abs(sold - level).sum() / sold.sum())


def test_a_known_promotion_is_seen_and_a_hidden_one_is_not(promoted_panel: Panel) -> None:
    levels = CategoryLevels(promoted_panel, 4)
    origins = range(28, WEEKS - 4, 4)
    known = np.mean([wape(promoted_panel, o, levels.at(o)) for o in origins])
    hidden = np.mean([wape(promoted_panel, o, levels.at(o, hide_plan=True)) for o in origins])
    smoothing = np.mean([wape(promoted_panel, o, levels._ways(o, False)[SMOOTHING]) for o in origins])
    assert known < 0.6 * hidden
    assert hidden < 1.1 * smoothing


def test_no_week_at_or_after_the_origin_is_read(promoted_panel: Panel) -> None:
    later = promoted_panel.qty.copy()
    later[:, 30:] = later[:, 30:] * 7 + 3
    changed = replace(promoted_panel, qty=later)
    for hide in (False, True):
        ours, theirs = (CategoryLevels(p, 4).at(30, hide_plan=hide) for p in (promoted_panel, changed))
        np.testing.assert_array_equal(ours, theirs)


def test_a_short_history_is_smoothed(promoted_panel: Panel) -> None:
    level = CategoryLevels(promoted_panel, 4).at(14)
    units = promoted_panel.qty[:, :14].astype(np.float64)
    np.testing.assert_allclose(level, exponential_smoothing(units, promoted_panel.start, 4).sum(axis=1))


@pytest.mark.parametrize(("origin", "ways"), [(18, {SMOOTHING}), (19, {SMOOTHING, REGRESSION, BOTH})])
def test_a_regression_needs_eight_origins(promoted_panel: Panel, origin: int, ways: set[str]) -> None:
    """Origins from week 8 on whose four weeks are over: seven before week 18, eight before week 19."""
    assert set(CategoryLevels(promoted_panel, 4)._ways(origin, False)) == ways


@pytest.mark.parametrize(
    ("smoothing_error", "taken"), [(90.0, BOTH), (89.9, SMOOTHING), (100.0, BOTH), (140.0, BOTH)]
)
def test_one_way_alone_must_be_clearly_better(
    promoted_panel: Panel, monkeypatch: pytest.MonkeyPatch, smoothing_error: float, taken: str
) -> None:
    """The mean of both misses by 100 at each of the eight earlier origins, the regression by 95."""
    levels = CategoryLevels(promoted_panel, 4)
    error = {SMOOTHING: smoothing_error, REGRESSION: 95.0, BOTH: 100.0}

    def ways(origin: int, plan: bool) -> dict[str, np.ndarray]:
        truth = levels._sold(origin)
        return {name: truth + np.eye(len(truth))[0] * miss for name, miss in error.items()}

    monkeypatch.setattr(levels, "_ways", ways)
    np.testing.assert_allclose(levels.at(36), ways(36, False)[taken])


def test_steady_sales_keep_their_level(make_lines: MakeLines, small_config: DemandConfig) -> None:
    lines = make_lines({(f"l2-{k}", "m1"): [10 * (k + 1)] * 40 for k in range(5)})
    none = pl.DataFrame(schema=PROMOTIONS_SCHEMA)
    panel = build_panel(weekly_sales(lines, after(40), small_config), none, small_config)
    np.testing.assert_allclose(CategoryLevels(panel, 4).at(40), [40, 80, 120, 160, 200], rtol=0.01)


def test_unknown_plans_ahead_count_as_hidden(promoted_panel: Panel) -> None:
    unknown = promoted_panel.plan_known.copy()
    unknown[36:] = False
    levels = CategoryLevels(replace(promoted_panel, plan_known=unknown), 4)
    np.testing.assert_array_equal(levels.at(36), levels.at(36, hide_plan=True))
