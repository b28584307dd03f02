"""EASE against its definition, and the discovery lane with it: by hand, in the bundle, through scoring."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from recommendation_panels import NO_LISTINGS, at, lines

from models.recommendation.bundle import DiscoveryBundle, load_discovery, save_discovery
from models.recommendation.config import (
    ALONE,
    AlsParams,
    BesideWeights,
    EaseParams,
    RecommendationConfig,
)
from models.recommendation.rankers.discovery import (
    Beside,
    ItemFactors,
    category_habits,
    rank_new,
    shares_of_kinds,
)
from models.recommendation.rankers.ease import fit_ease
from models.recommendation.rankers.momentum import Momentum
from models.recommendation.scoring import score

UNTOLD = Momentum(*np.zeros((3, 4), np.float32))


def test_ease_is_the_least_squares_fit_without_a_diagonal() -> None:
    """Column by column, ridge regression on the other items of the block gives the same weights."""
    rng = np.random.default_rng(5)
    known = (rng.random((60, 9)) < 0.4).astype(np.float64)
    block = np.array([0, 0, 1, 1, 1, 0, 1, 0, 1])
    found = fit_ease(sp.csr_matrix(known), block, EaseParams(3.0, kept=9, min_buyers=1)).toarray()
    for item in range(9):
        others = [other for other in np.flatnonzero(block == block[item]) if other != item]
        x = known[:, others]
        ridge = np.linalg.solve(x.T @ x + 3.0 * np.eye(len(others)), x.T @ known[:, item])
        wanted = np.zeros(9)
        wanted[others] = ridge
        np.testing.assert_allclose(found[:, item], wanted, atol=1e-6)


def test_ease_keeps_the_largest_weights_of_skus_with_enough_buyers() -> None:
    rng = np.random.default_rng(6)
    known = (rng.random((80, 12)) < 0.3).astype(np.float32)
    known[:, 4] = 0
    known[:3, 4] = 1
    block = np.zeros(12, np.int64)
    every = fit_ease(sp.csr_matrix(known), block, EaseParams(5.0, kept=12, min_buyers=4))
    few = fit_ease(sp.csr_matrix(known), block, EaseParams(5.0, kept=3, min_buyers=4))
    assert not every[4].nnz
    assert not every[:, 4].nnz
    for item in range(12):
        column, kept = every[:, [item]].toarray().ravel(), few[:, [item]].toarray().ravel()
        largest = np.sort(np.argsort(-np.abs(column))[:3]) if item != 4 else np.array([])
        assert np.flatnonzero(kept).tolist() == largest.tolist()
        np.testing.assert_allclose(kept[np.flatnonzero(kept)], column[np.flatnonzero(kept)], rtol=1e-6)
    widest = fit_ease(sp.csr_matrix(known), block, EaseParams(5.0, min_buyers=1, widest=2))
    assert len(np.unique(widest.tocoo().col)) == 2
    assert fit_ease(sp.csr_matrix((3, 4)), np.zeros(4, np.int64), EaseParams()).shape == (4, 4)


def companions(links: sp.csr_matrix, weights: BesideWeights, habits: np.ndarray, told: Momentum) -> Beside:
    bought = sp.csr_matrix(np.array([[1, 0, 0, 0], [0, 1, 0, 0]], np.float32))
    kinds = np.array([0, 0, 1, 1])
    return Beside(bought, links, sp.csr_matrix(habits), kinds, told, weights)


def test_beside_by_hand() -> None:
    # The first sku leads to 3 with .9; the habit is kind 1, where one found sku 2 and four found 3.
    links = sp.csr_matrix((np.array([0.9], np.float32), ([0], [3])), shape=(4, 4))
    habits = np.array([[0, 2], [0, 0]], np.float32)
    told = Momentum(*np.array([[0, 0, 1, 4], [0, 1, 1, 4], [9, 3, 2, 1]], np.float32))
    beside = companions(links, BesideWeights(0.5, 0.25, 0.125, 2.0), habits, told)
    found = beside.added_to(np.array([[1, 2, 3]], np.float32), np.array([0]), np.array([1, 2, 3]))
    # Scores, links, habits times roots of 1/5 and 4/5, freshness and rise of the skus 1, 2 and 3.
    parts = [
        (1.0, [1, 2, 3]),
        (0.5, [0, 0, 0.9]),
        (0.25, [0, 2 * np.sqrt(0.2), 2 * np.sqrt(0.8)]),
        (0.125, [1, 1, 4]),
        (2.0, [3, 2, 1]),
    ]
    wanted = sum(weight * (np.array(part) - np.mean(part)) / np.std(part) for weight, part in parts)
    np.testing.assert_allclose(found[0], wanted, rtol=1e-5)


def test_habits_and_shares_by_hand() -> None:
    rows = pl.DataFrame(
        {"user": [0, 0, 1], "category": [1, 1, 0], "at": [at(100), at(40), at(100)]},
        schema_overrides={"at": pl.Datetime("us", "UTC")},
    )
    habits = category_habits(rows, 2, 3, at(100)).toarray()
    np.testing.assert_allclose(habits, [[0, np.sqrt(1 + np.exp(-1)), 0], [1, 0, 0]], rtol=1e-6)
    shares = shares_of_kinds(np.array([3, 1, 0, 0], np.float32), np.array([0, 0, 0, 1]))
    np.testing.assert_allclose(shares, [np.sqrt(0.75), 0.5, 0, 0], rtol=1e-6)


def test_links_decide_where_factors_do_not() -> None:
    counts = sp.csr_matrix(np.array([[5, 0, 0, 0], [0, 1, 0, 0]], np.float32))
    links = sp.csr_matrix((np.array([0.9], np.float32), ([0], [3])), shape=(4, 4))
    flat = (np.ones((2, 1), np.float32), np.ones((4, 1), np.float32))
    candidates, everyone = np.array([1, 2, 3]), np.arange(2)
    ones = np.ones(4, np.float32)
    without = rank_new(flat, ones, candidates, counts, everyone, 2)
    assert without.tolist() == [[1, 2], [2, 3]]
    # Whoever bought the first sku is led to the last; the other consumer is not.
    beside = companions(links, BesideWeights(ease=1.0), np.zeros((2, 2), np.float32), UNTOLD)
    assert rank_new(flat, ones, candidates, counts, everyone, 2, beside).tolist() == [[3, 1], [2, 3]]


@pytest.mark.parametrize("weight", [0.0, 4.0])
def test_scoring_reads_the_links_of_the_bundle(tmp_path: Path, weight: float) -> None:
    """What was bought together with the own sku elsewhere comes first, with EASE only."""
    rows = [(f"u{n}", "m", 140 + n, "a1 b1 c1 d1") for n in range(4)] + [("me", "m", 149, "a1")]
    skus = ("a1", "b1", "c1", "d1")
    links = sp.csr_matrix((np.array([0.8], np.float32), ([0], [3])), shape=(4, 4))
    params = AlsParams(factors=1, min_buyers=1)
    items = ItemFactors(
        np.array([[1], [1.2], [1.1], [1]], np.float32), params, 0.0, links, BesideWeights(ease=weight)
    )
    save_discovery(tmp_path / "d", DiscoveryBundle(3, skus, items))
    loaded = load_discovery(tmp_path / "d").items
    assert loaded.weights == BesideWeights(ease=weight)
    assert loaded.links is not None
    assert (loaded.links != links).nnz == 0
    config = RecommendationConfig(exploration_rate=0.0, diversity=0.0, list_length=4)
    found = score(lines(rows), NO_LISTINGS, at(150), None, tmp_path / "d", config)
    mine = (
        found.recommendations.filter(
            (found.recommendations["consumer_id"] == "me") & (found.recommendations["lane"] == "discovery")
        )
        .sort("score", descending=True)["sku_id"]
        .to_list()
    )
    assert mine == (["d1", "b1", "c1"] if weight else ["b1", "c1", "d1"])


def test_settings_from_before_ease_are_read_without_it() -> None:
    config = RecommendationConfig()
    old = config.to_dict()
    del old["ease"], old["beside_weights"]
    read = RecommendationConfig.from_dict(old)
    assert read == replace(config, beside_weights=(ALONE,))
    assert read.procedure("discovery") != config.procedure("discovery")
    assert read.procedure("repeat") == config.procedure("repeat")
    assert RecommendationConfig.from_dict(config.to_dict()) == config
    pairs = RecommendationConfig.from_dict(old | {"beside_weights": [[0.0, 0.0], [1.0, 0.5]]})
    assert pairs.beside_weights == (ALONE, BesideWeights(ease=1.0, habits=0.5))
