"""The next-basket family through its door: what it learns, what it may list, and when the rule serves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data import Purchases
from models.errors import BundleError
from models.recommendation.config import TifuParams
from models.recommendation.nextbasket.family import RULE, NextBasket, TopFrequency, load
from models.recommendation.nextbasket.history import Catalogue
from models.recommendation.nextbasket.settings import BoosterParams, NextBasketSettings, UpcfParams
from models.recommendation.rankers.finds import as_interactions

START = datetime(2026, 1, 1, tzinfo=UTC)
SMALL = NextBasketSettings(
    tifu_grid=(TifuParams(groups=3, min_buyers=1), TifuParams(groups=7, min_buyers=1)),
    neighbours=(10,),
    own_weights=(0.2, 0.7),
    upcf_grid=(UpcfParams(5, neighbours=20),),
    tuning_consumers=(40,),
    booster=BoosterParams(rounds=15, leaves=4, min_rows_a_leaf=10),
    candidates=12,
)


def bought(rows: list[tuple[str, float, str]]) -> Purchases:
    """Baskets as (consumer, day, "item item ...")."""
    lines = [(user, item, START + timedelta(days=day)) for user, day, items in rows for item in items.split()]
    return Purchases.from_frame(pl.DataFrame(lines, schema=["consumer_id", "item_id", "at"], orient="row"))


def alternating(consumers: int = 60, days: int = 12, seed: int = 1) -> Purchases:
    """Each consumer's item of the day follows from the day before: a, b, c, a, ...; noise beside it."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(consumers):
        for day in range(days):
            turn = "abc"[(user + day) % 3]
            rows.append((f"u{user:02d}", float(day), f"{turn}{user % 4} n{rng.integers(30)}"))
    return bought(rows)


def hit_rate(ranker, purchases: Purchases, day: int) -> float:
    users = sorted(purchases.frame["consumer_id"].unique().to_list())
    lists = ranker.rank(users, 1)
    right = [
        one[0] == f"{'abc'[(int(u[1:]) + day) % 3]}{int(u[1:]) % 4}"
        for u, one in zip(users, lists, strict=True)
    ]
    return float(np.mean(right))


def test_a_rhythm_is_learnt_that_counting_cannot_see() -> None:
    purchases = alternating()
    until = START + timedelta(days=11)
    # Over twelve days all three turns of a consumer are equally frequent: the rule cannot tell them apart.
    rule = hit_rate(TopFrequency().fit(purchases, until), purchases, 12)
    fitted = NextBasket(SMALL).fit(purchases, until)
    assert fitted.choice.weights[0] > 0
    assert fitted.choice.values[RULE] < max(fitted.choice.values.values())
    assert rule < 0.6
    assert hit_rate(fitted, purchases, 12) > 0.95


def test_where_nothing_beats_the_rule_the_rule_is_served() -> None:
    rng = np.random.default_rng(4)
    rows = [
        (f"u{user:02d}", float(day), " ".join(f"i{item}" for item in rng.choice(40, 3, replace=False)))
        for user in range(60)
        for day in range(6)
    ]
    purchases = bought(rows)
    until = START + timedelta(days=5)
    fitted = NextBasket(SMALL).fit(purchases, until)
    assert fitted.choice.weights == (0.0, 0.0, 0.0)
    users = [f"u{user:02d}" for user in range(60)]
    assert fitted.rank(users, 10) == TopFrequency().fit(purchases, until).rank(users, 10)


def test_the_rule_by_hand() -> None:
    purchases = bought([("u", 0, "a b"), ("u", 1, "b"), ("v", 0, "c"), ("v", 1, "c a"), ("w", 2, "c d e")])
    fitted = TopFrequency().fit(purchases, START + timedelta(days=9))
    # Popularity: c 3, a 2, b 2, d 1, e 1; equal ones by name.
    assert fitted.rank(["u", "v", "nobody"], 4) == [
        ["b", "a", "c", "d"],
        ["c", "a", "b", "d"],
        ["c", "a", "b", "d"],
    ]
    assert fitted.rank(["u", "nobody"], 3, within=["a", "e", "never"]) == [["a", "e"], ["a", "e"]]
    assert fitted.rank(["u"], 2, within=[]) == [[]]
    assert fitted.rank([], 2) == []


