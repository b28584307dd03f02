"""The best rows of a pool for each of some queries, the pool taken block by block.

Memory is queries x block, never queries x pool: a pool of a million consumers is searched like a small one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from models.recommendation.interactions import Indices
from models.recommendation.lists.ranking import NOTHING, top_k_dense

POOL_BLOCK = 32_768
Scores = npt.NDArray[np.float32]


def best_in_blocks(
    score: Callable[[int, int], Scores], n_pool: int, k: int, block: int = POOL_BLOCK
) -> tuple[Indices, Scores]:
    """The k best pool rows of each query.

    Args:
        score: Start and end of a block to float32 (n_queries, end - start); -inf is never chosen.
        n_pool: Rows of the pool.
        k: How many.
        block: Rows a block.

    Returns:
        Pool rows (int64) and their scores (float32), both (n_queries, k), best first; `NOTHING` and -inf
        where there are fewer. Equal scores go to the smaller row.
    """
    best_row: Indices | None = None
    best: Scores | None = None
    for start in range(0, max(n_pool, 1), block):
        found = score(start, min(start + block, n_pool))
        place = top_k_dense(found, k)
        value = _taken(found, place)
        row = np.where(place >= 0, place + start, NOTHING)
        if best_row is None or best is None:
            best_row, best = row, value
            continue
        rows, values = np.hstack([best_row, row]), np.hstack([best, value])
        place = top_k_dense(values, k)
        best_row = np.where(place >= 0, np.take_along_axis(rows, np.maximum(place, 0), axis=1), NOTHING)
        best = _taken(values, place)
    assert best_row is not None
    assert best is not None
    return best_row, best


def _taken(scores: Scores, place: Indices) -> Scores:
    if scores.shape[1] == 0:
        return np.full(place.shape, -np.inf, np.float32)
    taken = np.take_along_axis(scores, np.maximum(place, 0), axis=1)
    return np.where(place >= 0, taken, np.float32(-np.inf)).astype(np.float32)
