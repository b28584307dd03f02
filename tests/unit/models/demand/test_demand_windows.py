from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.demand.config import DemandConfig
from models.demand.judging.backtest import Origins, plan_origins, roll_rules, rule_forecast
from models.demand.judging.reconcile import category_totals, towards_category_level
from models.demand.panel.series import Panel
from models.demand.panel.vintages import Vintages
from models.demand.panel.windows import cut_windows, training_pairs
from models.demand.weekly.baselines import RULES
from models.demand.weekly.forecasts import Forecast
from models.errors import InsufficientDataError


def with_other_future(panel: Panel, origin: int) -> Panel:
    """The same past, another future: sales, prices and group totals from `origin` on are changed."""
    changed = {}
    for name in ("qty", "log_price", "category_qty", "merchant_qty"):
        values = getattr(panel, name).copy()
        values[:, origin:] = values[:, origin:] * 7 + 3
        changed[name] = values
    return replace(panel, **changed)


def test_windows_do_not_look_ahead(small_panel: Panel, small_config: DemandConfig) -> None:
    series = np.arange(small_panel.n_series)
    origins = np.full_like(series, 25)
    here = cut_windows(small_panel, series, origins, small_config)
    there = cut_windows(with_other_future(small_panel, 25), series, origins, small_config)
    for name in ("qty", "on_sale", "log_price", "promo", "calendar", "category_ratio", "merchant_ratio"):
        np.testing.assert_array_equal(getattr(here, name), getattr(there, name), err_msg=name)
    np.testing.assert_array_equal(here.scale, there.scale)
    np.testing.assert_array_equal(here.expected, there.expected)
    assert not np.array_equal(here.target, there.target)


def test_window_values_by_hand(small_panel: Panel, small_config: DemandConfig) -> None:
    row = next(i for i, m in enumerate(small_panel.merchant_id) if m == "m1")
    w = cut_windows(small_panel, np.array([row]), np.array([5]), small_config)
    np.testing.assert_array_equal(w.on_sale[0], [0] * 7 + [1] * 5)
    np.testing.assert_array_equal(w.qty[0, 7:], small_panel.qty[row, :5])
    np.testing.assert_allclose(w.scale[0], small_panel.qty[row, :5].mean(), rtol=1e-6)
    np.testing.assert_array_equal(w.target[0], small_panel.qty[row, 5:9])


def test_unpublished_plan_is_replaced_by_the_last_four_weeks(
    small_panel: Panel, small_config: DemandConfig
) -> None:
    promo = np.zeros_like(small_panel.promo)
    promo[:, 16:20] = [[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [2.0, 4.0]]
    promo[:, 20:24] = 9.0
    known = np.ones_like(small_panel.plan_known)
    known[22] = False
    panel = replace(small_panel, promo=promo, plan_known=known)
    pair = np.array([0]), np.array([20])
    seen = cut_windows(panel, *pair, small_config).promo[0, small_config.window :]
    np.testing.assert_allclose(seen, [[9, 9], [9, 9], [2, 1], [9, 9]])
    hidden = cut_windows(panel, *pair, small_config, hide_plan=True).promo[0, small_config.window :]
    np.testing.assert_allclose(hidden, [[2, 1]] * 4)


def test_training_targets_end_before_the_cut(small_panel: Panel, small_config: DemandConfig) -> None:
    series, origins = training_pairs(small_panel, 24, small_config)
    assert origins.max() + small_config.horizon == 24
    assert (origins >= small_panel.start[series] + small_config.min_history).all()
    strided = training_pairs(small_panel, 24, small_config, stride=3)[1]
    assert set(np.diff(np.unique(strided))) == {3}


def test_rules_do_not_look_ahead(small_panel: Panel) -> None:
    for name, rule in RULES.items():
        here = rule_forecast(rule, small_panel, 25, 4).mean
        there = rule_forecast(rule, with_other_future(small_panel, 25), 25, 4).mean
        np.testing.assert_array_equal(here, there, err_msg=name)


def unchanging(panel: Panel, origins: Origins) -> Vintages:
    """A panel in which nothing came late."""
    return Vintages(panel, dict.fromkeys(origins.all, panel))


def test_a_tested_origin_is_calibrated_on_finished_weeks_only(
    small_panel: Panel, small_config: DemandConfig
) -> None:
    origins = plan_origins(small_panel.n_weeks, small_config)
    first = origins.tested[0]
    rules = {"ses": RULES["ses"]}
    here = roll_rules(unchanging(small_panel, origins), origins, 4, rules)["ses"]
    other = with_other_future(small_panel, first)
    there = roll_rules(unchanging(other, origins), origins, 4, rules)["ses"]
    np.testing.assert_array_equal(here.quantiles[0], there.quantiles[0])
    assert not np.array_equal(here.quantiles[-1], there.quantiles[-1])


def test_origins_fit_the_history() -> None:
    plan = plan_origins(52, DemandConfig())
    assert plan.tested == (38, 40, 42, 44, 46, 48)
    assert plan.fit_cut == plan.all[0] == 34
    assert plan_origins(30, DemandConfig()).tested == (21, 22, 23, 24, 25, 26)
    assert len(plan_origins(26, DemandConfig()).tested) == 3
    with pytest.raises(InsufficientDataError, match="26 are needed"):
        plan_origins(25, DemandConfig())


def test_series_move_to_their_categorys_level(small_panel: Panel) -> None:
    flat = np.full((small_panel.n_series, 4), 6.0)
    forecast = Forecast(flat, np.repeat(flat[:, :, None], 3, axis=2))
    level = np.array([240.0, 48.0, 96.0])
    assert towards_category_level(forecast, small_panel, level, 0.0) is forecast
    pulled = towards_category_level(forecast, small_panel, level, 1.0)
    half = towards_category_level(forecast, small_panel, level, 0.5)
    np.testing.assert_allclose((half.mean / 6) ** 2, pulled.mean / 6, rtol=1e-9)
    np.testing.assert_allclose(category_totals(flat, small_panel)[:, 0], [30, 24, 24])
    # 5 units damp the factor; small categories are not thrown about.
    np.testing.assert_allclose(
        category_totals(pulled.mean, small_panel).sum(axis=1), [120 * 245 / 125, 96 * 53 / 101, 96.0]
    )
    np.testing.assert_allclose(pulled.quantiles[:, :, 0], pulled.mean)
