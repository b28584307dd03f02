"""Drift of the tags that the champions read, since the last training, as a population stability index.

No Dagster here. The yardstick is written when the lifecycle models are trained.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from pipelines.lake.tables import Lake

RULE_TAGS = ("recency_days",)
"""What the simple rule of churn reads, where no model serves."""

LIMIT = 0.25
"""Beyond this the population has shifted and retraining is asked for (the usual credit-scoring limit)."""

_CHANCE = 27.88
"""99.9% quantile of chi-square with nine degrees of freedom: between two draws of one population the index is
about chi-square times (1/n + 1/m), so that a small shop is not told of a shift that is none."""

_BINS = 10
_KEY = "drift/tags_at_training"


@dataclass(frozen=True)
class Shift:
    """How far the tags have moved.

    Attributes:
        is_stable: Whether no tag is beyond its limit.
        tags: How many were compared.
        worst_tag: The tag that moved most; empty without a yardstick.
        worst_index: Its stability index.
        note: Why there is no index, if there is none.
    """

    is_stable: bool
    tags: int
    worst_tag: str
    worst_index: float
    note: str


def remember(lake: Lake, tags: pl.DataFrame, read: Iterable[str]) -> None:
    """Keep the tags that the champions read as the yardstick for later drift.

    Args:
        lake: Where the yardstick lies.
        tags: The table of tags of the training's day.
        read: Features of the champions; what is no tag is left out.
    """
    names = [name for name in dict.fromkeys((*RULE_TAGS, *read)) if name in tags.columns]
    lake.put(_KEY, tags.select(pl.col(name).cast(pl.Float64) for name in names))


def yardstick(lake: Lake) -> Path:
    """The file that holds the yardstick."""
    return lake.derived_path(_KEY)


def against_training(lake: Lake, tags: pl.DataFrame) -> Shift:
    """Compare the tags of the yardstick with today's."""
    if not yardstick(lake).exists():
        return Shift(True, 0, "", 0.0, "no model has been trained yet")
    then = lake.get(_KEY)
    indices: dict[str, float] = {}
    beyond = False
    for name in (column for column in then.columns if column in tags.columns):
        before = then[name].drop_nulls().to_numpy()
        now = tags[name].cast(pl.Float64).drop_nulls().to_numpy()
        indices[name] = stability_index(before, now)
        beyond = beyond or indices[name] >= limit(len(before), len(now))
    worst = max(sorted(indices), key=lambda name: indices[name], default="")
    return Shift(not beyond, len(indices), worst, round(indices.get(worst, 0.0), 4), "")


def limit(then: int, now: int) -> float:
    """The index from which a tag has shifted, for so many values: 0.25, more where that may be chance."""
    return max(LIMIT, _CHANCE * (1 / then + 1 / now)) if then and now else LIMIT


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
