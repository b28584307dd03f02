"""Reciprocal rank fusion: one order out of several, which need no common scale.

Source:
    Cormack, Clarke, Buettcher 2009, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank
    Learning Methods". Their constant is 60 for lists of a thousand; ours is smaller, as the lists are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.recommendation.interactions import Floats, Indices

CONSTANT = 10.0


def rank_in_row(row: Indices, score: Floats) -> npt.NDArray[np.float64]:
    """Rank of a score among those of its row, 1 for the highest; equal scores in the given order.

    Args:
        row: int64 (n,), ascending.
        score: float32 (n,).
    """
    order = np.lexsort((-score, row))
    start = np.searchsorted(row, row)
    out = np.empty(len(row))
    out[order] = np.arange(len(row)) - start[order] + 1.0
    return out


def fused(row: Indices, scores: Sequence[Floats], weights: Sequence[float]) -> Floats:
    """Weighted mean of (1 + c) / (rank + c): float32 (n,), above 0 and at most 1.

    Args:
        row: int64 (n,), ascending; ranks count inside a row.
        scores: One float32 (n,) a member, higher is better.
        weights: One a member, not all 0; a member of weight 0 is not looked at.
    """
    total = np.zeros(len(row))
    for weight, score in zip(weights, scores, strict=True):
        if weight:
            total += weight * (1 + CONSTANT) / (rank_in_row(row, score) + CONSTANT)
    return np.asarray(total / sum(weights), dtype=np.float32)
