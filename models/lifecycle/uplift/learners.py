"""Learners of the effect of a treatment whose share is known: doubly robust, T and X.

- `doubly_robust`: each row gets a pseudo-outcome whose mean given the features is the effect: the difference
  of what two linear outcome models expect, corrected by what the row's own arm did, over its known share. Its
  ridge regression on the features is the effect. Both stages see only rows of other folds than those that
  they speak of.
- `t_learner`: boosted trees an arm; the effect is their difference, of any shape.
- `x_learner`: each row's own effect, what its outcome is above (below, where untreated) what the trees of the
  other arm expect of it, regressed on the features arm by arm. The regression of the untreated weighs as the
  share of the treated: the trees that it was made with saw more rows.

Linear models in both stages would make the three one, but for the penalty. Which of them speaks is chosen by
the order of rows that they were not learnt from.

Source:
    Kennedy 2023, Towards optimal doubly robust estimation of heterogeneous causal effects; Künzel, Sekhon,
    Bickel & Yu 2019, Metalearners for estimating heterogeneous treatment effects (T and X); Nie & Wager 2021
    for cross-fitting. With a randomised treatment the correction is unbiased whatever the outcome models say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np

from models.errors import InsufficientDataError
from models.lifecycle.uplift.linear import fit_linear
from models.lifecycle.uplift.qini import resampled_qini
from models.lifecycle.uplift.trees import fit_trees
from models.lifecycle.uplift.trial import FOLDS, Experiment
from models.metrics import FloatArray


class Effect(Protocol):
    """What a treatment changes."""

    def predict(self, values: FloatArray, /) -> FloatArray:
        """Of rows of features, float64 (n,)."""
        ...


Learner = Callable[[Experiment, int], Effect]
"""Takes a trial and a seed. Raises `InsufficientDataError` where an arm is empty in what is learnt from."""


@dataclass(frozen=True)
class Weighted:
    """A weighted sum of what models say.

    Attributes:
        parts: Weights and models.
    """

    parts: tuple[tuple[float, Effect], ...]

    def predict(self, values: FloatArray) -> FloatArray:
        """Float64 (n,)."""
        return np.asarray(sum(weight * model.predict(values) for weight, model in self.parts))


def doubly_robust(trial: Experiment, seed: int) -> Effect:
    """A regression of cross-fitted pseudo-outcomes."""
    with_it, without = np.empty(len(trial)), np.empty(len(trial))
    fold = trial.folds(seed)
    for one in range(FOLDS):
        held = fold == one
        for arm, expected in zip(_arms(trial.rows(~held)), (with_it, without), strict=True):
            expected[held] = fit_linear(arm.values, arm.outcome).predict(trial.values[held])
    residual = trial.outcome - np.where(trial.treated, with_it, without)
    weight = np.where(trial.treated, 1 / trial.share, -1 / (1 - trial.share))
    return fit_linear(trial.values, with_it - without + weight * residual)


def t_learner(trial: Experiment, seed: int) -> Effect:
    """The difference of two outcome models."""
    with_it, without = (fit_trees(arm.values, arm.outcome, seed) for arm in _arms(trial))
    return Weighted(((1.0, with_it), (-1.0, without)))


def x_learner(trial: Experiment, seed: int) -> Effect:
    """Imputed effects of both arms, regressed and weighed by the share."""
    treated, rest = _arms(trial)
    with_it, without = (fit_trees(arm.values, arm.outcome, seed) for arm in (treated, rest))
    gained = fit_linear(treated.values, treated.outcome - without.predict(treated.values))
    missed = fit_linear(rest.values, with_it.predict(rest.values) - rest.outcome)
    return Weighted(((1 - trial.share, gained), (trial.share, missed)))


LEARNERS: Mapping[str, Learner] = MappingProxyType(
    {"doubly_robust": doubly_robust, "t_learner": t_learner, "x_learner": x_learner}
)
"""The first of equals is chosen."""


def choose(trial: Experiment, seed: int) -> str:
    """Name of the learner whose order of unseen rows has the highest Qini coefficient."""
    every = np.arange(len(trial))
    gained = {
        name: resampled_qini(trial, unseen_effects(trial, seed, learner))(every)
        for name, learner in LEARNERS.items()
    }
    return max(gained, key=lambda name: gained[name])


def chosen(trial: Experiment, seed: int) -> Effect:
    """A learner itself: the effect by the learner that `choose` names."""
    return LEARNERS[choose(trial, seed)](trial, seed)


def unseen_effects(trial: Experiment, seed: int, learner: Learner) -> FloatArray:
    """The effect on each row, learnt from the rows of the other folds alone, float64 (n,).

    Raises:
        InsufficientDataError: An arm is empty in what is learnt from.
    """
    fold = trial.folds(seed)
    effects = np.empty(len(trial))
    for one in range(FOLDS):
        effects[fold == one] = learner(trial.rows(fold != one), seed + 1).predict(trial.values[fold == one])
    return effects


def _arms(trial: Experiment) -> tuple[Experiment, Experiment]:
    """The treated and the rest."""
    if trial.treated.all() or not trial.treated.any():
        raise InsufficientDataError("uplift: a fold lacks treated or untreated consumers")
    return trial.rows(trial.treated), trial.rows(~trial.treated)
