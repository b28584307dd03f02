"""The two questions as labelled examples at an origin: churn of a consumer, rebuy of a product type.

A task knows its features, its label and its simple rules. Fitting and cuts live elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.lifecycle.config import CHURN, LifecycleConfig
from models.lifecycle.features import churn_features, rebuy_features
from models.lifecycle.features.history import History
from models.metrics import BoolArray, FloatArray, IntArray

RECENCY, OVERDUE_RHYTHM = "recency", "recency_over_own_rhythm"
OWN_RATE, MOST_OVERDUE = "own_rate", "most_overdue"
LONGEST_WINDOW_DAYS = 182


@dataclass(frozen=True)
class Examples:
    """Labelled rows at one origin.

    Attributes:
        consumer: int64 (n,), consumer codes.
        values: float32 (n, n_features).
        label: bool (n,).
        rules: Score of each simple rule, float64 (n,); higher means the label is likelier.
    """

    consumer: IntArray
    values: npt.NDArray[np.float32]
    label: BoolArray
    rules: Mapping[str, FloatArray]


@dataclass
class Task:
    """One question on one history; examples are built once an origin.

    Attributes:
        name: `lifecycle_churn` or `lifecycle_rebuy`.
        history: Orders and purchases up to `as_of`.
        tags: The store's reader of tags at a moment.
        config: Settings.
    """

    name: str
    history: History
    tags: churn_features.TagReader
    config: LifecycleConfig
    _built: dict[datetime, tuple[pl.DataFrame, Examples]] = field(default_factory=dict, repr=False)

    @property
    def features(self) -> tuple[str, ...]:
        """Feature names in the order of `Examples.values`."""
        return feature_names(self.name)

    @property
    def horizon(self) -> timedelta:
        """Length of the label window."""
        return timedelta(days=self.config.task(self.name).horizon_days)

    def frame(self, origin: datetime) -> pl.DataFrame:
        """Keys and features at an origin, in a fixed order."""
        if self.name == CHURN:
            return churn_features.churn_features(self.history, origin, self.config.active_days, self.tags)
        return rebuy_features.rebuy_features(self.history, origin, self.config.min_purchases)

    def examples(self, origin: datetime, known: datetime | None = None) -> Examples:
        """Features at an origin with the labels of the window after it.

        Args:
            origin: Moment of the features.
            known: Moment at which the labels are told, at or after the window's end; what came or was
                corrected later does not count. The end of the history by default.
        """
        if origin not in self._built:
            frame = self.frame(origin)
            self._built[origin] = (
                frame.select(["consumer"] if self.name == CHURN else ["consumer", "kind"]),
                Examples(
                    frame["consumer"].cast(pl.Int64).to_numpy(),
                    as_matrix(frame, self.features),
                    self._label(frame, origin, self.history.as_of),
                    rule_scores(self.name, frame),
                ),
            )
        keys, examples = self._built[origin]
        if known is None or known >= self.history.as_of:
            return examples
        return replace(examples, label=self._label(keys, origin, known))

    def _label(self, keys: pl.DataFrame, origin: datetime, known: datetime) -> BoolArray:
        end = origin + self.horizon
        if self.name == CHURN:
            label = churn_features.churned(self.history, keys["consumer"], origin, end, known)
        else:
            label = rebuy_features.rebought(self.history, keys, origin, end, known)
        return np.asarray(label.to_numpy(), dtype=np.bool_)


def feature_names(name: str) -> tuple[str, ...]:
    """Features of a model, in order."""
    return churn_features.FEATURES if name == CHURN else rebuy_features.FEATURES


def as_matrix(frame: pl.DataFrame, names: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """Features as float32 (n, n_features); null becomes NaN."""
    return np.ascontiguousarray(frame.select(names).to_numpy().astype(np.float32, copy=False))


def rule_scores(name: str, frame: pl.DataFrame) -> dict[str, FloatArray]:
    """Scores of the simple rules of a model, float64 (n,); the first one serves where no model may."""

    def column(expression: pl.Expr) -> FloatArray:
        return np.asarray(frame.select(expression.cast(pl.Float64)).to_series().to_numpy(), dtype=np.float64)

    rules: dict[str, Any]
    if name == CHURN:
        # One order is no rhythm: the recency itself stands in, over the longest window.
        rhythm = pl.col("rhythm").fill_null(pl.col("recency") / LONGEST_WINDOW_DAYS)
        rules = {RECENCY: pl.col("recency"), OVERDUE_RHYTHM: rhythm}
    else:
        rules = {OWN_RATE: pl.col("own_rate"), MOST_OVERDUE: pl.col("overdue_ratio")}
    return {rule: column(expression) for rule, expression in rules.items()}
