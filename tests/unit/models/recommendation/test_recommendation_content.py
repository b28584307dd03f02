"""Content vectors, expectations of new skus, diversity, and how new skus come into lists."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recommendation_panels import NO_LISTINGS, at, lines

from models.recommendation.config import RecommendationConfig
from models.recommendation.rankers.content import content_vectors, dense, diversified, like_their_kind
from models.recommendation.scoring import score

AS_OF = at(150)
PRODUCTS = pl.DataFrame(
    {
        "sku_id": ["tea1", "tea2", "tea3", "pan1", "pan2", "odd"],
        "category_l2_id": ["drink", "drink", "drink", "kitchen", "kitchen", None],
        "category_l3_id": ["tea", "tea", "tea", "pan", "pan", None],
        "brand_id": ["b", "b", "c", "k", "k", "nobody-else"],
        "title": ["Green tea", "green TEA, large", "绿茶 tea", "Frying pan", "Iron pan", None],
        "list_price_cents": [100, 110, 500, 2000, 2100, None],
    }
)
SKUS = PRODUCTS["sku_id"].to_list()


def cosines() -> dict[tuple[str, str], float]:
    vectors = content_vectors(PRODUCTS, SKUS)
    product = (vectors @ vectors.T).toarray()
    return {(a, b): float(product[i, j]) for i, a in enumerate(SKUS) for j, b in enumerate(SKUS)}


def test_what_shares_more_and_rarer_features_is_more_alike() -> None:
    found = cosines()
    assert found["tea1", "tea1"] == pytest.approx(1)
    assert found["tea1", "tea2"] > found["tea1", "tea3"] > 0
    assert found["tea1", "pan1"] == 0
    assert found["odd", "tea1"] == found["odd", "odd"] == 0, "a brand of one sku relates it to nothing"


def test_missing_columns_and_unknown_skus_say_nothing() -> None:
    bare = content_vectors(PRODUCTS.select("sku_id", "category_l2_id"), [*SKUS, "unheard"])
    assert bare.shape[0] == 7
    assert bare[6].nnz == 0
    assert content_vectors(PRODUCTS.clear(), []).shape == (0, 0)


def test_a_new_sku_is_expected_to_be_like_its_kind() -> None:
    vectors = content_vectors(PRODUCTS, SKUS)
    known, cold = np.array([0, 1, 3]), np.array([2, 4, 5])
    found = like_their_kind(vectors, known, np.array([[1.0], [3.0], [9.0]], np.float32), cold)
    # tea3 between the two teas and the mean of all (13 / 3); pan2 between it and pan1; of `odd` nothing.
    assert 2 < found[0, 0] < 13 / 3 < found[1, 0] < 9
    assert np.isnan(found[2, 0])


def test_diversity_puts_the_unlike_before_the_alike() -> None:
    # Columns 0 and 1 are the same thing, column 2 another; scores fall from left to right.
    vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    top, scores = np.array([[0, 1, 2]]), np.array([[3.0, 2.9, 1.0]], np.float32)
    assert diversified(top, scores, vectors, 0.0, 3).tolist() == [[0, 1, 2]]
    assert diversified(top, scores, vectors, 0.6, 3).tolist() == [[0, 2, 1]]
    # Worths of the second pick at weight 0.4: 0.6 * 0.95 - 0.4 = 0.17 against 0.6 * 0 - 0 = 0.
    assert diversified(top, scores, vectors, 0.4, 3).tolist() == [[0, 1, 2]]


@given(
    values=st.lists(st.lists(st.integers(0, 5), min_size=6, max_size=6), min_size=1, max_size=4),
    weight=st.floats(0, 0.99),
    picks=st.integers(1, 8),
)
def test_diversity_only_reorders(values: list[list[int]], weight: float, picks: int) -> None:
    scores = np.array(values, np.float32)
    top = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    top[0, 3:] = -1
    found = diversified(top, scores, dense(content_vectors(PRODUCTS, SKUS)), weight, picks)
    assert (np.sort(found, axis=1) == np.sort(top, axis=1)).all()
    assert (found[:, 0] == top[:, 0]).all(), "nothing is alike to nothing: the best comes first"
    assert (found[0, 3:] == -1).all()


def market() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """c and others buy teas; `a9` is listed, in category a as `a1` is, and was never sold."""
    panel = lines(
        [("c", "m", 140, "a1 b1"), ("x", "m", 141, "a1 a2"), ("y", "m", 142, "a2 b2"), ("z", "m", 143, "b2")]
    )
    skus = ["a1", "a2", "b1", "b2", "a9"]
    listings = pl.DataFrame({"merchant_id": ["m"] * 5, "sku_id": skus})
    products = pl.DataFrame(
        {
            "sku_id": skus,
            "category_l2_id": [f"l2-{sku[0]}" for sku in skus],
            "category_l3_id": [f"l3-{sku[0]}" for sku in skus],
        }
    )
    return panel, listings, products


def test_a_sku_that_nobody_bought_yet_appears_with_its_reason() -> None:
    panel, listings, products = market()
    config = RecommendationConfig(exploration_rate=0.0)
    without = score(panel, listings, AS_OF, None, None, config).recommendations
    assert "a9" not in set(without["sku_id"])
    shown = score(panel, listings, AS_OF, None, None, config, products=products).recommendations
    mine = shown.filter(consumer_id="c")
    assert mine.filter(sku_id="a9").select("lane", "reason_code").rows() == [("discovery", "new_product")]
    stocked = score(panel, listings, AS_OF, None, None, config, products=products, in_stock={"a1"})
    assert set(stocked.recommendations["sku_id"]) == {"a1"}
    # What stays unsold for long is not new any more: a2 was first sold eight days ago, a9 never.
    old = RecommendationConfig(exploration_rate=0.0, new_days=1)
    assert "a9" in set(
        score(panel, listings, AS_OF, None, None, old, products=products).recommendations["sku_id"]
    )


def test_published_propensities_are_the_frequencies_of_many_draws() -> None:
    # 2,000 consumers with one and the same history: the slots' draws are all that differs.
    panel = lines(
        [("c", "m", 140, "a1 b1"), ("x", "m", 141, " ".join(f"{k}{n}" for k in "cdefgh" for n in "12"))]
    )
    twins = pl.concat(
        [panel.filter(pl.col("consumer_id") != "c")]
        + [
            panel.filter(consumer_id="c").with_columns(consumer_id=pl.lit(f"c{n}"), order_id=pl.lit(f"oc{n}"))
            for n in range(2000)
        ]
    )
    config = RecommendationConfig(list_length=4, exploration_ranks=(2, 4), exploration_rate=0.4)
    found = score(twins, NO_LISTINGS, AS_OF, None, None, config)
    frame = found.recommendations.filter(pl.col("consumer_id") != "x")
    assert not frame.select("consumer_id", "sku_id").is_duplicated().any()
    for rank in (2, 4):
        shown = (
            frame.filter(rank=rank)
            .group_by("sku_id")
            .agg(pl.len(), pl.col("propensity").min().alias("low"), pl.col("propensity").max().alias("high"))
        )
        assert shown.height >= 3
        assert (shown["low"] == shown["high"]).all()
        assert shown["low"].sum() == pytest.approx(1.0)
        for _, seen, propensity, _ in shown.iter_rows():
            assert abs(seen / 2000 - propensity) < 4 * np.sqrt(propensity / 2000)
    logged = found.explored.filter(pl.col("consumer_id") != "x")
    assert logged.height == 4000
    assert (
        logged.join(frame, on=["consumer_id", "merchant_id", "rank", "sku_id", "propensity"]).height == 4000
    )
    first, second = (set(logged.filter(rank=rank)["pool"][0]) for rank in (2, 4))
    assert first
    assert not first & second
