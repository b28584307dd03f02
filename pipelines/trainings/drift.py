"""Drift of the core tags since the models were last trained, as a population stability index.

No Dagster here. The yardstick is written when the lifecycle models are trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from pipelines.lake.tables import Lake

CORE_TAGS = (
    "orders_30d",
    "orders_90d",
    "net_spend_90d",
    "recency_days",
    "aov_90d",
    "interpurchase_days_median",
)
LIMIT = 0.25
"""Beyond this the population has shifted and retraining is asked for (the usual credit-scoring limit)."""

_BINS = 10
_KEY = "drift/tags_at_training"


@dataclass(frozen=True)
class Shift:
    """How far the core tags have moved.

    Attributes:
        is_stable: Whether no tag is beyond the limit.
        worst_tag: The tag that moved most; empty without a yardstick.
        worst_index: Its stability index.
        note: Why there is no index, if there is none.
    """

    is_stable: bool
    worst_tag: str
    worst_index: float
    note: str


def remember(lake: Lake, tags: pl.DataFrame) -> None:
    """Keep the core tags as the yardstick for later drift."""
    lake.put(_KEY, tags.select(column for column in CORE_TAGS if column in tags.columns))


def yardstick(lake: Lake) -> Path:
    """The file that holds the yardstick."""
    return lake.derived_path(_KEY)


def against_training(lake: Lake, tags: pl.DataFrame) -> Shift:
    """Compare the core tags with the yardstick."""
    if not yardstick(lake).exists():
        return Shift(True, "", 0.0, "no model has been trained yet")
    then = lake.get(_KEY)
    indices = {
        name: stability_index(then[name].drop_nulls().to_numpy(), tags[name].drop_nulls().to_numpy())
        for name in then.columns
        if name in tags.columns
    }
    worst = max(sorted(indices), key=lambda name: indices[name], default="")
    value = indices.get(worst, 0.0)
    return Shift(value < LIMIT, worst, round(value, 4), "")


def stability_index(then: np.ndarray, now: np.ndarray) -> float:
    """Population stability index over ten bins that were equally filled then.

    Args:
        then: Values at training time, any numeric dtype, (n,).
        now: Values today, (m,).

    Returns:
        Sum of (now - then) x ln(now / then) over the bins; 0 when either side is empty.
    """
    if len(then) == 0 or len(now) == 0:
        return 0.0
    edges = np.unique(np.quantile(then.astype(float), np.linspace(0, 1, _BINS + 1)[1:-1]))
    share_then = _shares(then, edges)
    share_now = _shares(now, edges)
    return float(np.sum((share_now - share_then) * np.log(share_now / share_then)))


def _shares(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    counts = np.bincount(np.searchsorted(edges, values.astype(float), side="right"), minlength=len(edges) + 1)
    return (counts + 0.5) / (len(values) + 0.5 * (len(edges) + 1))
