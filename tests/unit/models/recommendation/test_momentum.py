"""Momentum: first purchases by hand, window edges, and lists that follow what is being found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from recommendation_panels import NO_LISTINGS, at, lines

from models.recommendation.bundle import DiscoveryBundle, load_discovery, save_discovery
from models.recommendation.config import ALONE, AlsParams, BesideWeights, RecommendationConfig
from models.recommendation.rankers.discovery import ItemFactors
from models.recommendation.rankers.momentum import momentum
from models.recommendation.scoring import score


def bought(*rows: tuple[int, int, float]) -> pl.DataFrame:
    """User, item, day."""
    return pl.DataFrame(
        {"user": [r[0] for r in rows], "item": [r[1] for r in rows], "at": [at(r[2]) for r in rows]},
        schema={"user": pl.Int64, "item": pl.Int64, "at": pl.Datetime("us", "UTC")},
    )


def test_momentum_by_hand() -> None:
    rows = bought(
        (0, 0, 10), (0, 0, 99),  # Bought again: the first time counts, long ago.
        (1, 0, 80), (2, 0, 98),
        (0, 1, 10), (1, 1, 20), (2, 1, 30),
        (3, 2, 95),
    )  # fmt: skip
    found = momentum(rows, at(100), 4)
    assert found.finders.tolist() == [2, 0, 1, 0]
    # Three of seven buyers found their sku in the last 28 days; five such buyers stand beside each sku's own.
    usual = 3 / 7
    shares = [(2 + 5 * usual) / 8, 5 * usual / 8, (1 + 5 * usual) / 6, usual]
    np.testing.assert_allclose(found.freshness, np.log(shares), rtol=1e-6)
    np.testing.assert_allclose(found.rise, np.log([(4 + 2) / (2 + 2), 1, (4 + 2) / (1 + 2), 1]), atol=1e-6)


def test_windows_leave_out_their_first_moment() -> None:
    found = momentum(bought((0, 0, 72), (0, 1, 72.001), (0, 2, 93), (0, 3, 93.001)), at(100), 4)
    assert found.finders.tolist() == [0, 1, 1, 1]
    np.testing.assert_allclose(found.rise, np.log([1, 2 / 3, 2 / 3, 2]), atol=1e-6)


def test_nothing_bought_and_nothing_found_are_no_evidence() -> None:
    none = momentum(bought(), at(100), 2)
    assert none.freshness.tolist() == [0, 0]
    assert none.rise.tolist() == [0, 0]
    old = momentum(bought((0, 0, 1), (1, 0, 2)), at(100), 2)
    assert np.isfinite(old.freshness).all()
    assert old.freshness[0] < old.freshness[1]


@pytest.mark.parametrize(
    ("weights", "order"),
    [
        (ALONE, ["old", "new"]),
        (BesideWeights(freshness=5.0), ["new", "old"]),
        (BesideWeights(rise=5.0), ["new", "old"]),
    ],
)
def test_lists_follow_what_is_being_found(tmp_path: Path, weights: BesideWeights, order: list[str]) -> None:
    """Through the bundle: as many buy the old sku as the new one, but they know it."""
    rows = [("me", "m", 149, "mine")]
    for number in range(4):
        rows += [(f"u{number}", "m", 20, "old"), (f"u{number}", "m", 148, "old new")]
    skus = ("mine", "new", "old")
    factors = np.array([[1], [1], [1.1]], np.float32)
    links = sp.csr_matrix((3, 3), dtype=np.float32)
    params = AlsParams(factors=1, min_buyers=1)
    bundle = DiscoveryBundle(0, skus, ItemFactors(factors, params, 0.0, links, weights))
    save_discovery(tmp_path, bundle)
    assert load_discovery(tmp_path).items.weights == weights
    config = RecommendationConfig(exploration_rate=0.0, diversity=0.0)
    listed = score(lines(rows), NO_LISTINGS, at(150), None, tmp_path, config).recommendations
    mine = listed.filter((pl.col("consumer_id") == "me") & (pl.col("lane") == "discovery"))
    assert mine.sort("score", descending=True)["sku_id"].to_list() == order


def test_a_bundle_of_an_earlier_release_is_read_without_momentum(tmp_path: Path) -> None:
    items = ItemFactors(np.ones((1, 1), np.float32), AlsParams(factors=1), 0.0)
    save_discovery(tmp_path, DiscoveryBundle(3, ("a",), items))
    document = json.loads((tmp_path / "bundle.json").read_text())
    for written, read in (([0.5, 0.25], BesideWeights(ease=0.5, habits=0.25)), (None, ALONE)):
        document.pop("beside", None)
        (tmp_path / "bundle.json").write_text(json.dumps(document | ({"beside": written} if written else {})))
        assert load_discovery(tmp_path).items.weights == read
