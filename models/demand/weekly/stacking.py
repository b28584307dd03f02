"""The product's forecasters and two intermittent rules as one, with weights learnt at origins that were over.

What mixes and what weighs is the general families' (`families.stacking`); here it meets the weekly panel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.demand.config import QUANTILES
from models.demand.families.intermittent import METHODS, Intermittent
from models.demand.families.stacking import INTERMITTENT, SMOOTH, kinds_of, mix, weights_by_class
from models.demand.panel.series import Panel
from models.demand.panel.vintages import Vintages
from models.demand.weekly.forecasts import Forecast
from models.metrics import FloatArray

RULES: tuple[str, ...] = tuple(METHODS)
"""Members that need no fit."""


@dataclass(frozen=True)
class Weights:
    """What each member counts.

    Attributes:
        members: Names.
        by_class: Class of series to float64 (k,), non-negative with sum 1.
    """

    members: tuple[str, ...]
    by_class: Mapping[str, FloatArray]

    @property
    def used(self) -> tuple[str, ...]:
        """Members with a weight in any class."""
        total = sum(self.by_class.values(), np.zeros(len(self.members)))
        return tuple(name for name, weight in zip(self.members, total, strict=True) if weight > 0)

    def as_json(self) -> dict[str, Any]:
        """JSON-able form; `from_json` reads it back."""
        by_class = {name: weights.tolist() for name, weights in self.by_class.items()}
        return {"members": list(self.members), "by_class": by_class}


def from_json(document: Mapping[str, Any]) -> Weights:
    """Read what `Weights.as_json` wrote."""
    by_class = {name: np.asarray(weights, np.float64) for name, weights in document["by_class"].items()}
    return Weights(tuple(document["members"]), by_class)


def rule(name: str, panel: Panel, origin: int, horizon: int) -> Forecast:
    """Forecast by one of `RULES`, with quantiles from each series' own spread."""
    units = panel.qty[:, :origin].astype(np.float64)
    found = Intermittent(name, QUANTILES).after(units, panel.start, horizon)
    return Forecast(found.mean, found.quantiles)


def learn(
    told: Mapping[str, Mapping[int, Forecast]], panel: Panel, over: Sequence[int], horizon: int
) -> Weights:
    """Weights with little pinball loss over origins whose weeks are over; pools do not count.

    Args:
        told: Each member's forecasts by origin.
        panel: What is known now.
        over: The origins; with none of them, without a series of its own, or where all their weeks are
            missing, all members count alike.
        horizon: Weeks ahead.
    """
    members, own = tuple(told), ~panel.is_pooled
    weeks = [panel.qty[own, o : o + horizon].ravel() for o in over]
    if np.isnan(weeks).all():
        alike = np.full(len(members), 1 / len(members))
        return Weights(members, {SMOOTH: alike, INTERMITTENT: alike})
    actual = np.concatenate(weeks).astype(np.float64)
    classes = np.concatenate([np.repeat(kinds(panel, o)[own], horizon) for o in over])
    points = [
        np.concatenate([forecasts[o].quantiles[own].reshape(-1, len(QUANTILES)) for o in over])
        for forecasts in told.values()
    ]
    return Weights(members, weights_by_class(actual, np.stack(points), classes, QUANTILES))


def kinds(panel: Panel, origin: int) -> npt.NDArray[np.str_]:
    """The class of each series by its weeks before an origin."""
    return kinds_of(panel.qty[:, :origin].astype(np.float64), panel.start)


def mixed(parts: Mapping[str, Forecast], weights: Weights, classes: npt.NDArray[np.str_]) -> Forecast:
    """The members' forecasts at an origin as one.

    Args:
        parts: Forecasts by name, of all members with a weight.
        weights: Their weights.
        classes: The class of each series there, from `kinds`.
    """
    used = weights.used
    chosen = [weights.members.index(name) for name in used]
    mean, quantiles = mix(
        [parts[name].mean for name in used],
        [parts[name].quantiles for name in used],
        classes,
        {name: each[chosen] for name, each in weights.by_class.items()},
    )
    return Forecast(mean, quantiles)


def told_by_rules(panels: Vintages, horizon: int) -> dict[str, dict[int, Forecast]]:
    """What `RULES` forecast at every origin; they read no plan."""
    return {
        name: {origin: rule(name, known, origin, horizon) for origin, known in panels.known.items()}
        for name in RULES
    }


class Stack:
    """The members of a backtest as one, by the weights that were known at a moment.

    Args:
        told: Each member's forecasts by origin, before they meet their category's level.
        panels: What was known at each origin, and what stands.
        horizon: Weeks ahead.
    """

    def __init__(self, told: Mapping[str, Mapping[int, Forecast]], panels: Vintages, horizon: int) -> None:
        self.told, self.panels, self.horizon = told, panels, horizon
        self._weights: dict[int, Weights] = {}
        self._kinds = {origin: kinds(known, origin) for origin, known in panels.known.items()}

    def weights(self, moment: int) -> Weights:
        """Learnt on the origins whose weeks were over at a week index; on what was known then."""
        if moment not in self._weights:
            over = [origin for origin in self.panels.known if origin + self.horizon <= moment]
            known = self.panels.known.get(moment, self.panels.standing)
            self._weights[moment] = learn(self.told, known, over, self.horizon)
        return self._weights[moment]

    def predict(self, origin: int, moment: int) -> Forecast:
        """The forecast of an origin by the weights of a moment at or after it."""
        parts = {name: forecasts[origin] for name, forecasts in self.told.items()}
        return mixed(parts, self.weights(moment), self._kinds[origin])
