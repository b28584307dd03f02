"""Scoring: published schema, assortment, stock, quotas, reasons, propensities, rules without bundles."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from recommendation_panels import NO_LISTINGS, SCHEMA, at, lines, simulated

from models.contracts import PUBLISHED_TABLES
from models.recommendation.bundle import RANKER, load_repeat
from models.recommendation.config import ALONE, AlsParams, RankerParams, RecommendationConfig, TifuParams
from models.recommendation.judging.evaluation import Choices
from models.recommendation.scoring import RecommendationScores, score
from models.recommendation.training import train

AS_OF = at(150)
DTYPES = {"text": pl.String, "int": pl.Int64, "float": pl.Float64}
CONFIG = RecommendationConfig(
    test_cuts=1,
    als_grid=(AlsParams(factors=8, regularisation=1.0, iterations=4, min_buyers=1),),
    tifu_grid=(TifuParams(neighbours=10, min_buyers=1),),
    ranker=RankerParams(rounds=10, leaves=4, min_rows_a_leaf=20, training_cuts=1),
    trend_powers=(0.5,),
    reference_origins=(),
    list_length=20,
    exploration_rate=0.3,
    threads=1,
)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    repeat, discovery = train(simulated(), AS_OF, folder, CONFIG)
    return repeat.bundle_dir, discovery.bundle_dir


def check(scores: RecommendationScores) -> None:
    """What must hold of every answer."""
    for name, frame in (
        ("recommendations", scores.recommendations),
        ("popular_items", scores.popular_items),
    ):
        table = PUBLISHED_TABLES[name]
        assert dict(frame.schema) == {column.name: DTYPES[column.type] for column in table.columns}
        assert sum(frame.null_count().row(0)) == 0 if frame.height else True
        assert not frame.select(table.key).is_duplicated().any()
        assert frame.equals(frame.sort(table.key))
    lists = scores.recommendations.group_by("merchant_id", "consumer_id").agg(
        last=pl.col("rank").max(), rows=pl.len(), distinct=pl.col("sku_id").n_unique()
    )
    assert (lists["last"] == lists["rows"]).all()
    assert (lists["distinct"] == lists["rows"]).all()
    assert scores.recommendations["propensity"].is_between(0, 1, closed="right").all()


def bought_pairs(panel: pl.DataFrame) -> pl.DataFrame:
    return panel.select("consumer_id", "sku_id").unique()


def test_lists_of_the_small_panel(bundles: tuple[Path, Path]) -> None:
    panel = simulated()
    scores = score(panel, NO_LISTINGS, AS_OF, *bundles, CONFIG)
    check(scores)
    frame = scores.recommendations
    assert frame.select("merchant_id", "consumer_id").unique().height == 60
    assert frame["rank"].max() == 20
    sold = panel.select("merchant_id", "sku_id").unique()
    assert frame.join(sold, on=["merchant_id", "sku_id"], how="anti").height == 0
    known = bought_pairs(panel)  # each consumer of this panel buys at one merchant
    new, old = frame.filter(lane="discovery"), frame.filter(lane="repeat")
    assert new.height
    assert old.height
    assert new.join(known, on=["consumer_id", "sku_id"], how="semi").height == 0
    assert old.join(known, on=["consumer_id", "sku_id"], how="anti").height == 0
    assert set(old["reason_code"]) <= {"bought_regularly", "bought_before"}
    shown = old.select("consumer_id", "sku_id").unique().sort("consumer_id", "sku_id")
    is_ranker = load_repeat(bundles[0]).kind == RANKER
    assert scores.repeat_vectors.select(shown.columns).equals(shown if is_ranker else shown.clear())
    assert set(new["reason_code"]) <= {"bought_by_similar", "new_for_you", "exploring"}
    explored = frame.filter(reason_code="exploring")
    assert explored.height
    assert set(explored["rank"]) == set(CONFIG.exploration_ranks)
    others = frame.filter(~pl.col("rank").is_in(CONFIG.exploration_ranks))
    assert (others["propensity"] == 1.0).all()
    assert (explored["propensity"] <= 0.3).all()
    regular = panel.group_by("consumer_id", "sku_id").agg(times=pl.col("order_id").n_unique())
    checked = old.join(regular, on=["consumer_id", "sku_id"])
    assert ((checked["times"] >= 3) == (checked["reason_code"] == "bought_regularly")).all()


def test_same_answer_twice_and_whatever_the_row_order_or_the_future(bundles: tuple[Path, Path]) -> None:
    panel = simulated(days=160)
    known = panel.filter(pl.col("placed_at") <= AS_OF)
    first = score(known, NO_LISTINGS, AS_OF, *bundles, CONFIG)
    again = score(panel.sample(fraction=1.0, shuffle=True, seed=1), NO_LISTINGS, AS_OF, *bundles, CONFIG)
    assert first.recommendations.equals(again.recommendations)
    assert first.popular_items.equals(again.popular_items)


def test_nothing_outside_the_assortment_or_out_of_stock(bundles: tuple[Path, Path]) -> None:
    panel = simulated()
    skus = sorted(panel["sku_id"].unique())[::2]
    listings = pl.DataFrame({"merchant_id": ["m0"] * len(skus), "sku_id": skus})
    stocked = set(skus[:15]) | {"never-heard-of"}
    scores = score(panel, listings, AS_OF, *bundles, CONFIG, in_stock=stocked)
    check(scores)
    for frame in (scores.recommendations, scores.popular_items):
        assert frame.height
        assert set(frame["merchant_id"]) == {"m0"}
        assert set(frame["sku_id"]) <= stocked


def test_what_the_quality_brake_stopped_is_shown_nowhere(bundles: tuple[Path, Path]) -> None:
    panel = simulated()
    usual = score(panel, NO_LISTINGS, AS_OF, *bundles, CONFIG)
    stopped = usual.recommendations["sku_id"].value_counts(sort=True)["sku_id"].head(5).to_list()
    held = score(panel, NO_LISTINGS, AS_OF, *bundles, CONFIG, stopped=stopped)
    check(held)
    for frame in (held.recommendations, held.popular_items, held.explored):
        assert not frame["sku_id"].is_in(stopped).any()
    assert not held.explored["pool"].explode().is_in(stopped).any()
    assert held.recommendations.height == usual.recommendations.height, "others take the places"


def test_what_the_quality_brake_limits_is_shown_half_as_much(bundles: tuple[Path, Path]) -> None:
    panel = simulated()
    usual = score(panel, NO_LISTINGS, AS_OF, *bundles, CONFIG)
    limited = usual.recommendations["sku_id"].value_counts(sort=True)["sku_id"].head(12).to_list()
    held = score(panel, NO_LISTINGS, AS_OF, *bundles, CONFIG, halved=limited)
    check(held)
    of_them = pl.col("sku_id").is_in(limited)
    before, after = (one.recommendations.filter(of_them).height for one in (usual, held))
    assert 0.35 * before < after < 0.65 * before
    again = score(panel, NO_LISTINGS, AS_OF, *bundles, CONFIG, halved=limited)
    assert again.recommendations.equals(held.recommendations)
    best, kept = (one.popular_items.filter(of_them).height for one in (usual, held))
    assert 0 < kept < best


def test_without_bundles_the_rules_serve_and_say_so() -> None:
    # c buys a1 twice and b1 once; others make d1 (2 orders) and e1 (1 order) popular and new to c.
    panel = lines(
        [
            ("c", "m", 140, "a1 b1"),
            ("c", "m", 141, "a1"),
            ("x", "m", 142, "d1 e1"),
            ("y", "m", 143, "d1"),
        ]
    )
    frame = score(panel, NO_LISTINGS, AS_OF, None, None, CONFIG).recommendations
    mine = frame.filter(consumer_id="c")
    assert mine["sku_id"].to_list() == ["a1", "b1", "d1", "e1"]
    assert mine["reason_code"].to_list() == ["rule_bought_often"] * 2 + ["rule_popular_new"] * 2
    # GP-TopFreq: counts 2 and 1, popularity 2 and 1 of a largest 2: 2 + 2/3 and 1 + 1/3.
    assert mine["score"].to_list()[:2] == pytest.approx([2 + 2 / 3, 1 + 1 / 3])
    # Discovery rule: distinct buyers in 28 days.
    assert mine["score"].to_list()[2:] == [2.0, 1.0]


@pytest.mark.parametrize("missing", [0, 1])
def test_one_bundle_may_be_missing(bundles: tuple[Path, Path], missing: int) -> None:
    chosen = [None if place == missing else path for place, path in enumerate(bundles)]
    scores = score(simulated(), NO_LISTINGS, AS_OF, chosen[0], chosen[1], CONFIG)
    check(scores)
    rules = scores.recommendations.filter(pl.col("reason_code").str.starts_with("rule_"))
    assert set(rules["lane"]) == {("repeat", "discovery")[missing]}


def test_tifu_bundle_serves_the_repeat_lane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from models.recommendation.judging.evaluation import Backtest

    found = Choices("tifu_knn", CONFIG.tifu_grid[0], CONFIG.als_grid[0], 0.5, ALONE, ((4, 0.0),))
    monkeypatch.setattr(Backtest, "choose", lambda self, cuts: found)
    repeat, discovery = train(simulated(), AS_OF, tmp_path, CONFIG)
    newcomer = lines([("new", "m0", 149, "a000 d003")])
    panel = pl.concat([simulated(), newcomer.with_columns(order_id=pl.lit("late"))])
    scores = score(panel, NO_LISTINGS, AS_OF, repeat.bundle_dir, discovery.bundle_dir, CONFIG)
    check(scores)
    mine = scores.recommendations.filter(consumer_id="new", lane="repeat")
    assert set(mine["sku_id"]) == {"a000", "d003"}
    assert not scores.recommendations["reason_code"].str.starts_with("rule_").any()


def test_no_rows_give_empty_frames(bundles: tuple[Path, Path]) -> None:
    empty = pl.DataFrame(schema=SCHEMA)
    listings = pl.DataFrame({"merchant_id": ["m0"], "sku_id": ["a000"]})
    for paths in ((None, None), bundles):
        for listed in (NO_LISTINGS, listings):
            scores = score(empty, listed, AS_OF, *paths, CONFIG)
            check(scores)
            assert scores.recommendations.height == 0
            assert scores.popular_items.height == 0


def test_one_row_is_enough(bundles: tuple[Path, Path]) -> None:
    for paths in ((None, None), bundles):
        scores = score(lines([("u", "m", 149, "a000")]), NO_LISTINGS, AS_OF, *paths, CONFIG)
        check(scores)
        assert scores.recommendations.select("sku_id", "lane").rows() == [("a000", "repeat")]
        assert scores.popular_items.rows() == [("m", 1, "a000", 1.0, "popular_here")]


def test_guests_count_for_popularity_only() -> None:
    panel = lines([("u", "m", 149, "a")]).with_columns(consumer_id=pl.lit(None, pl.String))
    scores = score(panel, NO_LISTINGS, AS_OF, None, None, CONFIG)
    check(scores)
    assert scores.recommendations.height == 0
    assert scores.popular_items["sku_id"].to_list() == ["a"]


def test_unknown_categories_and_other_line_kinds() -> None:
    panel = lines([("u", "m", 149, "a b"), ("v", "m", 149, "c")]).with_columns(
        category_l2_id=pl.lit(None, pl.String),
        category_l3_id=pl.lit(None, pl.String),
        is_merchandise=pl.col("sku_id") != "b",
    )
    scores = score(panel, NO_LISTINGS, AS_OF, None, None, CONFIG)
    check(scores)
    assert set(scores.recommendations["sku_id"]) == {"a", "c"}


def test_category_share_is_kept_while_others_are_left() -> None:
    habits = " ".join(f"a{i:02d}" for i in range(20))
    varied = " ".join(f"{letter}1" for letter in "bcdefghijklmnopq")
    panel = lines([("u", "m", 148, habits), ("u", "m", 149, varied)])
    frame = score(panel, NO_LISTINGS, AS_OF, None, None, CONFIG).recommendations
    assert frame.height == 20
    assert frame.filter(pl.col("sku_id").str.starts_with("a")).height == 5  # a quarter of 20


def test_popular_items_ties_windows_and_fallbacks() -> None:
    panel = lines(
        [
            ("u", "m", 140, "b a c"),
            ("v", "m", 145, "c"),
            ("u", "m", 100, "z z2"),
            ("u", "old", 100, "b a"),
            ("v", "old", 101, "a"),
        ]
    )
    listings = pl.DataFrame(
        {"merchant_id": ["m"] * 4 + ["old"] * 2 + ["fresh"] * 2, "sku_id": [*"abcz", *"ab", *"ac"]}
    )
    rows = score(panel, listings, AS_OF, None, None, CONFIG).popular_items.rows()
    assert rows == [
        ("fresh", 1, "c", 2.0, "popular_elsewhere"),
        ("fresh", 2, "a", 1.0, "popular_elsewhere"),
        ("m", 1, "c", 2.0, "popular_here"),
        ("m", 2, "a", 1.0, "popular_here"),
        ("m", 3, "b", 1.0, "popular_here"),
        ("old", 1, "a", 2.0, "popular_here_earlier"),
        ("old", 2, "b", 1.0, "popular_here_earlier"),
    ]


def test_pairs_that_went_quiet_get_no_list() -> None:
    later: datetime = at(400)
    panel = lines([("u", "m", 149, "a"), ("v", "m", 399, "b")])
    frame = score(panel, NO_LISTINGS, later, None, None, CONFIG).recommendations
    assert set(frame["consumer_id"]) == {"v"}
