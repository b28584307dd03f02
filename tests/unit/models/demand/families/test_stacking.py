"""Stacking: weights find the member that knows, are learnt per class, and never see the future."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
from panels import panel_of

from models.data import Panel
from models.demand.families.forecast import Forecast
from models.demand.families.stacking import (
    INTERMITTENT,
    SMOOTH,
    Stacked,
    best_weights,
    classes,
    learn_weights,
)
from models.errors import InsufficientDataError

LEVELS = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Says:
    """A forecaster that knows the truth of some series and doubles that of the others."""

    name: str
    knows: tuple[bool, ...]
    fitted_until: int = -1

    def fit(self, data: Panel, until: int) -> Says:
        return Says(self.name, self.knows, until)

    @property
    def levels(self) -> tuple[float, ...]:
        return LEVELS

    def predict(self, panel: Panel, origin: int, horizon: int) -> Forecast:
        assert self.fitted_until <= origin
        truth = panel.target[:, origin : origin + horizon]
        value = np.where(np.array(self.knows)[:, None], truth, 2 * truth + 1)
        return Forecast(value, np.repeat(value[:, :, None], 3, axis=2), LEVELS)


@pytest.fixture
def panel() -> Panel:
    units = np.random.default_rng(2).integers(5, 30, (40, 30)).astype(np.float64)
    units[20:, ::2] = 0.0
    return panel_of(units)


def test_each_class_takes_the_member_that_knows_it(panel: Panel) -> None:
    families = (Says("a", (True,) * 20 + (False,) * 20), Says("b", (False,) * 20 + (True,) * 20))
    weights = learn_weights(families, panel, 30, 2)
    assert weights[SMOOTH].tolist() == [1.0, 0.0]
    assert weights[INTERMITTENT].tolist() == [0.0, 1.0]
    stacked = Stacked(tuple(family.fit(panel, 28) for family in families), weights)
    forecast = stacked.predict(panel, 28, 2)
    np.testing.assert_allclose(forecast.mean, panel.target[:, 28:30])
    np.testing.assert_allclose(forecast.quantiles[:, :, 1], panel.target[:, 28:30], atol=1e-9)


def test_members_are_fitted_before_the_first_origin_of_the_validation(panel: Panel) -> None:
    seen = []

    class Spy(Says):
        def fit(self, data: Panel, until: int) -> Says:
            seen.append(until)
            return super().fit(data, until)

    learn_weights((Spy("a", (True,) * 40),), panel, 30, 2, origins=3, stride=2)
    assert seen == [24]


def test_two_biased_members_meet_in_the_middle() -> None:
    actual = np.full(50, 20.0)
    low, high = (np.exp(np.log(20.5) + d) - 0.5 for d in (-0.3, 0.3))
    quantiles = np.stack([np.full((50, 3), low), np.full((50, 3), high)])
    weights = best_weights(actual, quantiles, LEVELS)
    assert weights == pytest.approx([0.5, 0.5])


def test_weights_are_at_least_as_good_as_every_member_alone() -> None:
    rng = np.random.default_rng(5)
    actual = rng.gamma(3, 10, 200)
    quantiles = np.sort(actual[None, :, None] * rng.lognormal(0, 0.4, (3, 200, 3)), axis=2)

    def loss(weights: np.ndarray) -> float:
        mixed = np.tensordot(weights, np.log(quantiles + 0.5), axes=1)
        error = np.log(actual + 0.5)[:, None] - mixed
        levels = np.array(LEVELS)
        return float(np.maximum(levels * error, (levels - 1) * error).sum())

    found = best_weights(actual, quantiles, LEVELS)
    assert found.sum() == pytest.approx(1.0)
    assert (found >= 0).all()
    assert all(loss(found) <= loss(one) + 1e-9 for one in np.eye(3))


@pytest.mark.parametrize("seed", range(6))
def test_exchange_finds_what_trying_every_mixture_finds(seed: int) -> None:
    """Of three members in twentieths: 231 mixtures, each tried."""
    rng = np.random.default_rng(seed)
    actual = rng.poisson(6, 150).astype(float)
    centre = actual[None, :, None] * rng.lognormal(0, 0.5, (3, 150, 1)) * rng.lognormal(0, 0.2, (3, 1, 1))
    quantiles = centre * np.array([0.7, 1.0, 1.4])

    def loss(weights: np.ndarray) -> float:
        mixed = np.tensordot(weights, np.log(quantiles + 0.5), axes=1)
        error = np.log(actual + 0.5)[:, None] - mixed
        levels = np.array(LEVELS)
        return float(np.maximum(levels * error, (levels - 1) * error).sum())

    every = [
        np.array([a, b, 20 - a - b]) / 20 for a, b in itertools.product(range(21), repeat=2) if a + b <= 20
    ]
    assert loss(best_weights(actual, quantiles, LEVELS)) <= min(map(loss, every)) * 1.001


@pytest.mark.parametrize(("silent", "kind"), [(4, SMOOTH), (5, INTERMITTENT)])
def test_from_a_quarter_of_silent_periods_on_a_series_is_intermittent(silent: int, kind: str) -> None:
    """Twenty periods since the first demand; what came before it does not count."""
    target = np.r_[np.zeros(30), 7.0, np.zeros(silent), np.ones(19 - silent)][None, :]
    panel = replace(panel_of(target), start=np.array([30]))
    assert classes(panel, 50).tolist() == [kind]


def test_classes_by_hand() -> None:
    target = np.array([[1.0, 2, 3, 0, 9], [0.0, 2, 0, 0, 9], [np.nan, np.nan, np.nan, np.nan, 9]])
    assert classes(panel_of(target), 4).tolist() == [INTERMITTENT, INTERMITTENT, INTERMITTENT]
    assert classes(panel_of(target), 3).tolist() == [SMOOTH, INTERMITTENT, INTERMITTENT]


def test_a_validation_without_a_target_is_named() -> None:
    blank = panel_of(np.full((3, 10), np.nan))
    with pytest.raises(InsufficientDataError, match="nothing was observed in periods 5 to 9"):
        learn_weights((Says("a", (True,) * 3),), blank, 10, 2)
