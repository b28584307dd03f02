"""GP-TopFreq and TIFU-KNN against numbers worked by hand and against slow oracles."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from recommendation_panels import at, lines

from models.recommendation.config import TifuParams
from models.recommendation.interactions import Interactions, index_lines
from models.recommendation.lists.ranking import top_k_pairs
from models.recommendation.rankers.repeat import (
    VectorPool,
    rank_tifu,
    tifu_on_history,
    tifu_scores,
    tifu_vectors,
    top_frequency,
)

Baskets = list[list[list[int]]]


def purchases(history: Baskets) -> Interactions:
    """history[user][basket] = items; item 0 is `a00`. An extra user holds every item, so ids are fixed."""
    rows = [
        (f"u{user}", "m", float(basket), " ".join(f"a{item:02d}" for item in items))
        for user, baskets in enumerate(history)
        for basket, items in enumerate(baskets)
    ]
    return index_lines(lines(rows), at(400))


HAND = [[[0], [1], [0, 1]], [[0, 2]], [[1]]]  # a, b, {a, b}; {a, c}; {b}


def test_top_frequency_by_hand() -> None:
    # counts: u0 a2 b2, u1 a1 c1, u2 b1; baskets with a, b, c: 3, 3, 1; max + 1 = 4.
    # u0: a 2.75, b 2.75 (tie, a and b equally popular: smaller id first), c .25 unseen
    # u1: a 1.75, c 1.25, then b .75 unseen; u2: b 1.75, then a .75, c .25
    data = purchases(HAND)
    counts = data.counts(data.frame)
    popularity = np.asarray(counts.sum(axis=0), dtype=np.float32).ravel()
    scored = top_frequency(counts, popularity)
    np.testing.assert_allclose(scored.toarray(), [[2.75, 2.75, 0], [1.75, 0, 1.25], [0, 1.75, 0]])
    pairs = scored.tocoo()
    ranked = top_k_pairs(
        pairs.row.astype(np.int64), pairs.col.astype(np.int64), pairs.data, popularity, np.arange(3), 3
    )
    assert ranked.tolist() == [[0, 1, 2], [0, 2, 1], [1, 0, 2]]


@pytest.mark.parametrize(
    ("in_group", "first_user"),
    [
        # m = 2, r_b = r_g = 1/2. Three baskets, two groups: {basket 0}, {basket 1, basket 2}.
        # Inside the group: 1/2 / 1 / 2 = 1/4; 1/2 / 2 / 2 = 1/8; 1 / 2 / 2 = 1/4.
        #   a = 1/4 + 1/4, b = 1/8 + 1/4
        (True, [0.5, 0.375, 0.0]),
        # Whole history: 1/4 * 1/2 / 1 / 2 = 1/16; 1/2 / 2 / 2 = 1/8; 1 / 2 / 2 = 1/4.
        #   a = 1/16 + 1/4, b = 1/8 + 1/4
        (False, [0.3125, 0.375, 0.0]),
    ],
)
def test_tifu_vectors_by_hand(in_group: bool, first_user: list[float]) -> None:
    params = TifuParams(groups=2, basket_decay=0.5, group_decay=0.5, decay_in_group=in_group)
    data = purchases(HAND)
    vectors = tifu_vectors(data, data.frame, params).toarray()
    np.testing.assert_allclose(vectors, [first_user, [1, 0, 1], [0, 1, 0]])


def test_tifu_scores_by_hand() -> None:
    # Vectors (.5, .375, 0), (1, 0, 1), (0, 1, 0). Squared distances: 0-1 .25 + .140625 + 1 = 1.390625,
    # 0-2 .25 + .390625 = .640625, 1-2 3. Nearest: 0 -> 2, 1 -> 0, 2 -> 0. a = 1/2:
    # u0 (.25, .1875 + .5, 0); u1 (.5 + .25, .1875, .5); u2 (.25, .5 + .1875, 0)
    params = TifuParams(
        groups=2, basket_decay=0.5, group_decay=0.5, neighbours=1, own_weight=0.5, min_buyers=1
    )
    data = purchases(HAND)
    vectors = tifu_vectors(data, data.frame, params)
    links = VectorPool(vectors).nearest(vectors, np.arange(3), 1)
    assert links.indices.tolist() == [2, 0, 0]
    expected = np.array([[0.25, 0.6875, 0.0], [0.75, 0.1875, 0.5], [0.25, 0.6875, 0.0]])
    np.testing.assert_allclose(tifu_scores(vectors, links, vectors, 0.5), expected)
    popularity = np.array([3, 3, 1], np.float32)
    assert rank_tifu(vectors, params, popularity, np.arange(3), 3).tolist() == [
        [1, 0, 2],
        [0, 2, 1],
        [1, 0, 2],
    ]
    served = tifu_on_history(vectors, np.arange(3), vectors, params).toarray()
    np.testing.assert_allclose(served, np.where(vectors.toarray() > 0, expected, 0))


def naive_vector(baskets: list[list[int]], params: TifuParams, n_items: int) -> list[float]:
    """The published loops: build the groups, then average twice."""
    n = len(baskets)
    n_groups = min(n, params.groups)
    sizes = [n // n_groups + (1 if g >= n_groups - n % n_groups else 0) for g in range(n_groups)]
    out = [0.0] * n_items
    start = 0
    for g, size in enumerate(sizes):
        group = [0.0] * n_items
        for j in range(start, start + size):
            steps = (start + size - 1 - j) if params.decay_in_group else (n - 1 - j)
            for item in set(baskets[j]):
                group[item] += params.basket_decay**steps / size
        for item in range(n_items):
            out[item] += params.group_decay ** (n_groups - 1 - g) * group[item] / n_groups
        start += size
    return out


def naive_tifu(history: Baskets, params: TifuParams, n_items: int) -> list[list[float]]:
    vectors = [naive_vector(baskets, params, n_items) for baskets in history]
    buyers = Counter(item for vector in vectors for item, value in enumerate(vector) if value > 0)
    scores = []
    for user, own in enumerate(vectors):
        others = sorted(
            (sum((x - y) ** 2 for x, y in zip(own, other, strict=True)), place)
            for place, other in enumerate(vectors)
            if place != user
        )[: params.neighbours]
        row = []
        for item in range(n_items):
            mean = sum(vectors[p][item] for _, p in others) / len(others) if others else 0.0
            mean = mean if buyers[item] >= params.min_buyers else 0.0
            row.append(params.own_weight * own[item] + (1 - params.own_weight) * mean)
        scores.append(row)
    return scores


N_ITEMS = 6
histories = st.lists(
    st.lists(st.lists(st.integers(0, N_ITEMS - 1), min_size=1, max_size=4), min_size=1, max_size=9),
    min_size=2,
    max_size=6,
).map(lambda drawn: [*drawn, [list(range(N_ITEMS))]])


@settings(max_examples=40, deadline=None)
@given(
    history=histories,
    groups=st.integers(1, 5),
    decay=st.sampled_from([0.5, 0.9, 1.0]),
    in_group=st.booleans(),
    min_buyers=st.integers(1, 3),
)
def test_tifu_equals_the_naive_loops(
    history: Baskets, groups: int, decay: float, in_group: bool, min_buyers: int
) -> None:
    # With every other consumer a neighbour, equal distances cannot change the result.
    params = TifuParams(groups, decay, 0.7, len(history), 0.6, in_group, min_buyers)
    data = purchases(history)
    vectors = tifu_vectors(data, data.frame, params)
    expected = np.array(naive_tifu(history, params, N_ITEMS))
    served = tifu_on_history(vectors, np.arange(len(history)), vectors, params).toarray()
    np.testing.assert_allclose(served, np.where(vectors.toarray() > 0, expected, 0), atol=1e-6)
    ranked = rank_tifu(vectors, params, np.zeros(N_ITEMS, np.float32), np.arange(len(history)), N_ITEMS)
    for row, order in enumerate(ranked):
        assert sorted(order.tolist()) == list(range(N_ITEMS))
        assert (np.diff(expected[row][order]) <= 1e-6).all()


@settings(max_examples=40, deadline=None)
@given(history=histories)
def test_top_frequency_equals_counting(history: Baskets) -> None:
    data = purchases(history)
    counts = data.counts(data.frame)
    popularity = np.asarray(counts.sum(axis=0), dtype=np.float32).ravel()
    scored = top_frequency(counts, popularity).tocoo()
    ranked = top_k_pairs(
        scored.row.astype(np.int64), scored.col.astype(np.int64), scored.data, popularity,
        np.arange(len(history)), 4,
    )  # fmt: skip
    total = Counter(item for baskets in history for basket in baskets for item in set(basket))
    for user, baskets in enumerate(history):
        own = Counter(item for basket in baskets for item in set(basket))
        best = sorted(range(N_ITEMS), key=lambda i: (-(own[i] + total[i] / (max(total.values()) + 1)), i))
        assert ranked[user].tolist() == best[:4]


def test_nearest_leaves_out_oneself_and_the_empty() -> None:
    pool = sp.csr_matrix(np.array([[1, 0], [1, 0], [0, 0]], np.float32))
    links = VectorPool(pool).nearest(pool, np.array([0, 1, -1]), 2)
    assert links[0].indices.tolist() == [1]
    assert links[1].indices.tolist() == [0]
    assert links[2].indices.tolist() == [0, 1]
    alone = VectorPool(pool[:1]).nearest(pool[:1], np.array([0]), 5)
    assert alone.nnz == 0


def test_quantities_by_weight_keep_their_fraction() -> None:
    weighed = lines([("u", "m", 1, "a"), ("u", "m", 2, "a")]).with_columns(qty=pl.lit(0.345))
    assert index_lines(weighed, at(3)).frame["qty"].to_list() == [0.345, 0.345]