@pytest.mark.parametrize("horizon", [None, 2.0])
def test_lists_keep_to_the_assortment_and_do_not_see_the_future(horizon: float | None) -> None:
    settings = NextBasketSettings.from_dict(SMALL.to_dict() | {"horizon_days": horizon})
    known, until = alternating(), START + timedelta(days=11)
    later = pl.concat([known.frame, bought([("u00", 20, "z"), ("new", 21, "z")]).frame])
    users = ["u00", "u07", "new", "u07"]
    one = NextBasket(settings).fit(known, until)
    other = NextBasket(settings).fit(Purchases(later), until)
    assert any(one.choice.weights)
    assert one.rank(users, 8) == other.rank(users, 8)
    inside = ["a0", "b0", "c3", "n1", "n2", "n3", "z"]
    for ranked in one.rank(users, 5, within=inside):
        assert len(ranked) == len(set(ranked)) == 5
        assert set(ranked) <= set(inside) - {"z"}
    assert one.rank(users, 8)[1] == one.rank(users, 8)[3]


def test_saved_and_loaded_it_says_the_same(tmp_path: Path) -> None:
    purchases, until = alternating(), START + timedelta(days=11)
    users = ["u00", "u31", "stranger"]
    for family in (NextBasket(SMALL), TopFrequency()):
        fitted = family.fit(purchases, until)
        fitted.save(tmp_path / family.name)
        assert load(tmp_path / family.name).rank(users, 6) == fitted.rank(users, 6)
    (tmp_path / "next_basket" / "items.parquet").unlink()
    with pytest.raises(BundleError, match="items"):
        load(tmp_path / "next_basket")


def test_one_basket_each_leaves_nothing_to_hold_out_and_the_rule_serves() -> None:
    purchases = bought([(f"u{user}", 0, "a b") for user in range(50)])
    fitted = NextBasket(SMALL).fit(purchases, START)
    assert fitted.choice.weights == (0.0, 0.0, 0.0)
    assert fitted.rank(["u1"], 2) == [["a", "b"]]


def test_what_came_back_was_never_bought() -> None:
    lines = pl.DataFrame(
        {"consumer_id": ["u", "u", "u"], "item_id": ["a", "b", "a"], "quantity": [1, 1, -1],
         "at": [START, START, START + timedelta(days=1)]}
    )  # fmt: skip
    catalogue = Catalogue.of(Purchases.from_frame(lines), START + timedelta(days=2))
    assert catalogue.kept().items == ["b"]
    assert catalogue.rows["gone"].to_list() == [START + timedelta(days=1), None]


def lines_of(*rows: tuple[str, str, int, int]) -> Purchases:
    """(consumer, item, day, pieces), a basket a day."""
    users, items, days, pieces = zip(*rows, strict=True)
    at = [START + timedelta(days=day) for day in days]
    return Purchases.from_frame(
        pl.DataFrame({"consumer_id": users, "item_id": items, "at": at, "quantity": pieces})
    )


def named(catalogue: Catalogue, rows: pl.DataFrame) -> set[tuple[str, str, datetime]]:
    return {
        (catalogue.users[user], catalogue.items[item], at)
        for user, item, at in rows.select("user", "item", "at").iter_rows()
    }


def test_a_history_holds_what_came_back_after_it() -> None:
    """u sends a back on day 6: on day 5 that was not known; b is sent back before, c of the window after."""
    known = lines_of(
        ("u", "a", 0, 1), ("u", "a", 6, -1), ("u", "b", 1, 2), ("u", "b", 4, -2),
        ("u", "d", 2, 2), ("u", "d", 8, -1), ("u", "c", 6, 1), ("u", "c", 7, -1), ("u", "e", 7, 1),
    )  # fmt: skip
    catalogue = Catalogue.of(known, START + timedelta(days=9))
    before, truth = catalogue.window(START + timedelta(days=5), 3)
    assert {item for _, item, _ in named(catalogue, before)} == {"a", "d"}
    assert [catalogue.items[item] for item in truth.indices] == ["e"]
    assert catalogue.kept().items == ["d", "e"]
    # The basket of day 7 is the last; what came back on day 6 is known before it, c comes back with it.
    rows, last = catalogue.without_last()
    assert {item for _, item, _ in named(catalogue, rows)} == {"c", "d"}
    assert [catalogue.items[item] for item in last.indices] == ["e"]


