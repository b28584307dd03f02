"""What every family of models looks like from outside: fit, then rank, forecast or judge; save.

Structural types: a class belongs to one by having its methods. What `fit` gives may have `save(folder)`; the
family's module then has `load(folder)`, which gives it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

import polars as pl

from models.data import Panel, Purchases
from models.metrics import FloatArray

Data_contra = TypeVar("Data_contra", contravariant=True)
Fitted_co = TypeVar("Fitted_co", covariant=True)


class Family(Protocol[Data_contra, Fitted_co]):
    """A model that is not fitted yet, with its settings."""

    @property
    def name(self) -> str:
        """How leaderboards call it."""

    def fit(self, data: Data_contra, until: Any) -> Fitted_co:
        """Learn from what was known at a moment.

        Args:
            data: Purchases, or a panel.
            until: Moment of knowledge (aware), of a panel the first step that is not known. The model may
                read nothing of what came later, except inputs of a panel that are known beforehand.
        """


class Ranker(Protocol):
    """A fitted recommender."""

    def rank(self, users: Sequence[str], k: int, within: Sequence[str] | None = None) -> list[list[str]]:
        """The best items of each user, best first.

        Args:
            users: Consumer ids; one that was never seen gets what is popular.
            k: Length of a list; shorter where there are fewer items.
            within: The assortment; everything that was ever bought when None.
        """


class Forecast(Protocol):
    """What a forecaster says of n series over h steps."""

    @property
    def mean(self) -> FloatArray:
        """float64 (n, h)."""

    @property
    def quantiles(self) -> FloatArray:
        """float64 (n, h, q), ascending in the last axis."""


class Forecaster(Protocol):
    """A fitted forecaster."""

    @property
    def levels(self) -> Sequence[float]:
        """The q levels of the quantiles, ascending."""

    def predict(self, panel: Panel, origin: int, horizon: int) -> Forecast:
        """Forecast the steps `origin` to `origin + horizon - 1` of every series.

        Args:
            panel: Targets at or after the origin are not read; known inputs are.
            origin: First step to forecast.
            horizon: Number of steps.
        """


class Classifier(Protocol):
    """A fitted model of whether something will happen."""

    def predict(self, purchases: Purchases, at: datetime) -> pl.DataFrame:
        """Probabilities: key columns and `probability` (0-1), one row a key."""
