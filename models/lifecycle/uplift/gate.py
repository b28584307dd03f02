"""May a learnt uplift decide whom to treat? Only where its order beats any order with an interval above 0."""

from __future__ import annotations

from dataclasses import dataclass

from models.contracts import GateDecision
from models.errors import InsufficientDataError
from models.gate import decide
from models.lifecycle.uplift.learners import LEARNERS, Effect, choose, chosen, unseen_effects
from models.lifecycle.uplift.qini import resampled_qini
from models.lifecycle.uplift.trial import Experiment

ANY_ORDER = "any_order"
LEAST_A_ARM = 100
"""Fewer rows than this in either arm are no experiment."""


@dataclass(frozen=True)
class Judged:
    """An effect and whether it may decide.

    Attributes:
        learner: The one that was chosen on all rows, of `LEARNERS`.
        effect: Learnt from all rows.
        decision: Of the gate, on effects by learners that the rows neither taught nor chose.
    """

    learner: str
    effect: Effect
    decision: GateDecision


def judge(trial: Experiment, *, seed: int = 0) -> Judged:
    """Learn the effect and hold its order against any order.

    Args:
        trial: A randomised trial.
        seed: Seed of the folds and of the draws.

    Raises:
        InsufficientDataError: An arm has fewer than `LEAST_A_ARM` rows.
    """
    treated = int(trial.treated.sum())
    if min(treated, len(trial) - treated) < LEAST_A_ARM:
        raise InsufficientDataError(
            f"uplift: {treated} treated and {len(trial) - treated} untreated consumers, {LEAST_A_ARM} of "
            "either are needed; the assumed response serves"
        )
    decision = decide(
        "qini",
        len(trial),
        resampled_qini(trial, unseen_effects(trial, seed, chosen)),
        {ANY_ORDER: lambda drawn: 0.0},
        higher_is_better=True,
        draws=300,
        seed=seed,
    )
    learner = choose(trial, seed)
    return Judged(learner, LEARNERS[learner](trial, seed), decision)
