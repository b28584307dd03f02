"""What another policy would have earned, told from decisions that a randomised one logged.

Weights are the other policy's probability of what was shown over the logged propensity. Estimates that rest
on few decisions are refused by name: a number without support is worse than none.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.contracts import Interval
from models.errors import InsufficientDataError

Values = npt.NDArray[np.float64]

LEAST_EFFECTIVE = 100.0
"""Decisions that an estimate must rest on, after weighting (Kish)."""
LEAST_REWARDED = 10
"""Rewarded decisions with a weight above 0 that an estimate must rest on."""


class SmallEffectiveSampleError(InsufficientDataError):
    """Too few decisions of the log support the estimate."""


def effective_sample_size(weights: Values) -> float:
    """(sum w)^2 / sum w^2: as many equally weighted decisions would tell as much; 0 without any weight.

    Source:
        Kish 1965.
    """
    squares = float(np.square(weights).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def snips(reward: Values, weights: Values, *, unit: npt.NDArray[np.int64] | None = None) -> Interval:
    """Self-normalised inverse propensity scoring: sum w r / sum w, with an interval of 95%.

    Args:
        reward: float64 (n,), what each logged decision earned.
        weights: float64 (n,), probability of what was shown under the other policy / logged propensity.
        unit: int64 (n,), whose decision it is, counted from 0: those of one unit may depend on each other.
            None: each is a unit of its own.

    Raises:
        SmallEffectiveSampleError: See `require_support`.

    Source:
        Swaminathan and Joachims 2015.
    """
    require_support(reward, weights)
    total = float(weights.sum())
    value = float(weights @ reward) / total
    return _interval(value, weights * (reward - value) / total, unit)


def doubly_robust(
    reward: Values,
    weights: Values,
    predicted: Values,
    expected: Values,
    *,
    unit: npt.NDArray[np.int64] | None = None,
) -> Interval:
    """A reward model under the other policy, corrected by what the log shows: mean of q(pi) + w (r - q(a)).

    Args:
        reward: float64 (n,).
        weights: float64 (n,), as for `snips`.
        predicted: float64 (n,), the reward model's value of what was shown, fitted without that decision.
        expected: float64 (n,), its mean over the other policy's choices.
        unit: int64 (n,), whose decision it is, counted from 0: those of one unit may depend on each other.
            None: each is a unit of its own.

    Raises:
        SmallEffectiveSampleError: See `require_support`.

    Source:
        Dudik, Langford and Li 2011.
    """
    require_support(reward, weights)
    terms = expected + weights * (reward - predicted)
    value = float(terms.mean())
    return _interval(value, (terms - value) / len(terms), unit)


def require_support(reward: Values, weights: Values) -> None:
    """Refuse to tell what the log does not support.

    Raises:
        SmallEffectiveSampleError: The effective sample is below `LEAST_EFFECTIVE`, or fewer than
            `LEAST_REWARDED` decisions with a weight were rewarded.
    """
    effective = effective_sample_size(weights)
    if effective < LEAST_EFFECTIVE:
        raise SmallEffectiveSampleError(
            f"effective sample of {effective:.0f} decisions, an estimate needs {LEAST_EFFECTIVE:.0f}"
        )
    rewarded = int(((weights > 0) & (reward != 0)).sum())
    if rewarded < LEAST_REWARDED:
        raise SmallEffectiveSampleError(
            f"{rewarded} rewarded decisions support the estimate, it needs {LEAST_REWARDED}"
        )


def cross_fitted(
    cell: npt.NDArray[np.int64], reward: Values, cells: int, prior: float, folds: int = 2
) -> Values:
    """Mean reward a cell, told for every fold from the other folds: float64 (folds, cells).

    A cell's mean is drawn towards the mean of all by `prior` decisions. Decision i belongs to fold i % folds.

    Args:
        cell: int64 (n,), the cell of each decision, counted from 0.
        reward: float64 (n,).
        cells: Number of cells.
        prior: Weight of the mean of all, in decisions.
        folds: Number of folds.
    """
    fold = np.arange(len(cell)) % folds
    out = np.zeros((folds, cells))
    for one in range(folds):
        others = fold != one
        total = np.bincount(cell[others], reward[others], cells)
        count = np.bincount(cell[others], minlength=cells)
        everyone = float(reward[others].mean()) if others.any() else 0.0
        out[one] = (total + prior * everyone) / (count + prior)
    return out


def _interval(value: float, influence: Values, unit: npt.NDArray[np.int64] | None) -> Interval:
    """The value with 1.96 standard errors, from the influence of each unit on it (delta method)."""
    of_unit = influence if unit is None else np.bincount(unit, influence)
    margin = 1.96 * float(np.sqrt(np.square(of_unit).sum()))
    return Interval(value, value - margin, value + margin)