@pytest.mark.parametrize("horizon", [2.0, None])
def test_returns_after_the_held_out_time_began_do_not_choose(horizon: float | None) -> None:
    settings = NextBasketSettings.from_dict(SMALL.to_dict() | {"horizon_days": horizon})
    known, until = alternating(), START + timedelta(days=11)
    # What nobody bought again after day 3: with 2 days ahead the older of two windows begins on day 7.
    pair = ["consumer_id", "item_id"]
    old = known.frame.filter(pl.col("at").max().over(pair) < START + timedelta(days=3))
    old = old.filter(pl.len().over(pair) == 1)
    assert old.height > 20
    back = old.with_columns(at=pl.lit(until).cast(old.schema["at"]), quantity=-pl.col("quantity"))
    family = NextBasket(settings)
    without = family.fit(known, until)
    fitted = family.fit(Purchases(pl.concat([known.frame, back])), until)
    assert any(without.choice.weights)
    assert fitted.choice == without.choice
    assert fitted.catalogue.rows.height == without.catalogue.rows.height - old.height


LINES = st.lists(
    st.tuples(
        st.sampled_from("uv"), st.sampled_from("abc"), st.integers(0, 9), st.integers(-2, 2).filter(bool)
    ),
    min_size=1,
    max_size=20,
)


@given(LINES, st.integers(0, 9))
def test_histories_before_a_cut_are_those_that_were_known_there(lines: list, day: int) -> None:
    """The library's two doors against purchases that end at the cut."""
    known, until, origin = lines_of(*lines), START + timedelta(days=10), START + timedelta(days=day)
    net = known.until(origin).net().frame.select("consumer_id", "item_id", "at").rows()
    catalogue = Catalogue.of(known, until)
    before, _ = catalogue.window(origin, 2)
    assert named(catalogue, before) == set(net)
    data = as_interactions(known, until)
    seen = data.until(origin)
    found = {
        (data.consumers[user], data.skus[item], at)
        for user, item, at in seen.select("user", "item", "at").iter_rows()
    }
    assert found == set(net)
    assert seen.height == len(found)


def test_held_out_and_histories_by_hand() -> None:
    catalogue = Catalogue.of(
        bought([("u", 0, "a b"), ("u", 3, "a"), ("u", 5, "c"), ("v", 1, "b")]), START + timedelta(days=9)
    )
    rows, truth = catalogue.without_last()
    assert truth.toarray().tolist() == [[0, 0, 1], [0, 0, 0]]
    history = catalogue.history(rows, None)
    assert history.user.tolist() == [0, 0, 0, 1]
    assert history.item.tolist() == [0, 0, 1, 1]
    assert history.place.tolist() == [1, 0, 1, 0]
    assert history.total.tolist() == [2, 2, 2, 1]
    assert history.age.tolist() == [3, 0, 3, 0]
    assert history.shares(1).toarray().tolist() == [[1, 0, 0], [0, 1, 0]]
    assert history.shares(5).toarray().tolist() == [[1, 0.5, 0], [0, 1, 0]]
    before, window = catalogue.window(START + timedelta(days=3), 2)
    assert before.height == 4
    assert window.toarray().tolist() == [[0, 0, 1], [0, 0, 0]]
    assert catalogue.history(before, START + timedelta(days=4)).age.tolist() == [4, 1, 4, 3]


def test_settings_that_cannot_be_are_refused() -> None:
    assert NextBasketSettings.from_dict(SMALL.to_dict()) == SMALL
    with pytest.raises(ValueError, match="grid is empty"):
        NextBasketSettings(own_weights=())
    with pytest.raises(ValueError, match="horizon_days"):
        NextBasketSettings(horizon_days=0)
