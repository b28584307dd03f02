"""Rows of a randomised trial, and how they are dealt out to folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.metrics import BoolArray, FloatArray, IntArray

FOLDS = 5


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

    def folds(self, seed: int) -> IntArray:
        """A fold for each row, int64 (n,), 0 to `FOLDS` - 1, of equal sizes as far as they go."""
        return np.random.default_rng(seed).permutation(len(self)).astype(np.int64) % FOLDS
