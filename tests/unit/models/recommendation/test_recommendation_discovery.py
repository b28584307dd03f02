"""The discovery lane: fold-in against the closed form, new skus only, determinism, ties."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from recommendation_panels import at, lines, simulated

from models.recommendation.config import AlsParams
from models.recommendation.interactions import index_lines
from models.recommendation.rankers.discovery import (
    confidences,
    discovery_candidates,
    fit_als,
    fold_in,
    rank_new,
    trend_factor,
)

SMALL = AlsParams(factors=8, regularisation=0.5, alpha=2.0, iterations=5)


def test_confidence_by_hand() -> None:
    # One sku bought 0 and 10 ln(2) days before the origin with a decay of 10 days: weights 1 and 1/2.
    data = index_lines(lines([("u", "m", 100 - 10 * np.log(2), "a"), ("u", "m", 100, "a")]), at(100))
    matrix = confidences(data, data.frame, at(100), 10.0)
    np.testing.assert_allclose(matrix.toarray(), [[0.3 + np.log1p(2 * 1.5)]], rtol=1e-6)


def test_fold_in_equals_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(7, 3)).astype(np.float32)
    confidence = sp.csr_matrix(np.where(rng.random((4, 7)) < 0.5, rng.uniform(0.3, 3, (4, 7)), 0))
    params = AlsParams(factors=3, regularisation=0.7, alpha=1.5)
    found = fold_in(confidence, factors, params)
    for user in range(4):
        # Dense form with C over all skus: c = 1 where nothing was bought, preference 1 where bought.
        bought = confidence[user].toarray().ravel()
        weight = np.where(bought > 0, params.alpha * bought, 1.0)
        system = factors.T @ np.diag(weight) @ factors + params.regularisation * np.eye(3)
        expected = np.linalg.inv(system) @ factors.T @ (weight * (bought > 0))
        np.testing.assert_allclose(found[user], expected, rtol=1e-4, atol=1e-6)


def test_fold_in_equals_what_implicit_solves() -> None:
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    data = index_lines(simulated(consumers=20, days=60), at(60))
    confidence = confidences(data, data.frame, at(60), 120.0)
    with threadpool_limits(limits=1, user_api="blas"):
        model = AlternatingLeastSquares(
            factors=8, regularization=0.5, alpha=2.0, iterations=3, random_state=1, num_threads=1
        )
        model.fit(confidence, show_progress=False)
        theirs = model.recalculate_user(np.arange(data.n_users), confidence)
    ours = fold_in(confidence, model.item_factors, SMALL)
    np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-4)


def test_fold_in_of_nobody_and_of_no_history() -> None:
    factors = np.ones((3, 2), np.float32)
    assert fold_in(sp.csr_matrix((0, 3)), factors, SMALL).shape == (0, 2)
    assert not fold_in(sp.csr_matrix((2, 3), dtype=np.float32), factors, SMALL).any()


@pytest.mark.parametrize("threads", [1, 2])
def test_als_is_deterministic_for_any_number_of_threads(threads: int) -> None:
    data = index_lines(simulated(consumers=40, days=80), at(80))
    confidence = confidences(data, data.frame, at(80), 120.0)
    first = fit_als(confidence, SMALL, 7, 1)
    again = fit_als(confidence, SMALL, 7, threads)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, fit_als(confidence, SMALL, 8, threads))


@settings(max_examples=50, deadline=None)
@given(
    bought=st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=5),
    buyers=st.lists(st.integers(0, 3), min_size=6, max_size=6),
    with_factors=st.booleans(),
)
def test_discovery_never_returns_a_bought_sku(
    bought: list[list[bool]], buyers: list[int], with_factors: bool
) -> None:
    counts = sp.csr_matrix(np.array(bought, dtype=np.float32))
    recent = np.array(buyers, np.float32)
    candidates = discovery_candidates(counts, recent, 1)
    rng = np.random.default_rng(1)
    users = np.arange(len(bought))
    affinity = None
    if with_factors:
        affinity = (
            rng.normal(size=(len(bought), 2)).astype(np.float32),
            rng.normal(size=(6, 2)).astype(np.float32),
        )
    ranked = rank_new(affinity, trend_factor(recent, 0.5), candidates, counts, users, 4)
    for user, row in enumerate(ranked.tolist()):
        listed = [item for item in row if item >= 0]
        assert len(set(listed)) == len(listed)
        assert not any(bought[user][item] for item in listed)
        assert all(recent[item] > 0 for item in listed)
        possible = [item for item in candidates.tolist() if not bought[user][item]]
        assert len(listed) == min(4, len(possible))


def test_equal_popularity_goes_to_the_smaller_sku() -> None:
    counts = sp.csr_matrix(np.array([[0, 0, 0, 1], [1, 1, 1, 0]], np.float32))
    buyers = np.array([2, 3, 2, 2], np.float32)
    candidates = discovery_candidates(counts, buyers, 1)
    assert candidates.tolist() == [1, 0, 2, 3]
    ranked = rank_new(None, trend_factor(buyers, 1.0), candidates, counts, np.array([0, 1]), 3)
    assert ranked.tolist() == [[1, 0, 2], [3, -1, -1]]


def test_trend_factor_is_zero_where_nobody_bought() -> None:
    assert trend_factor(np.array([0, 1, 4], np.float32), 0.5).tolist() == [0, 1, 2]
    assert trend_factor(np.array([0, 4], np.float32), 0.0).tolist() == [0, 1]
