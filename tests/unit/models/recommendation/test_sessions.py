"""The session lane: links by hand and by loops, sessions of a small shop, the gate, and the bundle."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import BundleError
from models.recommendation.interactions import index_lines
from models.recommendation.sessions.judging import (
    AS_IT_IS,
    LINKS_ALONE,
    POPULAR,
    RULES,
    SESSION,
    Session,
    measured,
    sessions,
)
from models.recommendation.sessions.links import SessionSettings, fit_links, load
from models.recommendation.sessions.training import NAME, train

AS_OF = datetime(2026, 5, 1, tzinfo=UTC)


def linked(baskets: list[set[int]], **more: float) -> dict[str, dict[str, float]]:
    pairs = [(number, item) for number, basket in enumerate(baskets) for item in sorted(basket)]
    basket, item = (np.array(part, dtype=np.int64) for part in zip(*pairs, strict=True))
    return fit_links(basket, item, list("abcdef"), SessionSettings(**more)).by_sku()  # type: ignore[arg-type]


def test_a_link_is_a_shrunk_cosine() -> None:
    # a in 4 baskets, b in 3, both in 3: 3 / sqrt(12) x 3 / (3 + 5); c is with a once: no link.
    found = linked([{0, 1}, {0, 1}, {0, 1}, {0, 2}])
    assert found == {"a": {"b": pytest.approx(3 / math.sqrt(12) * 3 / 8)}, "b": {"a": found["a"]["b"]}}


def test_two_baskets_are_too_few_and_three_are_enough() -> None:
    assert linked([{0, 1}] * 2) == {}
    assert set(linked([{0, 1}] * 3)) == {"a", "b"}


def test_a_basket_of_the_longest_size_teaches_and_one_sku_more_does_not() -> None:
    assert linked([{0, 1, 2}] * 3, longest_basket=3) != {}
    assert linked([{0, 1, 2, 3}] * 3, longest_basket=3) == {}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sets(st.integers(0, 5), min_size=1, max_size=5), min_size=1, max_size=12),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_links_equal_counting(baskets: list[set[int]], kept: int, least: int) -> None:
    found = linked(baskets, kept=kept, least_together=least, shrinkage=2.0)
    alone = Counter(item for basket in baskets for item in basket)
    both = Counter(pair for basket in baskets for pair in combinations(sorted(basket), 2))
    for item in range(6):
        rated = []
        for other in range(6):
            n = both[min(item, other), max(item, other)]
            if item != other and n >= least:
                rated.append((-n / math.sqrt(alone[item] * alone[other]) * n / (n + 2), other))
        wanted = {"abcdef"[other]: -worth for worth, other in sorted(rated)[:kept]}
        assert found.get("abcdef"[item], {}) == pytest.approx(wanted)


def lines_of(orders: list[tuple[str, str, datetime, str]]) -> pl.DataFrame:
    """Order lines of (consumer, merchant, time, skus by letter)."""
    rows = [
        {
            "order_id": f"o{number}", "consumer_id": who, "merchant_id": where, "sku_id": sku, "qty": 1.0,
            "category_l2_id": "all", "category_l3_id": "early" if sku < "m" else "late", "placed_at": at,
            "received_at": at, "superseded_at": None,
        }
        for number, (who, where, at, skus) in enumerate(orders)
        for sku in skus
    ]  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"superseded_at": pl.Datetime("us", "UTC")})


def test_a_session_is_half_a_basket_at_a_merchant_that_was_visited_before() -> None:
    before, during = AS_OF - timedelta(days=20), AS_OF - timedelta(days=3)
    history = [
        ("u", "m", before, "abc"), ("u", "m", before + timedelta(hours=1), "ab"), ("v", "m", before, "xyzx"),
        ("v", "m", before + timedelta(hours=2), "x"),
    ]  # fmt: skip
    window = [
        ("u", "m", during, "abxy"), ("u", "n", during, "abxy"), ("v", "m", during, "abc"),
        ("w", "m", during, "abcx"), ("u", "m", during, "abcq"),
    ]  # fmt: skip
    data = index_lines(lines_of(history + window), AS_OF)
    found = sessions(data, AS_OF - timedelta(days=14), AS_OF, SessionSettings())
    # Another merchant, three skus, a stranger, and a fourth sku that nobody knew are no sessions.
    (one,) = found
    assert data.consumers[one.consumer] == "u"
    assert set(one.shown) | one.rest == set("abxy")
    assert len(one.shown) == 2
    # Her own by times bought (b after a by name), then what the merchant sells most.
    assert list(one.items) == [sku for sku in "abcxyz" if sku not in one.shown]
    assert list(one.popular) == [sku for sku in "abxcyz" if sku not in one.shown]


def test_each_way_orders_as_it_says() -> None:
    one = Session(0, ("a",), frozenset("d"), tuple("bcd"), tuple("cb"))
    found = measured([one], {"a": {"d": 0.5, "e": 0.9}})
    second, third = 1 / math.log2(3), 1 / math.log2(4)
    assert {name: round(value.ndcg[0], 6) for name, value in found.items()} == {
        SESSION: 1.0,  # d: log 4 - 2 is before log 2
        AS_IT_IS: round(third, 6),
        POPULAR: 0.0,
        LINKS_ALONE: round(second, 6),  # e, which is not in the list, stands before d
    }
    assert found[SESSION].recall.tolist() == [1.0]


def shop(rng: np.random.Generator, *, pairs: bool) -> pl.DataFrame:
    """Forty consumers, each with six staples of thirty; a week's basket has four, and two of ten other skus.

    With `pairs`, two more skus go with these two; else any two.
    """
    orders = []
    own = [rng.choice(30, 6, replace=False) for _ in range(40)]
    for week in range(14):
        for user in range(40):
            first = rng.choice(10, 2, replace=False)
            other = first + 10 if pairs else 10 + rng.choice(10, 2, replace=False)
            skus = [chr(ord("a") + int(item)) for item in (*first, *other)]
            staples = [chr(0x4E00 + int(item)) for item in rng.choice(own[user], 4, replace=False)]
            orders.append((f"u{user}", "m", AS_OF - timedelta(days=7 * week + 1), "".join(skus + staples)))
    return lines_of(orders)


def test_the_gate_lets_links_serve_where_skus_go_together_and_refuses_them_where_not(tmp_path: Path) -> None:
    good = train(shop(np.random.default_rng(1), pairs=True), AS_OF, tmp_path)
    assert good is not None
    assert good.decision.promoted, good.decision.reason
    assert good.decision.baseline in RULES
    assert good.name == NAME
    links = load(good.bundle_dir)
    assert max(links.by_sku()["a"], key=links.by_sku()["a"].__getitem__) == "k"
    assert links.frame.group_by("sku_id").agg(pl.col("rank").max()).select("rank").max().item() <= 20
    bad = train(shop(np.random.default_rng(1), pairs=False), AS_OF, tmp_path / "b")
    assert bad is not None
    assert not bad.decision.promoted


def test_the_same_settings_hold_what_is_found_of_the_champion_and_others_are_judged_beside(
    tmp_path: Path,
) -> None:
    lines = shop(np.random.default_rng(1), pairs=True)
    same = train(lines, AS_OF, tmp_path, champion=SessionSettings())
    assert same is not None
    assert same.decision.champion_lift is None
    assert same.decision.champion_rule_lift == same.decision.lift
    other = train(lines, AS_OF, tmp_path, champion=SessionSettings(least_together=10**6))
    assert other is not None
    assert other.decision.champion_lift is not None
    assert other.decision.champion_lift.low > 0


def test_nineteen_consumers_judge_nothing_and_twenty_do(tmp_path: Path) -> None:
    lines = shop(np.random.default_rng(1), pairs=True)
    for number, is_judged in ((19, False), (20, True)):
        some = lines.filter(pl.col("consumer_id").is_in([f"u{user}" for user in range(number)]))
        assert (train(some, AS_OF, tmp_path) is not None) == is_judged


def test_a_bundle_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        load(tmp_path / "none")


def test_settings_are_read_back_and_unknown_words_are_refused() -> None:
    assert SessionSettings.from_dict(SessionSettings(kept=3).to_dict()) == SessionSettings(kept=3)
    with pytest.raises(TypeError):
        SessionSettings.from_dict({"keep": 3})
