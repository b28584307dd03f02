"""Matching before it learns: what was known, who is alike, which skus come into question."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from assortment_world import DAY, NOW, lines, merchants, products
from hypothesis import given, settings
from hypothesis import strategies as st

from models.supply.assortment.candidates import best, candidates, nearest, signals
from models.supply.assortment.config import AssortmentConfig
from models.supply.assortment.features import FEATURES, pair_features
from models.supply.assortment.history import World, history
from models.supply.assortment.vectors import _orthonormal, vectors

SMALL = AssortmentConfig(least_skus=2, factors=4, neighbours=2, popular=5, similar=5, near=5, unsold=2)


def looked(world, at=NOW, config=SMALL):
    past = history(world, at, config)
    told = signals(past, vectors(past, config), config)
    return past, told, candidates(told, config)


def named(world, past, pairs):
    who, what = world.merchants["merchant_id"].to_list(), world.products["sku_id"].to_list()
    return {(who[past.asked[m]], what[s]) for m, s in zip(pairs.merchant, pairs.sku, strict=True)}


def test_a_moment_sees_nothing_of_later():
    world = World.of(
        lines(("m1", "a1", "c1", 10), ("m1", "a2", "c1", 5), ("m1", "a3", "c1", 1)),
        products(["a1", "a2", "a3"]),
        merchants(m1="general"),
    )
    assert history(world, NOW, SMALL).rows.height == 3
    at_five = history(world, NOW - 5 * DAY, SMALL)
    assert at_five.rows["age_days"].to_list() == [5.0, 0.0]
    assert at_five.started.nnz == 2


def test_what_was_received_later_or_superseded_is_not_seen():
    told = lines(("m1", "a1", "c1", 10), ("m1", "a2", "c1", 10)).with_columns(
        received_at=pl.Series([NOW - 9 * DAY, NOW - 2 * DAY]),
        superseded_at=pl.Series([NOW - 3 * DAY, None], dtype=pl.Datetime("us", "UTC")),
    )
    world = World.of(told, products(["a1", "a2"]), merchants(m1="general"))
    assert history(world, NOW - 5 * DAY, SMALL).rows["sku"].to_list() == [0]
    assert history(world, NOW - timedelta(days=2.5), SMALL).rows.height == 0
    assert history(world, NOW, SMALL).rows["sku"].to_list() == [1]


def test_a_merchant_is_asked_from_the_least_number_of_skus_on():
    world = World.of(
        lines(("m1", "a1", "c1", 1), ("m1", "a2", "c1", 1), ("m2", "a1", "c1", 1), ("m2", "a1", "c2", 2)),
        products(["a1", "a2"]),
        merchants(m1="general", m2="general"),
    )
    assert history(world, NOW, SMALL).asked.tolist() == [0]
    assert history(world, NOW, replace(SMALL, least_skus=1)).asked.tolist() == [0, 1]


def test_what_a_merchant_sold_or_has_on_sale_is_no_candidate():
    world = World.of(
        lines(
            ("m1", "a1", "c1", 1), ("m1", "a2", "c1", 1),
            ("m2", "a1", "c2", 1), ("m2", "a2", "c2", 1), ("m2", "a3", "c2", 1), ("m2", "a4", "c2", 1),
        ),
        products(["a1", "a2", "a3", "a4"]),
        merchants(m1="general", m2="general"),
        pl.DataFrame(
            {"merchant_id": ["m1"], "sku_id": ["a4"], "first_listed_at": [NOW - DAY]},
            schema_overrides={"first_listed_at": pl.Datetime("us", "UTC")},
        ),
    )  # fmt: skip
    past, _, pairs = looked(world)
    assert named(world, past, pairs) == {("m1", "a3")}
    past, _, pairs = looked(world, NOW - timedelta(hours=30), replace(SMALL, least_skus=1))
    assert named(world, past, pairs) == set()


def test_popular_is_told_by_merchants_of_the_scene():
    world = World.of(
        lines(
            ("m1", "a1", "c1", 1), ("m1", "a2", "c1", 1),
            ("m2", "a1", "c2", 1), ("m2", "a3", "c2", 1),
            ("m3", "a1", "c3", 1), ("m3", "a4", "c3", 1), ("m3", "a4", "c4", 30),
        ),
        products(["a1", "a2", "a3", "a4"]),
        merchants(m1="community", m2="community", m3="general"),
    )  # fmt: skip
    _, told, _ = looked(world)
    community, general = told.popular
    assert community.tolist() == pytest.approx([2 + 3e-3, 1 + 1e-3, 1 + 1e-3, 1e-3])
    assert general.tolist() == pytest.approx([1 + 3e-3, 1e-3, 1e-3, 1 + 1e-3])


def test_neighbours_are_those_with_the_same_rare_skus():
    world = World.of(
        lines(
            *[(m, "a1", "c1", 1) for m in ("m1", "m2", "m3", "m4")],
            ("m1", "b1", "c1", 1), ("m2", "b1", "c1", 1), ("m3", "b2", "c1", 1), ("m4", "b3", "c1", 1),
        ),
        products(["a1", "b1", "b2", "b3"]),
        merchants(m1="general", m2="general", m3="general", m4="general"),
    )  # fmt: skip
    _, told, _ = looked(world, config=replace(SMALL, neighbours=1))
    assert told.neighbours[0].indices.tolist() == [1]
    common, rare = np.log1p(4 / 4) ** 2, np.log1p(4 / 2) ** 2
    assert told.neighbours[0, 1] == pytest.approx(1.0)
    _, wide, _ = looked(world, config=replace(SMALL, neighbours=4))
    alone = np.log1p(4 / 1) ** 2
    cosine = common / np.sqrt((common + rare) * (common + alone))
    assert wide.neighbours[0, 2] == pytest.approx(cosine**2, rel=1e-5)
    assert wide.neighbours[0, 0] == 0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), most=st.integers(1, 9), n_skus=st.integers(1, 60))
def test_the_nearest_are_those_of_a_full_sort(seed, most, n_skus):
    rng = np.random.default_rng(seed)
    demand = rng.integers(-3, 4, (3, 4)).astype(np.float32)
    goods = rng.integers(-3, 4, (n_skus, 4)).astype(np.float32)
    among = np.flatnonzero(rng.random(n_skus) < 0.8)
    has = [np.flatnonzero(rng.random(n_skus) < 0.3) for _ in range(3)]
    for row, found in enumerate(nearest(demand, goods, among, has, most)):
        scores = demand[row] @ goods.T
        free = [sku for sku in among.tolist() if sku not in set(has[row].tolist())]
        expected = sorted(free, key=lambda sku: (-scores[sku], sku))[:most]
        assert found.tolist() == sorted(expected)


def test_blocks_give_what_one_product_gives(monkeypatch):
    rng = np.random.default_rng(5)
    demand, goods = rng.standard_normal((7, 3)).astype("f4"), rng.standard_normal((500, 3)).astype("f4")
    has = [np.arange(row, 500, 7) for row in range(7)]
    whole = nearest(demand, goods, np.arange(500), has, 20)
    monkeypatch.setattr("models.supply.assortment.candidates._BLOCK", 33)
    monkeypatch.setattr("models.supply.assortment.candidates._MERCHANTS", 3)
    cut = nearest(demand, goods, np.arange(500), has, 20)
    assert [one.tolist() for one in cut] == [one.tolist() for one in whole]


def test_best_breaks_ties_by_place():
    values = np.array([1, 3, 3, 2, 3], np.float32)
    assert best(values, np.arange(5), 2).tolist() == [1, 2]
    assert best(values, np.array([0, 3]), 5).tolist() == [3, 0]


def test_a_sku_that_nobody_bought_stands_where_its_kind_stands():
    rows = [(m, f"a{n}", f"ca{n % 3}", 3) for m in ("m1", "m2") for n in range(6)]
    rows += [(m, f"b{n}", f"cb{n % 3}", 3) for m in ("m3", "m4") for n in range(6)]
    world = World.of(
        lines(*rows),
        products([*(f"a{n}" for n in range(7)), *(f"b{n}" for n in range(7))]),
        merchants(m1="general", m2="general", m3="general", m4="general"),
    )
    past, told, pairs = looked(world)
    skus = world.products["sku_id"].to_list()
    new_a, new_b = skus.index("a6"), skus.index("b6")
    assert told.vectors.unsold.tolist() == [new_a, new_b]
    of_m1 = told.vectors.demand[0] @ told.vectors.goods.T
    assert of_m1[new_a] > of_m1[new_b]
    assert ("m1", "a6") in named(world, past, pairs)


def test_orthonormal_columns_span_the_same_and_drop_what_is_not_there():
    rng = np.random.default_rng(1)
    tall = rng.standard_normal((50, 3)).astype("f4")
    doubled = np.column_stack([tall, tall[:, 0]])
    basis = _orthonormal(doubled)
    assert basis.shape == (50, 3)
    assert basis.T @ basis == pytest.approx(np.eye(3), abs=1e-4)
    assert basis @ (basis.T @ tall) == pytest.approx(tall, abs=1e-3)


def test_features_of_a_pair_by_hand():
    world = World.of(
        lines(
            ("m1", "a1", "c1", 1), ("m1", "b1", "c1", 2), ("m1", "a1", "c1", 3), ("m2", "a1", "c2", 1),
            ("m2", "a2", "c2", 10, 4.0), ("m2", "a2", "c3", 40), ("m2", "a2", "c3", 70),
        ),
        products(["a1", "a2", "b1"]),
        merchants(m1="general", m2="general"),
    )  # fmt: skip
    past, told, pairs = looked(world)
    values = pair_features(told, pairs, SMALL)
    place = next(n for n in range(len(pairs.sku)) if past.asked[pairs.merchant[n]] == 0 and pairs.sku[n] == 1)
    row = dict(zip(FEATURES, values[place].tolist(), strict=True))
    assert row["merchants"] == 1
    assert row["merchants_late"] == 1
    assert row["lines"] == 2
    assert row["qty_per_line"] == 2.5
    assert (row["days_since_first"], row["days_since_last"]) == (70, 10)
    assert row["own_lines"] == 3
    assert row["own_repeat_share"] == 0.5
    assert row["repeat_share"] == 0.5
    assert row["share_category_l2_id"] == pytest.approx(2 / 3)
    assert row["expected_category_l2_id"] == pytest.approx(2 * 2 / 5)
    assert row["cover_category_l2_id"] == 0.5
    assert row["price_gap"] == pytest.approx(0.0)
    assert np.isnan(row["season"])
    assert row["similar_lines"] == pytest.approx(2 * row["similar_merchants"])


def test_season_is_the_part_of_the_year_that_the_window_had():
    rows = [("m1", "a1", f"c{n}", 370 - n) for n in range(0, 40, 2)]
    rows += [("m1", "b1", "c", ago) for ago in range(1, 365, 7)]
    rows += [("m1", "a1", "c", 5), ("m2", "a1", "c", 5), ("m2", "a2", "c", 5), ("m2", "b1", "c", 5)]
    world = World.of(lines(*rows), products(["a1", "a2", "b1"]), merchants(m1="general", m2="general"))
    past, told, pairs = looked(world)
    values = pair_features(told, pairs, SMALL)
    place = next(n for n in range(len(pairs.sku)) if past.asked[pairs.merchant[n]] == 0)
    # Of the 17 lines of a that are younger than 365 days and the 3 of these days, 17 lie in the window.
    assert values[place, FEATURES.index("season")] == pytest.approx(17 / (20 * 56 / 365), rel=0.02)


@pytest.mark.parametrize(
    ("field", "value"),
    [("window_days", 0), ("list_length", -1), ("most_of_category", 1.5), ("new_slots", 60)],
)
def test_settings_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        AssortmentConfig(**{field: value})


def test_settings_go_there_and_back():
    config = AssortmentConfig(seed=3)
    assert AssortmentConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ValueError, match="unknown settings of matching: sale"):
        AssortmentConfig.from_dict({"sale": 1})
