"""The gate judges the mean at the level that orders are made at, not only the median of a series."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from models.contracts import GateDecision
from models.demand.judging import conformal, leaderboard
from models.demand.judging.backtest import LEVELLED, Rolled
from models.demand.panel.series import Panel


def rolled(point: np.ndarray, mean: np.ndarray) -> Rolled:
    quantiles = np.stack([point * 0.8, point, point * 1.2], axis=-1)
    return Rolled(point, mean, quantiles, quantiles[..., [0, -1]], 0, conformal.unshifted())


@pytest.fixture(scope="module")
def sold(small_panel: Panel) -> np.ndarray:
    return np.random.default_rng(1).poisson(12, (3, small_panel.n_series, 4)).astype(np.float64)


def decided(sold: np.ndarray, panel: Panel, mean: np.ndarray) -> GateDecision:
    """A candidate whose median is close, beside a rule that is 30% off in each point and right in sum."""
    wave = np.where(np.arange(4) % 2, 1.3, 0.7)
    rule = rolled(sold * wave, sold.mean(axis=2, keepdims=True) * np.ones(4) * 1.01)
    return leaderboard.gate(sold, rolled(sold * 1.05, mean), {"rule": rule}, panel, max_bias=0.03)


def test_a_candidate_that_is_right_at_both_levels_may_serve(sold: np.ndarray, small_panel: Panel) -> None:
    decision = decided(sold, small_panel, sold)
    assert decision.promoted
    assert [one.metric for one in decision.judged] == [
        "wape of the mean, category x 4 weeks, all series summed",
        "bias of the mean, category x 4 weeks, all series summed",
    ]


def test_a_mean_behind_the_rule_where_orders_are_made_is_refused(
    sold: np.ndarray, small_panel: Panel
) -> None:
    uneven = np.where(np.array(small_panel.category_id) == "l2-0", 1.1, 0.97)
    decision = decided(sold, small_panel, sold * uneven[None, :, None])
    assert not decision.promoted
    assert decision.lift.low > 0
    assert decision.reason.startswith("refused: wape of the mean, category x 4 weeks")


def test_a_biased_mean_is_refused(sold: np.ndarray, small_panel: Panel) -> None:
    decision = decided(sold, small_panel, sold * 1.04)
    assert not decision.promoted
    assert (
        "bias of the mean, category x 4 weeks, all series summed is 0.0400, its bound 0.0300"
        in decision.reason
    )


def test_the_rule_that_serves_is_the_best_one_where_orders_are_made(
    sold: np.ndarray, small_panel: Panel
) -> None:
    """`weeks` is closer in each week and 10% high in sum, `month` off in each week and right in sum."""
    wave = np.where(np.arange(4) % 2, 1.3, 0.7)
    month = rolled(sold * wave, sold.mean(axis=2, keepdims=True) * np.ones(4))
    rules = {"month": month, "weeks": rolled(sold * 1.1, sold * 1.1)}
    assert leaderboard.best_rule(sold, rules, small_panel) == "month"
    tied = rules | {"month": rolled(sold * wave, sold * 1.1)}
    assert leaderboard.best_rule(sold, tied, small_panel) == "weeks"


def test_the_levelled_rule_counts_at_series_and_not_at_its_own_level(
    sold: np.ndarray, small_panel: Panel
) -> None:
    """It has no error at category x four weeks: its level is the candidate's, a hair apart."""
    wave = np.where(np.arange(4) % 2, 1.3, 0.7)
    rule = rolled(sold * wave, sold)
    behind = rolled(sold * 1.05, sold * 1.001)
    gate = partial(leaderboard.gate, sold, behind, panel=small_panel, max_bias=0.03)
    other = rolled(sold * 2, sold * 1.1)
    assert gate(rules={LEVELLED: rule, "other": other}).promoted
    assert not gate(rules={"rule": rule, "other": other}).promoted
    close = rolled(sold * 1.01, sold)
    assert gate(rules={LEVELLED: close, "other": other}).baseline.removesuffix("_median") == LEVELLED
    assert not gate(rules={LEVELLED: close, "other": other}).promoted
