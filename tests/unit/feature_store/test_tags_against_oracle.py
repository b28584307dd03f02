"""The compiled tags against plain Python loops, on random worlds."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from benchmarks.tags.tag_oracle.compare import differences, same
from benchmarks.tags.tag_oracle.loops import Oracle
from benchmarks.tags.tag_oracle.world import NOW, OFFSET, ZONE, World, ago
from feature_store.offline import build_tags, validate_tags
from feature_store.point_in_time import training_set

CATEGORIES = ["l2-a/x", "l2-a/y", "l2-b/x", "l2-b/y", "l2-c/x"]
SKUS = [f"s{number}" for number in range(8)]
BRANDS = ["national-1", "private-2", None, "national-3"]
_NO_DISCOUNT = {"promo_discount_cents": 0, "coupon_discount_cents": 0}
THEMES = [None, "pet", "mother_baby", "health_food", "beauty"]

lines = st.fixed_dictionaries(
    {
        "sku_id": st.sampled_from(SKUS),
        "category_l2_id": st.sampled_from(CATEGORIES),
        "qty": st.sampled_from([0.345, 1.0, 2.0, 4.0]),
        "net_paid_cents": st.sampled_from([0, 50, 100, 100, 250, 999, 120_000]),
        "promo_discount_cents": st.sampled_from([0, 0, 30]),
        "coupon_discount_cents": st.sampled_from([0, 0, 0, 20]),
        "is_merchandise": st.sampled_from([True, True, True, False]),
        "is_on_display": st.sampled_from([False, False, True]),
    }
)
orders = st.tuples(
    st.sampled_from(["c1", "c2", "c3", "c4"]),
    st.one_of(  # hours before NOW: whole days sit exactly on window edges
        st.sampled_from([24 * d for d in (0, 7, 30, 60, 90, 120, 180, 365, 400)]),
        st.integers(0, 24 * 800),
    ),
    st.sampled_from([0, 0, 0, 5, 24 * 40]),  # hours from the order to its receipt
    st.sampled_from(["paid", "paid", "paid", "paid", "cancelled", "unpaid", "refunded"]),
    st.sampled_from(["m1", "m2"]),
    st.lists(lines, min_size=1, max_size=4, unique_by=lambda line: line["sku_id"]),
    st.sampled_from([None, None, None, 0, 3, 100]),  # days until a credit note
)


def world_of(drawn: list[tuple[Any, ...]]) -> World:
    world = World()
    for number, sku in enumerate(SKUS):
        world.product(sku, BRANDS[number % len(BRANDS)], THEMES[number % len(THEMES)])
    for consumer in ("c1", "c2", "c3", "c4", "silent"):
        world.consumer(consumer, ago(500))
    for consumer, hours, late, state, merchant, content, given_back in drawn:
        at = ago(hours / 24)
        world.order(
            consumer,
            at,
            [line | {"category_l1_id": line["category_l2_id"].split("/")[0]} for line in content],
            state=state,
            merchant_id=merchant,
            received_at=at + timedelta(hours=late),
        )
        if given_back is not None:  # a credit note, some days after the order
            world.order(
                consumer,
                at + timedelta(days=given_back),
                [content[0] | {"qty": -1.0, "net_paid_cents": -content[0]["net_paid_cents"]} | _NO_DISCOUNT],
                merchant_id=merchant,
            )
        if state == "paid" and content[0]["coupon_discount_cents"]:
            world.add("fct_coupon_redemptions", consumer_id=consumer, redeemed_at=at)
    return world


MOMENTS = [NOW, ago(30), ago(200)]


@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # an example costs a second: shrinking would take minutes
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(orders, max_size=25))
def test_tags_agree_with_plain_loops(drawn: list[tuple[Any, ...]]) -> None:
    world = world_of(drawn)
    oracle = Oracle(world.tables, OFFSET)
    entities = pl.DataFrame(
        [(c, t) for t in MOMENTS for c in ("c1", "c2", "c3", "c4", "silent", "stranger")],
        schema={"consumer_id": pl.String, "as_of": pl.Datetime("us", "UTC")},
        orient="row",
    )
    con = world.connect()
    got = training_set(con, entities, time_zone=ZONE)
    population = {t: oracle.population(t) for t in MOMENTS}
    wrong = {}
    for row in got.iter_rows(named=True):
        consumer, t = row["consumer_id"], row["as_of"]
        expected = oracle.personal(t, consumer) | oracle.redemptions(t, consumer)
        expected |= population[t].get(consumer, {})
        if found := differences(row, expected):
            wrong[consumer, t] = found
    assert wrong == {}
    assert validate_tags(got) == []
    for t in MOMENTS:
        batch = build_tags(con, t, time_zone=ZONE)
        known = got.filter(pl.col("as_of") == t, pl.col("consumer_id").is_in(batch["consumer_id"].implode()))
        assert batch.equals(known.sort("consumer_id"))


@pytest.mark.slow
def test_a_hundred_thousand_training_rows_agree_with_plain_loops() -> None:
    rng = random.Random(11)
    world = World()
    start = datetime(2016, 1, 1, tzinfo=UTC)
    for number in range(500):
        for _ in range(rng.randint(0, 14)):
            at = start + timedelta(minutes=rng.randint(0, 700 * 24 * 60))
            late = timedelta(hours=rng.choice([0, 0, 1, 24 * 10]))
            world.order(f"c{number}", at, net=rng.randint(0, 20_000), received_at=at + late)
    rows = [
        (f"c{rng.randint(0, 520)}", start + timedelta(minutes=rng.randint(0, 720 * 24 * 60)))
        for _ in range(100_000)
    ]
    schema = {"consumer_id": pl.String, "as_of": pl.Datetime("us", "UTC")}
    oracle = Oracle(world.tables, OFFSET)
    names = [*oracle.rfm(NOW, "c1"), *oracle.lifecycle(NOW, "c1")]
    names = [n for n in names if n not in ("units_per_order_365d", "unit_price_median_365d")]
    got = training_set(
        world.connect(),
        pl.DataFrame(rows, schema=schema, orient="row"),
        names,
        time_zone=ZONE,
        max_joined_rows=200_000,
    )
    first_seen = min(max(r["placed_at"], r["received_at"]) for r in world.tables["fct_orders"])
    mismatches = 0
    for consumer, t, *values in got.iter_rows():
        expected = oracle.rfm(t, consumer) | oracle.lifecycle(t, consumer)
        for name, value in zip(names, values, strict=True):
            mismatches += not same(value, expected[name] if t >= first_seen else None)
    assert got.height == 100_000
    assert mismatches == 0


def test_same_compares_dates_and_numbers() -> None:
    assert same(1.0 + 1e-13, 1.0)
    assert not same(1.0 + 1e-6, 1.0)
    assert not same(None, 0.0)
    assert same(date(2017, 1, 1), date(2017, 1, 1))
