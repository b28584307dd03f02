"""The stack on the weekly panel: weights of a moment, learnt of what was over then, pools left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.demand.families.stacking import INTERMITTENT, MOST_POINTS, SMOOTH, weights_by_class
from models.demand.panel.series import Panel
from models.demand.panel.vintages import Vintages
from models.demand.weekly import stacking
from models.demand.weekly.forecasts import Forecast

ORIGINS = (24, 26, 28, 30, 32)


def exact(panel: Panel, origin: int, factor: float) -> Forecast:
    truth = panel.qty[:, origin : origin + 4].astype(np.float64) * factor
    return Forecast(truth, np.repeat(truth[:, :, None], 3, axis=2))


@pytest.fixture
def stack(small_panel: Panel) -> stacking.Stack:
    """`a` knows the weeks of origins before 28 and `b` those from 28 on; the other says threefold."""
    told = {
        name: {o: exact(small_panel, o, 1.0 if (o < 28) == early else 3.0) for o in ORIGINS}
        for name, early in (("a", True), ("b", False))
    }
    return stacking.Stack(told, Vintages(small_panel, dict.fromkeys(ORIGINS, small_panel)), 4)


def test_weights_are_those_of_a_moment(stack: stacking.Stack) -> None:
    """At 28 the weeks of origin 24 were over, at 36 those of all five, three of which `b` knew."""
    assert stack.weights(27).by_class[SMOOTH].tolist() == [0.5, 0.5]
    assert stack.weights(28).by_class[SMOOTH].tolist() == [1.0, 0.0]
    assert stack.weights(36).by_class[SMOOTH].tolist() == [0.0, 1.0]


def test_an_origin_is_forecast_by_the_weights_of_the_moment(
    stack: stacking.Stack, small_panel: Panel
) -> None:
    own = ~small_panel.is_pooled
    sold = small_panel.qty[own, 24:28]
    np.testing.assert_allclose(stack.predict(24, 28).mean[own], sold)
    np.testing.assert_allclose(stack.predict(24, 24).mean[own], 2 * sold)
    np.testing.assert_allclose(stack.predict(24, 36).mean[own], 3 * sold)


def test_pools_do_not_weigh(small_panel: Panel) -> None:
    pooled = small_panel.is_pooled
    assert pooled.any()
    wrong = exact(small_panel, 24, 1.0)
    wrong.quantiles[pooled] = 99.0
    told = {"a": {24: wrong}, "b": {24: exact(small_panel, 24, 1.1)}}
    assert stacking.learn(told, small_panel, [24], 4).by_class[SMOOTH].tolist() == [1.0, 0.0]
    only_pools = replace(small_panel, merchant_id=("*",) * small_panel.n_series)
    assert stacking.learn(told, only_pools, [24], 4).by_class[SMOOTH].tolist() == [0.5, 0.5]


def test_rules_of_the_stack_read_nothing_of_what_comes(small_panel: Panel) -> None:
    later = small_panel.qty.copy()
    later[:, 30:] = 99
    for name in stacking.RULES:
        ours, theirs = (
            stacking.rule(name, panel, 30, 4) for panel in (small_panel, replace(small_panel, qty=later))
        )
        np.testing.assert_array_equal(ours.quantiles, theirs.quantiles)


def test_a_member_without_a_weight_is_not_asked(small_panel: Panel) -> None:
    weights = stacking.Weights(
        ("a", "b", "c"), {SMOOTH: np.array([0.0, 1, 0]), INTERMITTENT: np.array([0.0, 0.5, 0.5])}
    )
    assert weights.used == ("b", "c")
    parts = {"b": exact(small_panel, 24, 1.0), "c": exact(small_panel, 24, 3.0)}
    classes = np.full(small_panel.n_series, INTERMITTENT)
    found = stacking.mixed(parts, weights, classes)
    np.testing.assert_allclose(found.mean, 2 * small_panel.qty[:, 24:28])
    again = stacking.from_json(weights.as_json())
    assert again.as_json() == weights.as_json()


def test_of_many_points_evenly_spaced_ones_are_taken() -> None:
    """The first member knows every second point, the other the rest; each second point is taken."""
    actual = np.full(MOST_POINTS * 2, 10.0)
    even = np.arange(len(actual)) % 2 == 0
    said = np.stack([np.where(even, 10.0, 40.0), np.where(even, 40.0, 10.0)])
    quantiles = np.repeat(said[:, :, None], 3, axis=2)
    kinds = np.full(len(actual), SMOOTH)
    assert weights_by_class(actual, quantiles, kinds, (0.1, 0.5, 0.9))[SMOOTH].tolist() == [1.0, 0.0]
    fewer = slice(0, MOST_POINTS)
    part = weights_by_class(actual[fewer], quantiles[:, fewer], kinds[fewer], (0.1, 0.5, 0.9))
    assert part[SMOOTH].tolist() != [1.0, 0.0]
