"""Several forecasters as one: non-negative weights by rolling pinball loss, a set of them for each class.

Quantiles are averaged level by level on the logarithmic scale, so they ascend where the members' do. Weights
are learnt on origins that no member was fitted on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.data import Panel
from models.demand.families.forecast import Forecast
from models.demand.families.inputs import HALF_UNIT
from models.errors import InsufficientDataError
from models.metrics import FloatArray, pinball
from models.protocol import Family, Forecaster

PARTS = 20
"""Weights are multiples of one part in so many."""

STEPS = (8, 4, 2, 1)
"""So many parts at a time go from one member to another, until that no longer helps."""

INTERMITTENT_SHARE = 0.25
"""From this share of periods without a sale on a series is intermittent."""

SMOOTH, INTERMITTENT = "smooth", "intermittent"
FEWEST_POINTS = 30
MOST_POINTS = 20_000
"""Of more points evenly spaced ones are taken: more would move no weight by a part."""


def classes(panel: Panel, origin: int) -> npt.NDArray[np.str_]:
    """The class of each series by what was observed from its start to before an origin.

    Returns:
        (n,) of `smooth` and `intermittent`; a series that was never observed is intermittent.
    """
    return kinds_of(panel.target[:, :origin], panel.start)


def kinds_of(units: FloatArray, start: npt.NDArray[np.int64]) -> npt.NDArray[np.str_]:
    """The class of each series by its units, float (n, t), from its start (n,) on."""
    before = np.arange(units.shape[1])[None, :] < start[:, None]
    seen = np.where(before, np.nan, units)
    observed = np.isfinite(seen).sum(axis=1)
    silent = (seen <= 0).sum(axis=1)
    often = (observed > 0) & (silent < INTERMITTENT_SHARE * np.maximum(observed, 1))
    return np.where(often, SMOOTH, INTERMITTENT)


def best_weights(actual: FloatArray, quantiles: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Non-negative weights with sum 1 and little pinball loss of log(units + half).

    The loss is convex in the weights. From the best member alone, parts go from one member to another as long
    as that lowers the loss, large parts first.

    Args:
        actual: float64 (m,), units.
        quantiles: float64 (k, m, q), units of the k members.
        levels: The q levels.

    Returns:
        float64 (k,), multiples of 1 / `PARTS`, never worse than the best member; of equal steps the first.
    """
    truth, logs = np.log(actual + HALF_UNIT), np.log(quantiles + HALF_UNIT)

    def loss(parts: npt.NDArray[np.int64]) -> float:
        mixed = np.tensordot(parts / PARTS, logs, axes=1)
        return sum(float(pinball(truth, mixed[:, q], level).sum()) for q, level in enumerate(levels))

    alone = np.eye(len(logs), dtype=np.int64) * PARTS
    best = min(alone, key=loss)
    least = loss(best)
    for size in STEPS:
        improved = True
        while improved:
            moved = [best + step for step in _steps(len(best), size) if (best + step).min() >= 0]
            found = [loss(parts) for parts in moved]
            improved = bool(found) and min(found) < least - 1e-12
            if improved:
                least = min(found)
                best = moved[found.index(least)]
    return np.asarray(best / PARTS)


def _steps(members: int, size: int) -> list[npt.NDArray[np.int64]]:
    """Every way to take so many parts from one member and give them to another."""
    unit = np.eye(members, dtype=np.int64) * size
    return [unit[to] - unit[of] for of in range(members) for to in range(members) if to != of]


