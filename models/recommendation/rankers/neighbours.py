"""The best rows of a pool for each of some queries: all of a small pool, by an inverted index of a large one.

A small pool is taken block by block: memory is queries x block, time queries x pool. Of a pool beyond
`EXACT_POOL` rows an index keeps the `LONGEST` most promising rows of each item, so that a query costs its own
items times `LONGEST` however many consumers there are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from models.recommendation.interactions import Indices
from models.recommendation.lists.ranking import NOTHING, top_k_dense

POOL_BLOCK = 32_768
EXACT_POOL = 50_000
"""Rows of the largest pool that is searched whole."""
LONGEST = 400
"""Rows that the index keeps of an item."""
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


def champion_lists(pool: sp.csr_matrix, promise: Scores, longest: int) -> sp.csr_matrix:
    """An inverted index of a pool that keeps the most promising rows of each item.

    Args:
        pool: CSR (n_pool, n_items).
        promise: float32 (nnz,), at the places of `pool`: how near a row that has the item may be to a query
            that has it.
        longest: Rows of an item at most; of equal promise the smaller row is kept.

    Returns:
        CSR (n_items, n_pool) with the pool's values.

    Source:
        Manning, Raghavan, Schuetze 2008, "Introduction to Information Retrieval", 7.1.3 (champion lists).
    """
    places = np.arange(pool.nnz, dtype=np.int64)
    by_item = sp.csr_matrix((places, pool.indices, pool.indptr), shape=pool.shape).tocsc()
    long = np.flatnonzero(np.diff(by_item.indptr) > longest)
    keep = np.ones(pool.nnz, np.bool_)
    for item in long.tolist():
        inside = slice(int(by_item.indptr[item]), int(by_item.indptr[item + 1]))
        order = np.argsort(-promise[by_item.data[inside]], kind="stable")
        keep[inside][order[longest:]] = False
    before = np.concatenate([[0], np.cumsum(keep)])
    kept = by_item.data[keep]
    return sp.csr_matrix(
        (pool.data[kept], by_item.indices[keep], before[by_item.indptr]), shape=pool.shape[::-1]
    )


def best_by_index(
    query: sp.csr_matrix,
    index: sp.csr_matrix,
    score: Callable[[Indices, Indices, Scores], Scores],
    same: Indices,
    k: int,
) -> tuple[Indices, Scores]:
    """The k best pool rows of each query among those that the index finds for its items.

    Args:
        query: CSR (n_queries, n_items).
        index: See `champion_lists`.
        score: Query rows, pool rows and their products over the kept places, (n,) each, to float32 (n,).
        same: int64 (n_queries,), the query's own pool row, -1 if none; it is never chosen.
        k: How many.

    Returns:
        As `best_in_blocks`. A row that shares no item with the query is never chosen. Products fall short by
        the places that the index left out, and are exact where it left out none.
    """
    found = (query @ index).tocsr()
    found.sort_indices()
    row = np.repeat(np.arange(query.shape[0]), np.diff(found.indptr))
    value = score(row, found.indices, found.data)
    value[found.indices == same[row]] = -np.inf
    best_row = np.full((query.shape[0], k), NOTHING, np.int64)
    best = np.full((query.shape[0], k), -np.inf, np.float32)
    for number in range(query.shape[0]):
        inside = slice(int(found.indptr[number]), int(found.indptr[number + 1]))
        rows, values = found.indices[inside], value[inside]
        least = -np.partition(-values, k - 1)[k - 1] if len(values) > k else -np.inf
        enough = np.flatnonzero((values >= least) & (values > -np.inf))
        order = enough[np.argsort(-values[enough], kind="stable")][:k]
        best_row[number, : len(order)] = rows[order]
        best[number, : len(order)] = values[order]
    return best_row, best


def _taken(scores: Scores, place: Indices) -> Scores:
    if scores.shape[1] == 0:
        return np.full(place.shape, -np.inf, np.float32)
    taken = np.take_along_axis(scores, np.maximum(place, 0), axis=1)
    return np.where(place >= 0, taken, np.float32(-np.inf)).astype(np.float32)
