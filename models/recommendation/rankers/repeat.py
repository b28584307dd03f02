"""The repeat lane's history scorers: GP-TopFreq (the simple rule) and TIFU-KNN.

Both work on sparse matrices of consumers x skus. The learned ranker lives in `ranker`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from models.recommendation.config import TifuParams
from models.recommendation.interactions import Floats, Indices, Interactions
from models.recommendation.lists.ranking import popularity_order, top_k_dense, top_k_pairs
from models.recommendation.rankers.neighbours import (
    EXACT_POOL,
    LONGEST,
    best_by_index,
    best_in_blocks,
    champion_lists,
)

USERS_A_CHUNK = 256


def top_frequency(counts: sp.csr_matrix, popularity: Floats) -> sp.csr_matrix:
    """GP-TopFreq on the consumer's own skus: s(u, i) = count(u, i) + pop(i) / (max pop + 1).

    Args:
        counts: float32 CSR (n_users, n_items), baskets with the sku.
        popularity: float32 (n_items,), baskets with the sku over all consumers.

    Returns:
        CSR of the same places. Elsewhere the score is pop(i) / (max pop + 1), always below 1 and so below
        every place held here; `ranking.top_k_pairs` fills up in that order.

    Source:
        Li et al. 2021, "A Next Basket Recommendation Reality Check" (GP-TopFreq).
    """
    out = counts.copy()
    top = float(popularity.max(initial=0.0))
    out.data = (out.data + popularity[out.indices] / (top + 1.0)).astype(np.float32)
    return out


def basket_weights(position: Indices, total: Indices, params: TifuParams) -> npt.NDArray[np.float64]:
    """Weight of each basket in the TIFU vector of its consumer.

    A history of n baskets is cut into min(n, m) groups in order of time; where n is no multiple of m, the
    later groups hold one basket more. With |g| baskets in group g of G, the weight of basket j (0-based) is
    r_b^(baskets after it) * r_g^(groups after it) / |g| / G, where "after it" counts inside the group
    (`decay_in_group`) or in the whole history.

    Args:
        position: int64 (n_baskets,), 0-based place of the basket in its consumer's history.
        total: int64 (n_baskets,), baskets of that consumer.
        params: Settings.

    Returns:
        float64 (n_baskets,).

    Source:
        Hu et al. 2020, "Modeling Personalized Item Frequency Information for Next-basket Recommendation",
        and the code released with it for the decay within the whole history.
    """
    groups = np.minimum(total, params.groups)
    size = total // groups
    longer = total % groups
    in_short = (groups - longer) * size
    short = position < in_short
    group = np.where(short, position // size, (groups - longer) + (position - in_short) // (size + 1))
    group_size = np.where(short, size, size + 1)
    start = np.where(short, group * size, in_short + (group - (groups - longer)) * (size + 1))
    after = group_size - 1 - (position - start) if params.decay_in_group else total - 1 - position
    decay = params.basket_decay ** after.astype(np.float64)
    group_decay = params.group_decay ** (groups - 1 - group).astype(np.float64)
    return decay * group_decay / group_size / groups


def tifu_vectors(interactions: Interactions, rows: pl.DataFrame, params: TifuParams) -> sp.csr_matrix:
    """The TIFU vector of every consumer.

    Args:
        interactions: Gives the shape.
        rows: Purchases to use (`user`, `item`, `basket`).
        params: Settings.

    Returns:
        float32 CSR (n_users, n_items); empty rows for consumers without purchases.
    """
    baskets = (
        rows.select("user", "basket")
        .unique()
        .sort("user", "basket")
        .with_columns(
            position=pl.int_range(pl.len(), dtype=pl.Int64).over("user"),
            total=pl.len().cast(pl.Int64).over("user"),
        )
    )
    weights = basket_weights(baskets["position"].to_numpy(), baskets["total"].to_numpy(), params)
    weighted = rows.select("user", "item", "basket").join(
        baskets.select("user", "basket", weight=pl.Series(weights)),
        on=["user", "basket"],
        maintain_order="left",
    )
    return interactions.matrix(
        weighted["user"].to_numpy(),
        weighted["item"].to_numpy(),
        weighted["weight"].to_numpy().astype(np.float32),
    )


class VectorPool:
    """TIFU vectors among which neighbours are looked for; what all searches share is made once.

    Args:
        vectors: CSR (n_pool, n_items); empty rows are no neighbours.
        exact_up_to: A pool with more rows is searched by an index, see `neighbours`: neighbours then share an
            item with the query.
        longest: Rows of an item that the index keeps.
    """

    def __init__(self, vectors: sp.csr_matrix, exact_up_to: int = EXACT_POOL, longest: int = LONGEST) -> None:
        self.vectors = vectors
        self._squared = np.asarray(vectors.multiply(vectors).sum(axis=1), dtype=np.float32).ravel()
        self._empty = vectors.getnnz(axis=1) == 0
        self._index = None if vectors.shape[0] <= exact_up_to else self._indexed(longest)

    def nearest(self, query: sp.csr_matrix, same: Indices, k: int) -> sp.csr_matrix:
        """The k nearest rows of each query as rows of equal weights 1/k; see `nearest_rows`.

        Returns:
            float32 CSR (n_queries, n_pool); each row sums to 1, or is empty where there is no neighbour.
        """
        return as_links(self.nearest_rows(query, same, k), self.vectors.shape[0])

    def nearest_rows(self, query: sp.csr_matrix, same: Indices, k: int) -> Indices:
        """The k nearest rows of each query by Euclidean distance.

        Args:
            query: CSR (n_queries, n_items).
            same: int64 (n_queries,), the pool row of the query consumer itself, -1 if none; never a
                neighbour.
            k: Number of neighbours; fewer where the pool is smaller.

        Returns:
            int64 (n_queries, k), nearest first, -1 where there are fewer. Equal distances go to the pool row
            with the smaller index.
        """
        own = np.asarray(query.multiply(query).sum(axis=1), dtype=np.float32).ravel()
        k = min(k, max(self.vectors.shape[0], 1))
        if self._index is not None:

            def shared(row: Indices, other: Indices, product: Floats) -> Floats:
                return np.asarray(2 * product - (self._squared[other] + own[row]), dtype=np.float32)

            return best_by_index(query, self._index, shared, same, k)[0]

        def closeness(start: int, end: int) -> Floats:
            near = 2 * np.asarray((query @ self.vectors[start:end].T).todense(), dtype=np.float32)
            near -= self._squared[None, start:end] + own[:, None]
            near[:, self._empty[start:end]] = -np.inf
            here = np.flatnonzero((same >= start) & (same < end))
            near[here, same[here] - start] = -np.inf
            return near

        return best_in_blocks(closeness, self.vectors.shape[0], k)[0]

    def _indexed(self, longest: int) -> sp.csr_matrix:
        """The index by the distance to a query that has an item with the mean weight of its buyers."""
        pool = self.vectors
        buyers = np.bincount(pool.indices, minlength=pool.shape[1])
        usual = np.bincount(pool.indices, pool.data, pool.shape[1]) / np.maximum(buyers, 1)
        squared = np.repeat(self._squared, np.diff(pool.indptr))
        promise = (2 * usual[pool.indices].astype(np.float32)) * pool.data - squared
        return champion_lists(pool, promise, longest)


def as_links(chosen: Indices, n_pool: int) -> sp.csr_matrix:
    """Chosen pool rows (int64 (n, k), -1 for none) as float32 CSR (n, n_pool) of equal weights."""
    row, place = np.nonzero(chosen >= 0)
    per_row = np.bincount(row, minlength=len(chosen))
    weight = (1.0 / per_row[row]).astype(np.float32)
    return sp.csr_matrix((weight, (row, chosen[row, place])), shape=(len(chosen), n_pool))


def tifu_scores(
    vectors: sp.csr_matrix, links: sp.csr_matrix, pool: sp.csr_matrix, own_weight: float
) -> npt.NDArray[np.float32]:
    """s_u = a v_u + (1 - a) mean of the neighbours' vectors, dense.

    Args:
        vectors: CSR (n, n_items), own vectors.
        links: CSR (n, n_pool), see `VectorPool.nearest`.
        pool: CSR (n_pool, n_items).
        own_weight: a.

    Returns:
        float32 (n, n_items).
    """
    scores = (links @ pool).toarray() * np.float32(1 - own_weight)
    row = np.repeat(np.arange(vectors.shape[0]), np.diff(vectors.indptr))
    scores[row, vectors.indices] += np.float32(own_weight) * vectors.data
    return np.asarray(scores, dtype=np.float32)


def limit_to_supported(vectors: sp.csr_matrix, min_buyers: int) -> sp.csr_matrix:
    """The neighbour pool: skus with fewer than `min_buyers` buyers are zeroed out."""
    buyers = np.bincount(vectors.indices, minlength=vectors.shape[1])
    pool = vectors.copy()
    pool.data = np.where(buyers[pool.indices] >= min_buyers, pool.data, np.float32(0))
    pool.eliminate_zeros()
    return pool


def rank_tifu(
    vectors: sp.csr_matrix, params: TifuParams, popularity: Floats, users: Indices, k: int
) -> Indices:
    """Full-catalogue TIFU-KNN lists.

    Args:
        vectors: CSR (n_users, n_items) of everyone.
        params: Settings.
        popularity: float32 (n_items,), breaks ties.
        users: int64 (n,), whose lists to make.
        k: Length of the list.

    Returns:
        int64 (n, k) item indices.
    """
    buyers = np.bincount(vectors.indices, minlength=vectors.shape[1])
    order = popularity_order(popularity)
    columns = order[buyers[order] >= params.min_buyers]
    own, pool = vectors[:, columns].tocsr(), VectorPool(vectors)
    user: list[Indices] = []
    item: list[Indices] = []
    score: list[Floats] = []
    for start in range(0, len(users), USERS_A_CHUNK):
        part = users[start : start + USERS_A_CHUNK]
        links = pool.nearest(vectors[part], part, params.neighbours)
        dense = tifu_scores(own[part], links, own, params.own_weight)
        top = top_k_dense(dense, k)
        row, place = np.nonzero(top >= 0)
        user.append(part[row])
        item.append(columns[top[row, place]])
        score.append(dense[row, top[row, place]])
    mine = vectors[users].tocoo()
    rare = buyers[mine.col] < params.min_buyers
    user.append(users[mine.row[rare]])
    item.append(mine.col[rare].astype(np.int64))
    score.append(np.float32(params.own_weight) * mine.data[rare])
    return top_k_pairs(
        np.concatenate(user), np.concatenate(item), np.concatenate(score), popularity, users, k
    )


def tifu_on_history(
    vectors: sp.csr_matrix, same: Indices, pool: sp.csr_matrix, params: TifuParams
) -> sp.csr_matrix:
    """TIFU-KNN scores of the consumers' own skus only, which is what the repeat lane serves.

    Args:
        vectors: CSR (n_users, n_items), own vectors.
        same: int64 (n_users,), the consumer's own row in the pool, -1 if none.
        pool: CSR (n_pool, n_items), the fitted vectors, same items.
        params: Settings.

    Returns:
        CSR at the places of `vectors`.
    """
    supported, known = limit_to_supported(pool, params.min_buyers), VectorPool(pool)
    out = vectors.copy()
    for start in range(0, vectors.shape[0], USERS_A_CHUNK):
        part = vectors[start : start + USERS_A_CHUNK]
        links = known.nearest(part, same[start : start + USERS_A_CHUNK], params.neighbours)
        dense = tifu_scores(part, links, supported, params.own_weight)
        row = np.repeat(np.arange(part.shape[0]), np.diff(part.indptr))
        first = int(vectors.indptr[start])
        out.data[first : first + part.nnz] = dense[row, part.indices]
    return out
