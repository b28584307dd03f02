"""A merchant's lists and their reasons come from this merchant's sales, unless the consumer consented."""

from __future__ import annotations

import polars as pl
from recommendation_panels import NO_LISTINGS, at, lines

from models.recommendation.config import RecommendationConfig
from models.recommendation.lists.tenancy import by_history, histories
from models.recommendation.scoring import RecommendationScores, score

AS_OF = at(150)
CONFIG = RecommendationConfig(list_length=10, exploration_rate=0.0)


def two_merchants() -> pl.DataFrame:
    """c bought a1 three times at north, b1 once at south; both sell both, and x makes d1 known at both."""
    return lines(
        [
            ("c", "north", 140, "a1"),
            ("c", "north", 141, "a1"),
            ("c", "north", 142, "a1"),
            ("c", "south", 143, "b1"),
            ("x", "north", 144, "b1 d1"),
            ("x", "south", 144, "a1 d1"),
        ]
    )


def lists_of(scores: RecommendationScores, merchant: str) -> list[tuple[str, str, str]]:
    mine = scores.recommendations.filter(merchant_id=merchant, consumer_id="c")
    return mine.select("sku_id", "lane", "reason_code").rows()


def test_without_consent_only_what_was_bought_here_is_repeated() -> None:
    scores = score(two_merchants(), NO_LISTINGS, AS_OF, None, None, CONFIG)
    # Discovery: d1 has two buying histories, b1 and a1 one at the other merchant beside c's own.
    assert lists_of(scores, "north") == [
        ("a1", "repeat", "rule_bought_often"),
        ("b1", "discovery", "rule_popular_new"),
        ("d1", "discovery", "rule_popular_new"),
    ]
    assert lists_of(scores, "south") == [
        ("b1", "repeat", "rule_bought_often"),
        ("a1", "discovery", "rule_popular_new"),
        ("d1", "discovery", "rule_popular_new"),
    ]


def test_with_consent_all_purchases_count_and_the_reason_says_where() -> None:
    scores = score(two_merchants(), NO_LISTINGS, AS_OF, None, None, CONFIG, platform_wide={"c", "nobody"})
    assert lists_of(scores, "north") == [
        ("a1", "repeat", "rule_bought_often"),
        ("b1", "repeat", "bought_elsewhere"),
        ("d1", "discovery", "rule_popular_new"),
    ]
    # At south a1 comes first as well: three purchases of c, although none of them here.
    assert lists_of(scores, "south") == [
        ("a1", "repeat", "bought_elsewhere"),
        ("b1", "repeat", "rule_bought_often"),
        ("d1", "discovery", "rule_popular_new"),
    ]
    others = score(two_merchants(), NO_LISTINGS, AS_OF, None, None, CONFIG, platform_wide={"x"})
    assert lists_of(others, "north")[1] == ("b1", "discovery", "rule_popular_new")


def test_what_is_bought_elsewhere_moves_nothing_here_without_consent() -> None:
    more = lines([("c", "south", day, "b1") for day in (120, 121, 122, 123)]).with_columns(
        order_id=pl.lit("more-") + pl.col("order_id")
    )
    panel = pl.concat([two_merchants(), more])
    before = score(two_merchants(), NO_LISTINGS, AS_OF, None, None, CONFIG)
    after = score(panel, NO_LISTINGS, AS_OF, None, None, CONFIG)
    assert lists_of(after, "north") == lists_of(before, "north")
    agreed = score(panel, NO_LISTINGS, AS_OF, None, None, CONFIG, platform_wide={"c"})
    assert lists_of(agreed, "north")[0] == ("b1", "repeat", "bought_elsewhere")


def test_histories_name_who_stands_behind_them() -> None:
    panel = pl.concat([two_merchants(), lines([("guest", "north", 1, "a1")]).with_columns(consumer_id=None)])
    named = histories(panel, {"x"})
    assert named.select("consumer_id", "merchant_id").rows() == [("c", "north"), ("c", "south"), ("x", None)]
    keyed = by_history(panel, {"x"})
    assert set(keyed["consumer_id"].drop_nulls()) == set(named["history"])
    assert keyed["consumer_id"].null_count() == 1
