"""The inverted index of a large pool: exact where it leaves out nothing, the most promising rows else."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from models.recommendation.config import TifuParams
from models.recommendation.interactions import Floats, Indices
from models.recommendation.nextbasket.settings import UpcfParams
from models.recommendation.nextbasket.upcf import KnownItems
from models.recommendation.rankers.neighbours import best_by_index, champion_lists
from models.recommendation.rankers.repeat import VectorPool, rank_tifu, tifu_on_history


def drawn(seed: int, rows: int, items: int, share: float = 0.3) -> sp.csr_matrix:
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 5, (rows, items)) / 4
    return sp.csr_matrix((weights * (rng.random((rows, items)) < share)).astype(np.float32))


def product(_row: Indices, _other: Indices, shared: Floats) -> Floats:
    return shared.copy()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 7), st.integers(1, 9), st.integers(0, 999))
def test_champions_are_the_most_promising_rows_of_each_item(
    rows: int, items: int, longest: int, seed: int
) -> None:
    pool = drawn(seed, rows, items)
    promise = np.random.default_rng(seed).integers(0, 3, pool.nnz).astype(np.float32)
    index = champion_lists(pool, promise, longest)
    assert index.shape == (items, rows)
    entries = list(zip(*pool.nonzero(), promise.tolist(), pool.data.tolist(), strict=True))
    for item in range(items):
        mine = sorted((-p, int(row), value) for row, column, p, value in entries if column == item)
        wanted = {row: value for _, row, value in mine[:longest]}
        kept = index[item]
        assert dict(zip(kept.indices.tolist(), kept.data.tolist(), strict=True)) == wanted


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 6), st.integers(1, 7), st.integers(0, 999))
def test_a_whole_index_finds_what_one_sort_finds_among_those_who_share(
    rows: int, items: int, k: int, seed: int
) -> None:
    pool, query = drawn(seed, rows, items), drawn(seed + 1, 3, items)
    same = np.array([0, -1, rows - 1])
    index = champion_lists(pool, np.zeros(pool.nnz, np.float32), rows)
    found, value = best_by_index(query, index, product, same, k)
    dense = (query @ pool.T).toarray()
    for number in range(3):
        rated = [(-dense[number, row], row) for row in range(rows) if dense[number, row] > 0]
        wanted = [(row, -worth) for worth, row in sorted(rated) if row != same[number]][:k]
        assert found[number].tolist() == [row for row, _ in wanted] + [-1] * (k - len(wanted))
        assert value[number, : len(wanted)].tolist() == [worth for _, worth in wanted]


def test_a_pool_of_the_exact_size_is_searched_whole_and_one_row_more_by_the_index() -> None:
    # The nearest of row 0 by distance is row 1, with which it shares nothing.
    pool = sp.csr_matrix(np.array([[1, 0, 0], [0, 0.1, 0], [1, 2, 2]], np.float32))
    whole, indexed = VectorPool(pool, exact_up_to=3), VectorPool(pool, exact_up_to=2)
    assert whole.nearest_rows(pool[:1], np.array([0]), 1).tolist() == [[1]]
    assert indexed.nearest_rows(pool[:1], np.array([0]), 1).tolist() == [[2]]
    known = sp.csr_matrix(np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]], np.float32))
    params = UpcfParams(neighbours=3)
    exact, index = KnownItems(known, exact_up_to=3), KnownItems(known, exact_up_to=2)
    assert exact.similar(np.array([0]), params).toarray() == pytest.approx(
        index.similar(np.array([0]), params).toarray()
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 20), st.integers(1, 8), st.integers(0, 999))
def test_an_index_that_leaves_out_nothing_gives_the_same_similar_consumers(
    users: int, neighbours: int, seed: int
) -> None:
    counts, part = drawn(seed, users, 6), np.arange(users)
    params = UpcfParams(asymmetry=0.3, locality=2.0, neighbours=neighbours)
    exact = KnownItems(counts).similar(part, params).toarray()
    indexed = KnownItems(counts, exact_up_to=0, longest=users).similar(part, params).toarray()
    for user in range(users):
        # Of equally similar consumers either may be taken; she herself always is.
        assert (
            sorted(np.append(exact[user], 0)[exact[user].nonzero()].round(5))
            == pytest.approx(sorted(indexed[user][indexed[user].nonzero()].round(5)))
            or counts[user].nnz == 0
        )
        assert indexed[user, user] == 1


def test_a_short_index_keeps_the_rows_that_are_nearest_to_a_usual_buyer() -> None:
    # All have item 0 with weight 1; those who have little else are nearest to whoever has it.
    others = np.diag(np.arange(1.0, 7.0))
    pool = sp.csr_matrix(np.hstack([np.ones((6, 1)), others]).astype(np.float32))
    found = VectorPool(pool, exact_up_to=0, longest=2)
    query = sp.csr_matrix(np.array([[1.0] + [0.0] * 6], np.float32))
    assert found.nearest_rows(query, np.array([-1]), 3).tolist() == [[0, 1, -1]]


def test_lists_of_a_large_pool_come_from_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    # Consumer 0 knows item 0; the nearest, 1, shares nothing and likes item 1, 2 shares it and likes item 2.
    vectors = sp.csr_matrix(np.array([[1, 0, 0], [0, 0.1, 0], [1, 0, 3]], np.float32))
    params = TifuParams(neighbours=1, own_weight=0.5, min_buyers=1)
    asked = (params, np.zeros(3, np.float32), np.array([0]), 2)
    assert rank_tifu(vectors, *asked).tolist() == [[0, 1]]
    monkeypatch.setattr(VectorPool.__init__, "__defaults__", (2, 10))
    assert rank_tifu(vectors, *asked).tolist() == [[2, 0]]
    served = tifu_on_history(vectors[:1], np.array([0]), vectors, params).toarray()
    assert served.tolist() == [[1.0, 0.0, 0.0]]
