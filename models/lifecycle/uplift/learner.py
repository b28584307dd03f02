"""A doubly robust learner of the effect of a treatment whose share is known, linear in the features.

Each row gets a pseudo-outcome whose mean given the features is the effect: the difference of what two outcome
models expect, corrected by what the row's own arm did, over its known share. A ridge regression of it on the
features is the effect. Both stages see only rows of other folds than those that they speak of.

Source:
    Kennedy 2023, Towards optimal doubly robust estimation of heterogeneous causal effects; Nie & Wager 2021
    for cross-fitting. With a randomised treatment the correction is unbiased whatever the outcome models say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.errors import InsufficientDataError
from models.metrics import BoolArray, FloatArray, IntArray

FOLDS = 5
PENALTY = 100.0
"""Ridge penalty on standardised features, in rows."""


@dataclass(frozen=True)
class Experiment:
    """Rows of a randomised trial.

    Attributes:
        values: float64 (n, n_features), finite.
        treated: bool (n,).
        outcome: float64 (n,).
        share: Share that was treated by the draw, between 0 and 1.
    """

    values: FloatArray
    treated: BoolArray
    outcome: FloatArray
    share: float

    def __post_init__(self) -> None:
        if not len(self.values) == len(self.treated) == len(self.outcome):
            raise ValueError("Experiment: values, treated and outcome must be of one length")
        if not 0 < self.share < 1 or not np.isfinite(self.values).all():
            raise ValueError("Experiment: share must lie between 0 and 1, values must be finite")

    def __len__(self) -> int:
        return len(self.outcome)

    def rows(self, chosen: BoolArray | IntArray) -> Experiment:
        """Some of the rows."""
        return Experiment(self.values[chosen], self.treated[chosen], self.outcome[chosen], self.share)


@dataclass(frozen=True)
class Linear:
    """A ridge regression.

    Attributes:
        centre: Means of the features, float64 (n_features,).
        weights: Of the features less their means, float64 (n_features,).
        intercept: Mean of the outcome.
    """

    centre: FloatArray
    weights: FloatArray
    intercept: float

    def predict(self, values: FloatArray) -> FloatArray:
        """Expected outcome, float64 (n,)."""
        return np.asarray(self.intercept + (values - self.centre) @ self.weights)


def fit_linear(values: FloatArray, outcome: FloatArray, penalty: float = PENALTY) -> Linear:
    """Ridge regression on standardised features; a feature without spread gets no weight."""
    centre, spread = values.mean(axis=0), values.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    scaled = (values - centre) / scale
    gram = scaled.T @ scaled + penalty * np.eye(values.shape[1])
    weights = np.linalg.solve(gram, scaled.T @ (outcome - outcome.mean())) / scale
    return Linear(centre, weights, float(outcome.mean()))


def fit_effect(trial: Experiment, seed: int) -> Linear:
    """The effect of the treatment on the outcome, given the features.

    Raises:
        InsufficientDataError: A fold lacks one of the arms.
    """
    return fit_linear(trial.values, _pseudo_outcomes(trial, _folds(len(trial), seed)))


def unseen_effects(trial: Experiment, seed: int) -> FloatArray:
    """The effect on each row, learnt from the rows of the other folds alone, float64 (n,).

    Raises:
        InsufficientDataError: A fold lacks one of the arms.
    """
    fold = _folds(len(trial), seed)
    effects = np.empty(len(trial))
    for one in range(FOLDS):
        effects[fold == one] = fit_effect(trial.rows(fold != one), seed + 1).predict(
            trial.values[fold == one]
        )
    return effects


def _pseudo_outcomes(trial: Experiment, fold: IntArray) -> FloatArray:
    with_it, without = np.empty(len(trial)), np.empty(len(trial))
    for one in range(FOLDS):
        held = fold == one
        for treated, expected in ((True, with_it), (False, without)):
            taught = ~held & (trial.treated == treated)
            if not taught.any():
                raise InsufficientDataError("uplift: a fold lacks treated or untreated consumers")
            expected[held] = fit_linear(trial.values[taught], trial.outcome[taught]).predict(
                trial.values[held]
            )
    residual = trial.outcome - np.where(trial.treated, with_it, without)
    weight = np.where(trial.treated, 1 / trial.share, -1 / (1 - trial.share))
    return np.asarray(with_it - without + weight * residual)


def _folds(rows: int, seed: int) -> IntArray:
    return np.random.default_rng(seed).permutation(rows).astype(np.int64) % FOLDS
