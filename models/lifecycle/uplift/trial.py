"""Rows of a randomised trial, and how they are dealt out to folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.data import reading
from models.errors import FrameError
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

    @classmethod
    def from_frame(
        cls, frame: Any, *, features: Sequence[str], treated: str, outcome: str, share: float
    ) -> Experiment:
        """Read anybody's trial.

        Args:
            frame: Polars (lazy or not), pandas or Arrow, one row a person.
            features: Numeric columns that were known before the draw.
            treated: Column of booleans (or 0 and 1): who got it.
            outcome: Numeric column: what came of it.
            share: Share that the draw treats, between 0 and 1.

        Raises:
            FrameError: A column is missing, holds what is no finite number, or (`treated`) neither 0 nor 1.
            ValueError: `share` lies outside (0, 1).
        """
        given = reading.as_polars(frame)
        reading.require(given, [*features, treated, outcome])
        values = [reading.numbers(given, name).to_numpy() for name in features]
        arms = reading.numbers(given, treated)
        if not arms.is_in([0.0, 1.0]).all():
            raise FrameError(f"column {treated!r}: who was treated is true or false, or 1 or 0")
        return cls(
            np.asarray(np.stack(values, axis=1), dtype=np.float64),
            np.asarray(arms.to_numpy() > 0),
            np.asarray(reading.numbers(given, outcome).to_numpy(), dtype=np.float64),
            share,
        )

    def __len__(self) -> int:
        return len(self.outcome)

    def rows(self, chosen: BoolArray | IntArray) -> Experiment:
        """Some of the rows."""
        return Experiment(self.values[chosen], self.treated[chosen], self.outcome[chosen], self.share)

    def folds(self, seed: int) -> IntArray:
        """A fold for each row, int64 (n,), 0 to `FOLDS` - 1, of equal sizes as far as they go."""
        return np.random.default_rng(seed).permutation(len(self)).astype(np.int64) % FOLDS
