"""The discovery lane: implicit ALS with closed-form fold-in and a trend factor, EASE beside it, on new skus.

`implicit` is imported only where a model is fitted; scoring is NumPy. The simple rule (popularity of the
last 28 days) is the same ranking with a constant affinity.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from models.recommendation.config import AlsParams
from models.recommendation.interactions import Floats, Indices, Interactions
from models.recommendation.ranking import popularity_order, top_k_dense

USERS_A_CHUNK = 256
TREND_DAYS = 28
_MICROS_A_DAY = 86_400_000_000.0
_BASE_CONFIDENCE = 0.3


@dataclass(frozen=True)
class ItemFactors:
    """Fitted skus of the discovery lane.

    Attributes:
        factors: float32 (n_items, n_factors); zero rows for skus without candidates' support.
        params: Settings of the fit; fold-in uses the same weights.
        trend_power: Exponent of the trend in the score.
        links: Weights of EASE, CSR (n_items, n_items); None without.
        link_weight: Its weight against the factors, see `beside`.
    """

    factors: Floats
    params: AlsParams
    trend_power: float
    links: sp.csr_matrix | None = None
    link_weight: float = 0.0


def confidences(
    interactions: Interactions, rows: pl.DataFrame, origin: datetime, decay_days: float
) -> sp.csr_matrix:
    """Confidence of each purchased pair: 0.3 + ln(1 + 2 sum exp(-age / decay_days)).

    Args:
        interactions: Gives the shape.
        rows: Purchases to use, none after `origin`.
        origin: Ages count from here, in days.
        decay_days: Time in which a purchase loses its weight by e.

    Returns:
        float32 CSR (n_users, n_items).
    """
    age = (pl.lit(origin) - pl.col("at")).dt.total_microseconds() / _MICROS_A_DAY
    weight = rows.select(weight=(-age / decay_days).exp())["weight"].to_numpy().astype(np.float32)
    out = interactions.matrix(rows["user"].to_numpy(), rows["item"].to_numpy(), weight)
    out.data = (_BASE_CONFIDENCE + np.log1p(2 * out.data)).astype(np.float32)
    return out


def fit_als(confidence: sp.csr_matrix, params: AlsParams, seed: int, threads: int) -> Floats:
    """Item factors by alternating least squares.

    Args:
        confidence: float32 CSR (n_users, n_items), before `alpha`.
        params: Settings.
        seed: Seed of the starting factors.
        threads: Threads; each row is solved alone, so the result does not depend on it.

    Returns:
        float32 (n_items, n_factors).

    Source:
        Hu, Koren, Volinsky 2008; `implicit` 0.7. BLAS is held to one thread, as `implicit` asks for.
    """
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        model = AlternatingLeastSquares(
            factors=params.factors,
            regularization=params.regularisation,
            alpha=params.alpha,
            iterations=params.iterations,
            num_threads=threads,
            random_state=seed,
        )
        model.fit(confidence, show_progress=False)
    return np.asarray(model.item_factors, dtype=np.float32)


def fold_in(confidence: sp.csr_matrix, factors: Floats, params: AlsParams) -> Floats:
    """User factors of full histories in closed form, for consumers seen in training or not.

    x_u = (Y'Y + Y_u'(C_u - I)Y_u + lambda I)^-1 Y_u' c_u, with c = alpha * confidence over the skus bought.

    Args:
        confidence: CSR (n_users, n_items).
        factors: float32 (n_items, n_factors).
        params: `regularisation` and `alpha`.

    Returns:
        float32 (n_users, n_factors); zeros for consumers without purchases.
    """
    from threadpoolctl import threadpool_limits

    wide = factors.astype(np.float64)
    out = np.zeros((confidence.shape[0], factors.shape[1]), np.float32)
    with threadpool_limits(limits=1, user_api="blas"):
        gram = wide.T @ wide + params.regularisation * np.eye(factors.shape[1])
        for user in np.flatnonzero(np.diff(confidence.indptr)):
            places = slice(int(confidence.indptr[user]), int(confidence.indptr[user + 1]))
            bought = wide[confidence.indices[places]]
            weight = params.alpha * confidence.data[places].astype(np.float64)
            system = gram + (bought * (weight - 1)[:, None]).T @ bought
            out[user] = np.linalg.solve(system, bought.T @ weight)
    return out


def trend_factor(buyers: Floats, power: float) -> Floats:
    """Multiplier of the affinity: (distinct buyers in 28 days)^power, 0 where nobody bought."""
    return np.where(buyers > 0, np.maximum(buyers, 1.0) ** power, 0.0).astype(np.float32)


def beside(
    scores: npt.NDArray[np.float32], others: npt.NDArray[np.float32], weight: float
) -> npt.NDArray[np.float32]:
    """Scores plus `weight` times other scores, both less their mean and over their spread in each row.

    Args:
        scores: float32 (n, n_columns).
        others: float32 (n, n_columns).
        weight: Weight of the others.
    """
    return _standardised(scores) + np.float32(weight) * _standardised(others)


def _standardised(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    if scores.shape[1] == 0:
        return scores
    centred = scores - scores.mean(axis=1, keepdims=True)
    return centred / np.maximum(centred.std(axis=1, keepdims=True), np.float32(1e-9))


def discovery_candidates(counts: sp.csr_matrix, buyers: Floats, min_buyers: int) -> Indices:
    """Skus that may be discovered: bought in the trend window, with enough buyers ever; most popular first.

    Args:
        counts: CSR (n_users, n_items) of the whole history.
        buyers: float32 (n_items,), distinct buyers in the trend window.
        min_buyers: Least number of distinct buyers ever.

    Returns:
        int64 (n_candidates,) item indices by falling `buyers`, then by sku id.
    """
    ever = np.bincount(counts.indices, minlength=counts.shape[1])
    order = popularity_order(buyers)
    return order[(buyers[order] > 0) & (ever[order] >= min_buyers)]


def rank_new(
    affinity: tuple[Floats, Floats] | None,
    multiplier: Floats,
    candidates: Indices,
    counts: sp.csr_matrix,
    users: Indices,
    k: int,
    links: sp.csr_matrix | None = None,
    link_weight: float = 0.0,
) -> Indices:
    """Best candidates that the consumer never bought.

    Args:
        affinity: User factors (n_users, f) and item factors (n_items, f); None ranks by `multiplier` alone.
        multiplier: float32 (n_items,), see `trend_factor`.
        candidates: int64, most popular first; ties go to the first.
        counts: CSR (n_users, n_items); its places are never ranked.
        users: int64 (n,), whose lists to make.
        k: Length of the list.
        links: Weights of EASE, CSR (n_items, n_items); read only beside an affinity.
        link_weight: See `beside`; 0 leaves them out.

    Returns:
        int64 (n, k) item indices.
    """
    bought = sp.csr_matrix((np.ones_like(counts.data), counts.indices, counts.indptr), shape=counts.shape)
    toward = links[:, candidates].tocsr() if links is not None and link_weight else None
    owned = counts[:, candidates].tocsr()
    weight = multiplier[candidates]
    out = np.full((len(users), k), -1, np.int64)
    for start in range(0, len(users), USERS_A_CHUNK):
        part = users[start : start + USERS_A_CHUNK]
        scores: npt.NDArray[np.float32]
        if affinity is None:
            scores = np.repeat(weight[None, :], len(part), axis=0)
        else:
            scores = (affinity[0][part] @ affinity[1][candidates].T) * weight
            if toward is not None:
                scores = beside(scores, (bought[part] @ toward).toarray(), link_weight)
        mine = owned[part]
        scores[np.repeat(np.arange(len(part)), np.diff(mine.indptr)), mine.indices] = -np.inf
        top = top_k_dense(scores, k)
        out[start : start + len(part)] = np.where(top >= 0, candidates[top], -1) if len(candidates) else -1
    return out
