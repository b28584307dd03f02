"""Several forecasters as one: non-negative weights by rolling pinball loss, a set of them for each class.

Quantiles are averaged level by level on the logarithmic scale, so they ascend where the members' do. Weights
are learnt on origins that no member was fitted on.
"""

from __future__ import annotations

import itertools
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

INTERMITTENT_SHARE = 0.25
"""From this share of periods without a sale on a series is intermittent."""

SMOOTH, INTERMITTENT = "smooth", "intermittent"
FEWEST_POINTS = 30


def classes(panel: Panel, origin: int) -> npt.NDArray[np.str_]:
    """The class of each series by what was observed before an origin.

    Returns:
        (n,) of `smooth` and `intermittent`; a series that was never observed is intermittent.
    """
    seen = panel.target[:, :origin]
    observed = np.isfinite(seen).sum(axis=1)
    silent = (seen <= 0).sum(axis=1)
    often = (observed > 0) & (silent < INTERMITTENT_SHARE * np.maximum(observed, 1))
    return np.where(often, SMOOTH, INTERMITTENT)


def best_weights(actual: FloatArray, quantiles: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Non-negative weights with sum 1 and the least pinball loss of log(units + half).

    Args:
        actual: float64 (m,), units.
        quantiles: float64 (k, m, q), units of the k members.
        levels: The q levels.

    Returns:
        float64 (k,), multiples of 1 / `PARTS`; of equal ones the first in lexical order from the last member.
    """
    truth, logs = np.log(actual + HALF_UNIT), np.log(quantiles + HALF_UNIT)
    best, least = np.full(len(logs), 1 / len(logs)), np.inf
    for parts in itertools.product(range(PARTS + 1), repeat=len(logs) - 1):
        if sum(parts) > PARTS:
            continue
        weights = np.array([*parts, PARTS - sum(parts)]) / PARTS
        mixed = np.tensordot(weights, logs, axes=1)
        loss = sum(float(pinball(truth, mixed[:, q], level).sum()) for q, level in enumerate(levels))
        if loss < least - 1e-12:
            best, least = weights, loss
    return best


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
        kinds = classes(panel, origin)
        each = np.stack([self.weights[kind] for kind in kinds], axis=1)
        mean = sum(w[:, None] * np.asarray(part.mean) for w, part in zip(each, parts, strict=True))
        logs = sum(
            w[:, None, None] * np.log(np.asarray(part.quantiles) + HALF_UNIT)
            for w, part in zip(each, parts, strict=True)
        )
        return Forecast(
            np.asarray(mean), np.maximum(np.exp(np.asarray(logs)) - HALF_UNIT, 0.0), tuple(self.levels)
        )


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
    seen = np.isfinite(truth)
    if not seen.any():
        raise InsufficientDataError(f"stacking: nothing was observed in periods {starts[0]} to {until - 1}")
    levels = list(fitted[0].levels)
    everything = best_weights(np.maximum(truth[seen], 0), told[:, seen], levels)
    weights = {}
    for name in (SMOOTH, INTERMITTENT):
        inside = seen & (kind == name)
        weights[name] = (
            everything
            if inside.sum() < FEWEST_POINTS
            else best_weights(np.maximum(truth[inside], 0), told[:, inside], levels)
        )
    return weights
