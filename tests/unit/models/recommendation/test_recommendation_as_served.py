"""Lists measured as they are served: inside the assortment, on this merchant's purchases alone."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from recommendation_panels import at, lines

from models.recommendation.config import RecommendationConfig
from models.recommendation.lists.as_served import ANY, NEW, as_served, unit_metric
from models.splits import Cut

CUT = Cut(at(150), at(164))
CONFIG = RecommendationConfig(exploration_rate=0.5)
RULES = {"rules": (None, None)}


def panel() -> pl.DataFrame:
    """c bought a1 twice and b1 once at north; two others know d1 there, and one of them e1."""
    return lines(
        [
            ("c", "north", 140, "a1 b1"),
            ("c", "north", 141, "a1"),
            ("x", "north", 142, "d1 e1"),
            ("y", "north", 143, "d1"),
            ("z", "south", 143, "f1"),
            # In the window: b1 and e1 here, a1 elsewhere, and z nothing.
            ("c", "north", 155, "b1 e1"),
            ("c", "south", 156, "a1 f1"),
            ("x", "north", 170, "d1"),
        ]
    )


def test_a_list_counts_what_was_bought_at_its_own_merchant() -> None:
    found = as_served(panel(), CUT, RULES, CONFIG)["rules"]
    # The list of c at north is a1, b1, d1, e1: hits at 2 and 4 of two relevant. c has no list at south.
    assert found[ANY].consumers == ["c"]
    assert found[ANY].recall.tolist() == [1.0]
    gain = 1 / np.log2(3) + 1 / np.log2(5)
    assert found[ANY].ndcg.tolist() == pytest.approx([gain / (1 + 1 / np.log2(3))])
    # Discovery offers are d1, e1; new to c at north was e1 alone.
    assert found[NEW].ndcg.tolist() == pytest.approx([1 / np.log2(3)])
    assert found[NEW].recall.tolist() == [1.0]


def test_what_the_merchant_does_not_list_cannot_be_hit() -> None:
    listings = pl.DataFrame({"merchant_id": ["north"] * 2, "sku_id": ["a1", "d1"]})
    found = as_served(panel(), CUT, RULES, CONFIG, listings=listings)["rules"]
    assert found[ANY].ndcg.tolist() == [0.0]
    assert found[ANY].recall.tolist() == [0.0]


def test_nothing_after_the_cut_makes_a_list() -> None:
    later = panel().filter((pl.col("placed_at") > CUT.origin) & (pl.col("consumer_id") == "c"))
    more = pl.concat([panel(), later.with_columns(pl.col("order_id") + "-again", placed_at=CUT.end)])
    late = (
        panel()
        .filter(pl.col("placed_at") <= CUT.origin)
        .with_columns(
            pl.col("order_id") + "-late",
            received_at=pl.lit(CUT.end),
            superseded_at=pl.lit(None, pl.Datetime("us", "UTC")),
        )
    )
    known = more.with_columns(
        received_at=pl.col("placed_at"), superseded_at=pl.lit(None, pl.Datetime("us", "UTC"))
    )
    found = as_served(pl.concat([known, late]), CUT, RULES, CONFIG)["rules"]
    assert found[ANY].ndcg.tolist() == as_served(panel(), CUT, RULES, CONFIG)["rules"][ANY].ndcg.tolist()


def test_consumers_are_the_units() -> None:
    found = as_served(panel(), CUT, {"one": (None, None), "two": (None, None)}, CONFIG)
    metric = unit_metric(found["one"][ANY], ["b", "c", "d"])
    assert metric(np.array([0, 2])) == 0.0
    assert metric(np.array([1])) == metric(np.array([1, 1, 0])) == pytest.approx(found["two"][ANY].ndcg[0])
    nobody = as_served(panel().filter(pl.col("placed_at") < CUT.origin), CUT, RULES, CONFIG)["rules"]
    assert nobody[ANY].consumers == []
