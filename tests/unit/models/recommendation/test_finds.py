"""Discovery through its door: what it finds, what it never lists, and when popularity serves."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from recommendation_panels import at, lines, simulated

from models.data import Purchases
from models.recommendation.config import AlsParams, EaseParams, RecommendationConfig
from models.recommendation.judging.evaluation import widest_of_the_best
from models.recommendation.rankers.finds import Discovery, Popularity, load

CONFIG = RecommendationConfig(
    als_grid=(AlsParams(factors=8, regularisation=1.0, iterations=4, min_buyers=1),),
    ease=EaseParams(regularisation=5.0, min_buyers=2),
    trend_powers=(0.0, 0.5),
)
NAMES = {"item_id": "sku_id", "at": "placed_at", "basket_id": "order_id", "category_id": "category_l2_id"}


def purchases(rows: pl.DataFrame) -> Purchases:
    return Purchases.from_frame(rows, NAMES)


def last(found: Purchases) -> datetime:
    moment = found.frame["at"].max()
    assert isinstance(moment, datetime)
    return moment


def test_taste_is_found_where_popularity_finds_none() -> None:
    known = purchases(simulated(skus=240, days=70))
    users = sorted(known.frame["consumer_id"].unique().to_list())
    fitted = Discovery(CONFIG).fit(known, last(known))
    assert fitted.finding.factors is not None
    taste = []
    for user, ranked in zip(users, fitted.rank(users, 5), strict=True):
        # A consumer buys from every third sku only.
        taste += [int(sku[1:]) % 3 == int(user[1:]) % 3 for sku in ranked]
    popular = Popularity().fit(known, last(known)).rank(users, 5)
    by_rule = [
        int(sku[1:]) % 3 == int(user[1:]) % 3 for user, r in zip(users, popular, strict=True) for sku in r
    ]
    assert sum(by_rule) / len(by_rule) < 0.5
    assert sum(taste) / len(taste) > 0.9


def test_nothing_bought_is_listed_nothing_outside_and_nothing_of_the_future(tmp_path: Path) -> None:
    everything = purchases(simulated(days=160))
    fitted = Discovery(CONFIG).fit(everything, at(150))
    assert fitted.rank(["c00", "c31"], 8) == Discovery(CONFIG).fit(everything.until(at(150)), at(150)).rank(
        ["c00", "c31"], 8
    )
    inside = ["a000", "b001", "c002", "d003", "e004", "never"]
    for user, ranked in zip(["c00", "c01"], fitted.rank(["c00", "c01"], 5, within=inside), strict=True):
        mine = everything.until(at(150)).frame.filter(pl.col("consumer_id") == user)["item_id"].to_list()
        assert set(ranked) == set(inside[:-1]) - set(mine)
    fitted.save(tmp_path / "d")
    assert load(tmp_path / "d").rank(["c00", "nobody"], 6) == fitted.rank(["c00", "nobody"], 6)


def test_returns_after_the_held_out_time_began_do_not_choose() -> None:
    known = purchases(simulated(skus=240, days=70))
    until = last(known)
    old = known.frame.filter(pl.col("at") < until - timedelta(days=50))
    back = old.with_columns(at=pl.lit(until).cast(old.schema["at"]), quantity=-pl.col("quantity"))
    without = Discovery(CONFIG).fit(known, until)
    fitted = Discovery(CONFIG).fit(Purchases(pl.concat([known.frame, back])), until)
    assert fitted.finding.factors is not None
    for name in ("als", "power", "weights"):
        assert getattr(fitted.finding, name) == getattr(without.finding, name)
    kept = fitted.interactions.until(until).height
    assert kept == without.interactions.until(until).height - old.height


@pytest.mark.parametrize("consumers", [3, 30])
def test_where_tastes_are_alike_popularity_serves(consumers: int) -> None:
    rows = [
        (f"u{n:02d}", "m", 100 + day + n / 100, f"a{(n * 7 + day) % 20:02d}")
        for n in range(consumers)
        for day in range(0, 40, 4)
    ]
    known = purchases(lines(rows))
    users = sorted(known.frame["consumer_id"].unique().to_list())
    fitted = Discovery(CONFIG).fit(known, last(known))
    assert fitted.finding.factors is None
    assert fitted.rank(users, 4) == Popularity().fit(known, last(known)).rank(users, 4)


def test_popularity_by_hand() -> None:
    known = purchases(
        lines([("u", "m", 100, "a b"), ("v", "m", 101, "b c"), ("w", "m", 102, "b c d"), ("x", "m", 60, "e")])
    )
    fitted = Popularity().fit(known, last(known))
    # Buyers of 28 days: b 3, c 2, a 1, d 1; e is too old.
    assert fitted.rank(["u", "x", "nobody"], 3) == [["c", "d"], ["b", "c", "a"], ["b", "c", "a"]]


def test_the_widest_of_what_cannot_be_told_from_the_best_is_taken() -> None:
    best = np.array([0.5, 0.4, 0.6, 0.5])
    noisy = best + np.array([0.3, -0.4, 0.2, -0.2])  # behind by .025, standard error .145
    worse = best - np.array([0.2, 0.21, 0.2, 0.19])  # behind by .2 for everybody
    assert widest_of_the_best([best, noisy, worse], [0.1, 0.2, 0.9]) == 1
    assert widest_of_the_best([best, noisy, worse], [0.2, 0.1, 0.9]) == 0
    assert widest_of_the_best([best, best], [0.1, 0.1]) == 0
    assert widest_of_the_best([np.zeros(0)] * 2, [0.0, 0.5]) == 0
