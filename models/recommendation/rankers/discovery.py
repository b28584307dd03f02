"""The discovery lane: implicit ALS with closed-form fold-in and a trend factor, EASE and habits beside it.

`implicit` is imported only where a model is fitted; scoring is NumPy. The simple rule (popularity of the
last 28 days) is the same ranking with a constant affinity.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from models.recommendation.config import ALONE, AlsParams, BesideWeights
from models.recommendation.interactions import Floats, Indices, Interactions
from models.recommendation.lists.ranking import popularity_order, top_k_dense
from models.recommendation.rankers.momentum import Momentum

USERS_A_CHUNK = 256
TREND_DAYS = 28
HABIT_DAYS = 60.0
_MICROS_A_DAY = 86_400_000_000.0
_BASE_CONFIDENCE = 0.3


@dataclass(frozen=True)
class ItemFactors:
    """Fitted skus of the discovery lane.

    Attributes:
        factors: float32 (n_items, n_factors); zero rows for skus without candidates' support.
        params: Settings of the fit; fold-in uses the same weights.
        trend_power: Exponent of the trend in the score.
        links: Weights of EASE, CSR (n_items, n_items); None where nothing stands beside the factors.
        weights: Of what stands beside the factors, see `Beside`.
    """

    factors: Floats
    params: AlsParams
    trend_power: float
    links: sp.csr_matrix | None = None
    weights: BesideWeights = ALONE


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


@dataclass(frozen=True)
class Beside:
    """What stands beside the factors: EASE, how much a consumer buys of each category, and momentum.

    Attributes:
        bought: CSR (n_users, n_items), 1 where a consumer knows the sku.
        links: Weights of EASE, CSR (n_items, n_items).
        habits: CSR (n_users, n_kinds), see `category_habits`.
        kinds: int64 (n_items,), category of each sku, a column of `habits`.
        momentum: How the skus are being found.
        weights: Of all of these.
    """

    bought: sp.csr_matrix
    links: sp.csr_matrix
    habits: sp.csr_matrix
    kinds: Indices
    momentum: Momentum
    weights: BesideWeights

    @cached_property
    def _shares(self) -> Floats:
        return shares_of_kinds(self.momentum.finders, self.kinds)

    def added_to(self, scores: npt.NDArray[np.float32], users: Indices, items: Indices) -> Floats:
        """Scores plus weighted others, each less its mean and over its spread in every row.

        Args:
            scores: float32 (n_users_asked, n_items_asked).
            users: int64, rows.
            items: int64, columns.
        """
        linked = (self.bought[users] @ self.links[:, items]).toarray()
        usual = self.habits[users].toarray()[:, self.kinds[items]] * self._shares[items]
        parts = (
            (1.0, scores),
            (self.weights.ease, linked),
            (self.weights.habits, usual),
            (self.weights.freshness, self.momentum.freshness[None, items]),
            (self.weights.rise, self.momentum.rise[None, items]),
        )
        return np.asarray(sum(np.float32(weight) * _standardised(part) for weight, part in parts))


def category_habits(rows: pl.DataFrame, n_users: int, n_kinds: int, moment: datetime) -> sp.csr_matrix:
    """Root of each consumer's decayed purchases in each third-level category: CSR (n_users, n_kinds).

    Args:
        rows: `user`, `category` and `at` of purchases, none after `moment`.
        n_users: Number of consumers.
        n_kinds: Number of categories.
        moment: Ages count from here; a purchase loses its weight by e in `HABIT_DAYS`.
    """
    age = (pl.lit(moment) - pl.col("at")).dt.total_microseconds() / _MICROS_A_DAY
    weight = rows.select(weight=(-age / HABIT_DAYS).exp())["weight"].to_numpy()
    places = rows["user"].to_numpy(), rows["category"].to_numpy()
    out = sp.csr_matrix((weight, places), shape=(n_users, n_kinds))
    out.sum_duplicates()
    out.data = np.sqrt(out.data)
    return out.astype(np.float32)


def shares_of_kinds(finders: Floats, kinds: Indices) -> Floats:
    """Root of each sku's share of the finders of its category: float32 (n_items,), 0 without finders."""
    of_kind = np.bincount(kinds, finders)
    return np.sqrt(finders / np.maximum(of_kind[kinds], 1)).astype(np.float32)


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
    beside: Beside | None = None,
) -> Indices:
    """Best candidates that the consumer never bought.

    Args:
        affinity: User factors (n_users, f) and item factors (n_items, f); None ranks by `multiplier` alone.
        multiplier: float32 (n_items,), see `trend_factor`.
        candidates: int64, most popular first; ties go to the first.
        counts: CSR (n_users, n_items); its places are never ranked.
        users: int64 (n,), whose lists to make.
        k: Length of the list.
        beside: Read only where there is an affinity.

    Returns:
        int64 (n, k) item indices.
    """
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
            if beside is not None:
                scores = beside.added_to(scores, part, candidates)
        mine = owned[part]
        scores[np.repeat(np.arange(len(part)), np.diff(mine.indptr)), mine.indices] = -np.inf
        top = top_k_dense(scores, k)
        out[start : start + len(part)] = np.where(top >= 0, candidates[top], -1) if len(candidates) else -1
    return out
