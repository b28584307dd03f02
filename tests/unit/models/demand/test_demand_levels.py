"""Levels of categories: the better way is taken, a known plan is used, and no week ahead is read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from demand_samples import PROMOTIONS_SCHEMA, MakeLines, after, lines_of

from models.demand.config import DemandConfig
from models.demand.judging.levels import CategoryLevels
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
    smoothing = np.mean([wape(promoted_panel, o, levels._at(o, False)["smoothing"]) for o in origins])
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
