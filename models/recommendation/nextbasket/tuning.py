"""Which TIFU-KNN and which UP-CF: successive halving on growing samples of consumers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import TypeVar

import numpy as np
import scipy.sparse as sp

from models.metrics import ndcg_at_k
from models.recommendation.config import TifuParams
from models.recommendation.interactions import Indices
from models.recommendation.lists.ranking import hits, top_k_dense
from models.recommendation.nextbasket.history import History
from models.recommendation.nextbasket.settings import NextBasketSettings, UpcfParams
from models.recommendation.nextbasket.upcf import KnownItems
from models.recommendation.rankers.repeat import VectorPool, as_links

K = 10
_BLOCK = 256
_KEPT = 4
Setting = TypeVar("Setting")
Try = Callable[[Setting, Indices], Sequence[tuple[Setting, float]]]


def ndcg(ranked: Indices, users: Indices, truth: sp.csr_matrix) -> np.ndarray:
    """NDCG@10 of each consumer against what was held out, ideal list cut at 10: float64 (n,)."""
    relevant = np.diff(truth.indptr)[users].astype(np.int64)
    return ndcg_at_k(hits(ranked, users, truth), relevant, truncate_ideal=True)


def best_tifu(
    history: History, truth: sp.csr_matrix, users: Indices, settings: NextBasketSettings
) -> TifuParams:
    """The setting of TIFU-KNN with the highest NDCG@10.

    Args:
        history: What is known.
        truth: What was held out.
        users: int64, consumers with something held out, in the order in which samples grow.
        settings: The grids; every vector is tried with every k and a.
    """

    def tried(params: TifuParams, sample: Indices) -> list[tuple[TifuParams, float]]:
        vectors = history.tifu(params)
        pool = VectorPool(vectors)
        ways = list(product(settings.neighbours, settings.own_weights))
        totals = dict.fromkeys(ways, 0.0)
        for start in range(0, len(sample), _BLOCK):
            part = sample[start : start + _BLOCK]
            own = vectors[part].toarray()
            rows = pool.nearest_rows(vectors[part], part, max(settings.neighbours))
            for k in settings.neighbours:
                near = (as_links(rows[:, :k], history.n_users) @ vectors).toarray()
                for a in settings.own_weights:
                    ranked = top_k_dense(np.float32(a) * own + np.float32(1 - a) * near, K)
                    totals[k, a] += float(ndcg(ranked, part, truth).sum())
        return [(replace(params, neighbours=k, own_weight=a), totals[k, a]) for k, a in ways]

    def shape(params: TifuParams) -> TifuParams:
        return replace(params, neighbours=0, own_weight=0.0)

    return _halved(settings.tifu_grid, tried, shape, users, settings.tuning_consumers)


def best_upcf(
    history: History, truth: sp.csr_matrix, users: Indices, settings: NextBasketSettings
) -> UpcfParams:
    """The setting of UP-CF with the highest NDCG@10; see `best_tifu`."""
    known = KnownItems(history.counts())

    def tried(params: UpcfParams, sample: Indices) -> list[tuple[UpcfParams, float]]:
        shares, total = history.shares(params.recency), 0.0
        for start in range(0, len(sample), _BLOCK):
            part = sample[start : start + _BLOCK]
            ranked = top_k_dense((known.similar(part, params) @ shares).toarray(), K)
            total += float(ndcg(ranked, part, truth).sum())
        return [(params, total)]

    return _halved(settings.upcf_grid, tried, lambda one: one, users, settings.tuning_consumers[:1])


def _halved(
    grid: Sequence[Setting],
    tried: Try[Setting],
    shape: Callable[[Setting], Setting],
    users: Indices,
    sizes: Sequence[int],
) -> Setting:
    """All on the first sample, the best quarter on the next, and so on; equal values go to the earlier."""
    left = list(grid)
    best = left[0]
    for number, size in enumerate(sizes):
        found = [one for setting in left for one in tried(setting, users[:size])]
        found.sort(key=lambda one: -one[1])
        best = found[0][0]
        if len(left) == 1 or size >= len(users):
            break
        keep = max(1, len(left) // _KEPT ** (number + 1))
        shapes = list(dict.fromkeys(shape(one) for one, _ in found))[:keep]
        left = [next(one for one in grid if shape(one) == want) for want in shapes]
    return best
