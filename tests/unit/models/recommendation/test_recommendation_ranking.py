"""Exact top-k with ties, hits, interleaving, quotas and the slots that explore."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from models.recommendation.judging.evaluation import mix
from models.recommendation.lists.blend import (
    DISCOVERY,
    POPULAR,
    REPEAT,
    Offer,
    Rules,
    blend,
    exploration_pools,
    explore,
    unit_draws,
)
from models.recommendation.lists.ranking import hits, top_k_dense, top_k_pairs

rows = st.integers(1, 12).flatmap(
    lambda width: st.lists(
        st.lists(st.sampled_from([0.0, 0.5, 1.0, -np.inf]), min_size=width, max_size=width),
        min_size=1,
        max_size=4,
    )
)


@given(scores=rows, k=st.integers(1, 14))
def test_top_k_equals_a_full_stable_sort(scores: list[list[float]], k: int) -> None:
    ranked = top_k_dense(np.array(scores, np.float32), k)
    for row, values in zip(ranked.tolist(), scores, strict=True):
        order = sorted((c for c, v in enumerate(values) if v > -np.inf), key=lambda c, v=values: (-v[c], c))
        assert row == (order[:k] + [-1] * k)[:k]


def test_pairs_break_ties_by_popularity_then_index_and_fill_up() -> None:
    user, item = np.array([0, 0, 0, 2]), np.array([3, 1, 2, 0])
    score = np.array([1, 1, 1, 9], np.float32)
    popularity = np.array([5, 2, 2, 4], np.float32)
    ranked = top_k_pairs(user, item, score, popularity, np.array([0, 1]), 4)
    assert ranked.tolist() == [[3, 1, 2, 0], [0, 3, 1, 2]]
    short = top_k_pairs(user, item, score, popularity, np.array([1]), 6)
    assert short.tolist() == [[0, 3, 1, 2, -1, -1]]


def test_hits_by_hand() -> None:
    bought = sp.csr_matrix(np.array([[1, 0, 0], [0, 0, 1]], np.float32))
    found = hits(np.array([[0, -1], [2, 0]]), np.array([0, 1]), bought)
    assert found.tolist() == [[True, False], [True, False]]


def test_mix_by_hand() -> None:
    repeat, new = np.array([[1, 2, 3, 4]]), np.array([[9, 2, 8, 7]])
    # Slots 2 and 4 are discovery; item 2 was listed in slot 3, so slot 4 takes the next new one.
    assert mix(repeat, new, 2).tolist() == [[1, 9, 2, 8]]
    assert mix(np.array([[1, -1, -1, -1]]), new, 4).tolist() == [[1, 9, 2, 8]]


def offer(item: int, lane: str, category: str = "x", kind: int | None = None) -> Offer:
    return Offer(item, 1.0, lane, category, item if kind is None else kind, "why")


def items(chosen: list[Offer]) -> list[int]:
    return [one.item for one in chosen]


def test_blend_interleaves_and_lists_an_item_once() -> None:
    rules = Rules(length=6, spacing=3, max_a_category=99, max_discovery_a_kind=99)
    lanes = {
        REPEAT: [offer(1, REPEAT), offer(2, REPEAT), offer(3, REPEAT)],
        DISCOVERY: [offer(9, DISCOVERY), offer(8, DISCOVERY)],
        POPULAR: [offer(2, POPULAR), offer(7, POPULAR)],
    }
    assert items(blend(lanes, rules)) == [1, 2, 9, 3, 8, 7]


def test_category_quota_defers_and_relaxes_only_at_the_end() -> None:
    rules = Rules(length=4, spacing=9, max_a_category=1, max_discovery_a_kind=9)
    lanes = {
        REPEAT: [offer(1, REPEAT, "x"), offer(2, REPEAT, "x"), offer(3, REPEAT, "y")],
        POPULAR: [offer(4, POPULAR, "z")],
    }
    assert items(blend(lanes, rules)) == [1, 3, 4, 2]


def test_discovery_types_are_limited() -> None:
    rules = Rules(length=3, spacing=2, max_a_category=9, max_discovery_a_kind=1)
    lanes = {
        DISCOVERY: [offer(1, DISCOVERY, kind=5), offer(2, DISCOVERY, kind=5), offer(3, DISCOVERY, kind=6)]
    }
    assert items(blend(lanes, rules)) == [1, 3, 2]


@given(
    drawn=st.lists(
        st.tuples(st.integers(0, 20), st.sampled_from([REPEAT, DISCOVERY, POPULAR]), st.sampled_from("xyz")),
        max_size=40,
    ),
    spacing=st.integers(2, 6),
    quota=st.integers(1, 5),
)
def test_blend_lists_as_many_distinct_items_as_there_are(
    drawn: list[tuple[int, str, str]], spacing: int, quota: int
) -> None:
    category = {item: name for item, _, name in drawn}
    lanes: dict[str, list[Offer]] = {REPEAT: [], DISCOVERY: [], POPULAR: []}
    for item, lane, _ in drawn:
        lanes[lane].append(offer(item, lane, category[item]))
    chosen = items(blend(lanes, Rules(10, spacing, quota, 2)))
    assert len(set(chosen)) == len(chosen) == min(10, len(category))


def test_pools_are_new_to_the_list_disjoint_and_keep_the_quota() -> None:
    rules = Rules(length=3, spacing=2, max_a_category=2, max_discovery_a_kind=9)
    chosen = [offer(1, REPEAT, "x"), offer(2, DISCOVERY, "x"), offer(3, REPEAT, "y")]
    new = [
        offer(item, DISCOVERY, category)
        for item, category in ((2, "x"), (4, "x"), (5, "y"), (6, "z"), (7, "z"), (8, "y"), (6, "z"), (9, "w"))
    ]
    # x is full. y has room for one more, so it stands in one pool only. Slot 9 is beyond the list.
    pools = exploration_pools(chosen, new, rules, (2, 3, 9), 5)
    assert {rank: items(pool) for rank, pool in pools.items()} == {2: [5, 7, 8], 3: [6, 9]}
    assert exploration_pools(chosen, [], rules, (2,), 5) == {2: []}
    assert exploration_pools([], new, rules, (2,), 5) == {}


def test_exploration_propensities_are_true() -> None:
    usual = offer(2, REPEAT)
    pool = [offer(i, DISCOVERY) for i in (10, 11)]
    shown: dict[int, list[float]] = {}
    n = 20_000
    for number in range(n):
        found, propensity = explore(usual, pool, 0.2, unit_draws("seed", str(number)))
        shown.setdefault(found.item, []).append(propensity)
    assert set(shown) == {2, 10, 11}
    for values in shown.values():
        assert len(set(values)) == 1
        # Binomial: four standard errors.
        assert abs(len(values) / n - values[0]) < 4 * np.sqrt(values[0] / n)
    assert sum(values[0] for values in shown.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(("pool_size", "rate"), [(0, 0.5), (3, 0.0)])
def test_nothing_to_explore_is_deterministic(pool_size: int, rate: float) -> None:
    pool = [offer(10 + i, DISCOVERY) for i in range(pool_size)]
    assert explore(offer(2, REPEAT), pool, rate, (0.0, 0.0)) == (offer(2, REPEAT), 1.0)


def test_draws_are_fixed_by_their_words() -> None:
    assert unit_draws("a", "b") == unit_draws("a", "b")
    assert unit_draws("a", "b") != unit_draws("ab", "")
    assert all(0 <= value < 1 for value in unit_draws("x"))
