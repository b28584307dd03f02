"""UP-CF, the repurchase kernel and the search in blocks, against oracles written another way."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from models.recommendation.lists.fusion import fused, rank_in_row
from models.recommendation.nextbasket.kernel import Kernel, fit_kernel
from models.recommendation.nextbasket.settings import UpcfParams
from models.recommendation.nextbasket.upcf import KnownItems
from models.recommendation.rankers.neighbours import best_in_blocks


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(0, 12), st.integers(1, 7), st.integers(1, 5), st.integers(0, 999))
def test_blocks_find_what_one_sort_finds(rows: int, pool: int, k: int, block: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (rows, pool)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.2] = -np.inf
    found, value = best_in_blocks(lambda a, b: scores[:, a:b].copy(), pool, k, block)
    for row in range(rows):
        order = [j for j in np.argsort(-scores[row], kind="stable") if scores[row, j] > -np.inf][:k]
        assert found[row].tolist() == order + [-1] * (k - len(order))
        assert value[row, : len(order)].tolist() == scores[row, order].tolist()


def test_upcf_by_loops() -> None:
    rng = np.random.default_rng(2)
    counts = sp.csr_matrix((rng.random((9, 14)) < 0.35).astype(np.float32))
    params = UpcfParams(recency=5, asymmetry=0.3, locality=2.0, neighbours=4)
    part = np.array([0, 3, 8])
    found = KnownItems(counts).similar(part, params).toarray()
    sets = [set(counts[user].indices.tolist()) for user in range(9)]
    for row, user in enumerate(part):
        value = np.zeros(9)
        for other in range(9):
            shared = len(sets[user] & sets[other])
            value[other] = shared / (max(len(sets[user]), 1) ** 0.3 * max(len(sets[other]), 1) ** 0.7)
        keep = np.argsort(-value, kind="stable")[:4]
        wanted = np.zeros(9)
        wanted[keep] = value[keep] ** 2
        wanted[user] = 1.0 if user in keep else 0.0
        np.testing.assert_allclose(found[row], wanted, rtol=1e-5)


def test_the_kernel_finds_the_rhythm_it_was_made_from() -> None:
    rng = np.random.default_rng(3)
    weekly = np.where(rng.random(4000) < 0.7, rng.normal(7, 1, 4000), rng.exponential(20, 4000))
    monthly = rng.normal(30, 3, 4000)
    few = np.array([8.0, 6.0])
    gap = np.clip(np.concatenate([weekly, monthly, few]), 0.1, None)
    item = np.repeat([0, 1, 2], [4000, 4000, 2])
    kernel = fit_kernel(item, gap, np.array([0, 1, 0, 1]))
    assert kernel.share[0] == pytest.approx(0.7, abs=0.05)
    assert kernel.mu[0] == pytest.approx(7, abs=0.2)
    assert kernel.beta[0] == pytest.approx(20, rel=0.15)
    assert kernel.mu[1] == pytest.approx(30, abs=0.3)
    # Two gaps and none: the shape of their categories.
    assert kernel.mu[2] == pytest.approx(kernel.mu[0], abs=1)
    assert kernel.mu[3] == pytest.approx(30, abs=1)


def test_due_is_the_conditional_share_of_gaps() -> None:
    kernel = Kernel(np.array([0.4]), np.array([10.0]), np.array([7.0]), np.array([2.0]))
    draws = np.linspace(0, 1, 200_001)[1:-1]
    gaps = np.concatenate([-10 * np.log(1 - draws[::5]), np.zeros(0)])
    bells = norm.ppf(draws[::5], 7, 2)
    for age, window in ((0.0, 3.0), (5.0, 4.0), (30.0, 5.0)):
        still = 0.6 * (gaps > age).mean() + 0.4 * (bells > age).mean()
        ended = 0.6 * ((gaps > age) & (gaps <= age + window)).mean()
        ended += 0.4 * ((bells > age) & (bells <= age + window)).mean()
        due = kernel.due(np.array([0]), np.array([age]), window)[0]
        assert due == pytest.approx(ended / still, abs=2e-3)


def test_without_gaps_there_is_a_kernel_all_the_same() -> None:
    nothing = np.zeros(0)
    kernel = fit_kernel(nothing.astype(np.int64), nothing, np.array([0, 0]))
    assert kernel.due(np.array([1]), np.array([3.0]), 7.0)[0] == pytest.approx(1 - np.exp(-1))


def test_ranks_inside_rows() -> None:
    row = np.array([0, 0, 0, 2, 2])
    score = np.array([1, 3, 3, 5, 6], np.float32)
    assert rank_in_row(row, score).tolist() == [3, 1, 2, 2, 1]


def test_fusion_by_hand() -> None:
    row = np.array([0, 0, 0, 1])
    one, other = np.array([3, 2, 1, 9], np.float32), np.array([1, 3, 2, 9], np.float32)
    # Ranks 1 2 3 and 3 1 2 with weights 2 and 1; (1 + 10) / (rank + 10).
    wanted = [(2 * 11 / 11 + 11 / 13) / 3, (2 * 11 / 12 + 11 / 11) / 3, (2 * 11 / 13 + 11 / 12) / 3, 1.0]
    np.testing.assert_allclose(fused(row, [one, other], [2, 1]), wanted, rtol=1e-6)
    assert fused(row, [one, other], [0, 1]).argmax() == 1