def weights_by_class(
    actual: FloatArray, quantiles: FloatArray, kinds: npt.NDArray[np.str_], levels: Sequence[float]
) -> dict[str, FloatArray]:
    """`best_weights` of each class; one with fewer than `FEWEST_POINTS` points takes those of all.

    Of more than `MOST_POINTS` points evenly spaced ones are taken.

    Args:
        actual: float64 (m,), units; NaN where not observed, which is left out. One at least is.
        quantiles: float64 (k, m, q), units of the k members.
        kinds: (m,), the class of each point.
        levels: The q levels.
    """
    seen = np.isfinite(actual)
    weights = {}
    for name in (SMOOTH, INTERMITTENT):
        inside = seen & (kinds == name)
        points = np.flatnonzero(inside if inside.sum() >= FEWEST_POINTS else seen)
        taken = points[:: -(-len(points) // MOST_POINTS)]
        weights[name] = best_weights(np.maximum(actual[taken], 0), quantiles[:, taken], levels)
    return weights


def mix(
    means: Sequence[FloatArray],
    quantiles: Sequence[FloatArray],
    kinds: npt.NDArray[np.str_],
    weights: Mapping[str, FloatArray],
) -> tuple[FloatArray, FloatArray]:
    """Members' forecasts as one: means are averaged in units, quantiles level by level in logarithms.

    Args:
        means: k times float64 (n, h), units.
        quantiles: k times float64 (n, h, q), units, ascending.
        kinds: (n,), the class of each series.
        weights: Class to float64 (k,).

    Returns:
        float64 (n, h) and (n, h, q).
    """
    each = np.stack([weights[kind] for kind in kinds], axis=1)
    mean = np.zeros_like(means[0])
    logs = np.zeros_like(quantiles[0])
    for weight, one, spread in zip(each, means, quantiles, strict=True):
        mean += weight[:, None] * one
        logs += weight[:, None, None] * np.log(spread + HALF_UNIT)
    return mean, np.maximum(np.exp(logs) - HALF_UNIT, 0.0)


@dataclass(frozen=True)
class Stacked:
    """Fitted members and their weights; a forecaster like each of them.

    Attributes:
        members: Fitted forecasters with the same levels.
        weights: Class of series to float64 (k,).
    """

    members: tuple[Forecaster, ...]
    weights: Mapping[str, FloatArray]

    @property
    def levels(self) -> Sequence[float]:
        """Levels of the quantiles, ascending."""
        return self.members[0].levels

    def predict(self, panel: Panel, origin: int, horizon: int) -> Forecast:
        """Forecast every series of the panel; arguments as for every forecaster."""
        parts = [member.predict(panel, origin, horizon) for member in self.members]
        mean, quantiles = mix(
            [np.asarray(part.mean) for part in parts],
            [np.asarray(part.quantiles) for part in parts],
            classes(panel, origin),
            self.weights,
        )
        return Forecast(mean, quantiles, tuple(self.levels))


def learn_weights(
    families: Sequence[Family[Panel, Forecaster]],
    panel: Panel,
    until: int,
    horizon: int,
    *,
    origins: int = 4,
    stride: int = 1,
    scored: slice = slice(None),
) -> dict[str, FloatArray]:
    """Weights by class from a validation at the end of the history.

    Args:
        families: The members; each is fitted once, before the first of the origins.
        panel: The panel.
        until: Index of the first period that is not seen.
        horizon: Periods ahead.
        origins: How many origins are forecast.
        stride: Periods between two of them.
        scored: Steps that count.

    Returns:
        Weights of both classes; a class with fewer than `FEWEST_POINTS` points takes those of all points.

    Raises:
        InsufficientDataError: Nothing was observed in the periods of the validation.
    """
    last = until - horizon
    starts = [last - stride * k for k in reversed(range(origins))]
    fitted = [family.fit(panel, starts[0]) for family in families]
    steps = range(horizon)[scored]
    actual, quantiles, kinds = [], [], []
    for origin in starts:
        actual.append(panel.target[:, [origin + step for step in steps]])
        said = [np.asarray(one.predict(panel, origin, horizon).quantiles)[:, list(steps)] for one in fitted]
        quantiles.append(np.stack(said))
        kinds.append(np.repeat(classes(panel, origin)[:, None], len(steps), axis=1))
    truth, kind = np.concatenate(actual).ravel(), np.concatenate(kinds).ravel()
    told = np.concatenate(quantiles, axis=1)
    told = told.reshape(len(fitted), -1, told.shape[-1])
    if not np.isfinite(truth).any():
        raise InsufficientDataError(f"stacking: nothing was observed in periods {starts[0]} to {until - 1}")
    return weights_by_class(truth, told, kind, list(fitted[0].levels))
