"""What a training set may know: nothing later, nothing received later; any frame handed in is judged."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone

import duckdb
import polars as pl
import pytest

from benchmarks.tags.tag_oracle.world import NOW, ZONE, World, ago, connect, fill
from feature_store.errors import EntityFrameError, SourceTableError, UnknownTagError
from feature_store.offline import build_tags
from feature_store.point_in_time import training_set
from feature_store.registry import Registry

SCHEMA = {"consumer_id": pl.String, "as_of": pl.Datetime("us", "UTC")}


def entities(*rows: tuple[str, datetime]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=SCHEMA, orient="row")


def random_world(seed: int) -> World:
    rng = random.Random(seed)
    world = World()
    for sku in range(6):
        world.product(f"s{sku}", f"{'private' if sku % 2 else 'national'}-{sku % 3}")
    for number in range(12):
        consumer = f"c{number:02d}"
        world.consumer(consumer, ago(rng.uniform(0, 600)))
        for _ in range(rng.randint(0, 9)):
            at = ago(rng.uniform(-30, 500))
            line = {
                "sku_id": f"s{rng.randint(0, 5)}",
                "category_l2_id": rng.choice(["l2-a/x", "l2-a/y", "l2-b/z"]),
                "net_paid_cents": rng.randint(0, 500),
                "qty": rng.randint(1, 3),
            }
            world.order(consumer, at, [line], received_at=at + timedelta(days=rng.choice([0, 0, 3, 60])))
            world.add("fct_events", consumer_id=consumer, occurred_at=at, event_type="view", session_id="s")
            world.add(
                "fct_after_sales",
                consumer_id=consumer,
                opened_at=at,
                resolved_at=at + timedelta(days=1),
                kind="complaint",
                refund_cents=5,
            )
    return world


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("moment", [ago(100), ago(1)])
def test_deleting_the_future_changes_nothing(seed: int, moment: datetime) -> None:
    world = random_world(seed)
    before = build_tags(world.connect(), moment, time_zone=ZONE)
    after = build_tags(world.up_to(moment).connect(), moment, time_zone=ZONE)
    assert before.equals(after)
    later = [r for r in world.tables["fct_orders"] if r["received_at"] > moment]
    assert later, "the world must hold a future to delete"


def test_a_row_is_invisible_until_it_is_received() -> None:
    world = World()
    world.order("a", ago(50), net=10)
    world.order("a", ago(20), net=500, received_at=ago(5))
    moments = [ago(10), ago(5) - timedelta(microseconds=1), ago(5)]
    names = ["orders_30d", "net_spend_lifetime", "recency_days", "category_count_365d", "m_score"]
    got = training_set(world.connect(), entities(*(("a", t) for t in moments)), names)
    assert got["orders_30d"].to_list() == [0, 0, 1]
    assert got["net_spend_lifetime"].to_list() == [10, 10, 510]
    assert got["recency_days"].to_list() == [40, 44, 15]
    assert got["m_score"].to_list() == [1, 1, 1]


def versions(*, paid_at: datetime, cancelled_at: datetime) -> World:
    """An order known as paid from one moment to another and as cancelled since, beside one that stays."""
    world = World()
    world.order("a", ago(60), net=10)
    order = world.order("a", ago(50), net=500, received_at=paid_at, superseded_at=cancelled_at)
    world.order("a", ago(50), net=500, state="cancelled", order_id=order, received_at=cancelled_at)
    return world


def test_a_cancelled_order_counts_from_its_payment_until_its_cancellation() -> None:
    tick = timedelta(microseconds=1)
    world = versions(paid_at=ago(40), cancelled_at=ago(20))
    moments = [ago(40) - tick, ago(40), ago(30), ago(20) - tick, ago(20), NOW]
    names = [
        "orders_lifetime",
        "net_spend_lifetime",
        "units_per_order_365d",
        "top_category_l1_365d",
        "m_score",
    ]
    got = training_set(world.connect(), entities(*(("a", t) for t in moments)), names)
    assert got["orders_lifetime"].to_list() == [1, 2, 2, 2, 1, 1]
    assert got["net_spend_lifetime"].to_list() == [10, 510, 510, 510, 10, 10]
    assert got["units_per_order_365d"].to_list() == [1.0] * 6
    for t in (ago(30), ago(20)):
        assert build_tags(world.up_to(t).connect(), t).equals(build_tags(world.connect(), t))


def test_a_corrected_quantity_is_the_old_one_before_the_correction() -> None:
    world = World()
    order = world.order("a", ago(50), [{"qty": 9.0}], received_at=ago(40), superseded_at=ago(20))
    world.order("a", ago(50), [{"qty": 2.0}], order_id=order, received_at=ago(20))
    got = training_set(
        world.connect(), entities(("a", ago(30)), ("a", NOW)), ["units_per_order_365d", "orders_lifetime"]
    )
    assert got["units_per_order_365d"].to_list() == [9.0, 2.0]
    assert got["orders_lifetime"].to_list() == [1, 1]


def test_a_window_is_open_at_its_start_to_the_microsecond() -> None:
    """Asked alone, so that the scan itself is limited to the window."""
    world = World()
    world.order("edge", ago(30), net=1)
    world.order("inside", ago(30) + timedelta(microseconds=1), net=1)
    got = build_tags(world.connect(), NOW, ["orders_30d"])
    assert dict(got.select("consumer_id", "orders_30d").rows()) == {"edge": 0, "inside": 1}


def test_a_source_speaks_from_its_first_row_on() -> None:
    world = World()
    world.order("a", ago(50), net=1, received_at=ago(40))
    moments = entities(("a", ago(40) - timedelta(microseconds=1)), ("a", ago(40)), ("b", ago(40)))
    got = training_set(world.connect(), moments, ["orders_90d"])
    assert got["orders_90d"].to_list() == [None, 1, 0]


def test_the_population_is_who_was_known_at_the_moment() -> None:
    """To the microsecond: by event time, by receipt, and until the only order was replaced."""
    tick = timedelta(microseconds=1)
    world = World()
    world.consumer("registered", ago(40))
    world.consumer("received", ago(60), received_at=ago(40))
    world.order("replaced", ago(60), net=1, superseded_at=ago(40))
    con, names = world.connect(), ["orders_lifetime"]
    assert build_tags(con, ago(40) - tick, names)["consumer_id"].to_list() == ["replaced"]
    assert build_tags(con, ago(40), names)["consumer_id"].to_list() == ["received", "registered"]


def test_a_consumer_whose_only_order_was_deleted_is_known_until_then() -> None:
    world = World()
    world.order("gone", ago(50), net=5, received_at=ago(40), superseded_at=ago(20))
    world.order("stays", ago(50), net=5)
    assert build_tags(world.connect(), ago(30), ["orders_lifetime"])["consumer_id"].to_list() == [
        "gone",
        "stays",
    ]
    assert build_tags(world.connect(), NOW, ["orders_lifetime"])["consumer_id"].to_list() == ["stays"]


def test_rows_keep_their_order_and_may_repeat() -> None:
    world = random_world(3)
    con = world.connect()
    rows = [("c03", NOW), ("nobody", NOW), ("c01", ago(40)), ("c03", NOW)]
    got = training_set(con, entities(*rows), ["orders_lifetime", "r_score", "spend_percentile_365d"])
    assert list(zip(got["consumer_id"], got["as_of"], strict=True)) == rows
    assert got.row(0) == got.row(3)
    assert got["orders_lifetime"][1] == 0
    assert got["r_score"][1] is None


def test_chunks_do_not_change_the_result() -> None:
    con = random_world(4).connect()
    rows = entities(*((f"c{n:02d}", ago(d)) for n in range(12) for d in (0, 50)))
    names = ["orders_lifetime", "top_brand_365d", "r_score"]
    assert training_set(con, rows, names, max_joined_rows=1).equals(training_set(con, rows, names))


def test_the_batch_table_is_the_training_set_at_one_moment(registry: Registry) -> None:
    con = random_world(5).connect()
    batch = build_tags(con, NOW, time_zone=ZONE)
    rows = batch.select("consumer_id", "as_of")
    assert training_set(con, rows, time_zone=ZONE).equals(batch)
    one = build_tags(con, NOW, ids=["c05"], time_zone=ZONE)
    assert one.equals(batch.filter(pl.col("consumer_id") == "c05"))
    assert batch.columns == ["consumer_id", "as_of", *registry.tags]


def test_as_of_may_come_in_any_time_zone() -> None:
    con = random_world(6).connect()
    here = NOW.astimezone(timezone(timedelta(hours=8)))
    assert build_tags(con, here, ["orders_30d"]).equals(build_tags(con, NOW, ["orders_30d"]))


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Shanghai"])
def test_the_sessions_time_zone_does_not_matter(zone: str) -> None:
    world = random_world(7)
    expected = build_tags(world.connect(), NOW, time_zone=ZONE)
    con = world.connect()
    con.execute(f"SET TimeZone = '{zone}'")
    assert build_tags(con, NOW, time_zone=ZONE).equals(expected)


def test_empty_tables_and_no_entities() -> None:
    con = World().connect()
    assert build_tags(con, NOW).height == 0
    got = training_set(con, entities(("a", NOW)))
    assert got.height == 1
    assert [name for name in got.columns[2:] if got[name][0] is not None] == []
    assert training_set(con, entities()).height == 0
    assert training_set(con, entities()).columns == got.columns


def test_a_feed_that_starts_later_is_null_before() -> None:
    world = World()
    world.order("a", ago(50), net=10)
    world.add("fct_events", consumer_id="other", occurred_at=ago(10), event_type="view", session_id="s")
    got = training_set(world.connect(), entities(("a", ago(20)), ("a", NOW)), ["product_views_30d"])
    assert got["product_views_30d"].to_list() == [None, 0]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame({"consumer_id": ["a"]}), "lack the column 'as_of'"),
        (pl.DataFrame({"consumer_id": [1], "as_of": [NOW]}), "'consumer_id' must be String"),
        (pl.DataFrame({"consumer_id": ["a"], "as_of": [NOW.replace(tzinfo=None)]}), "'as_of' must be"),
        (pl.DataFrame({"consumer_id": ["a", None], "as_of": [NOW, NOW]}), "holds 1 null"),
    ],
)
def test_bad_entity_rows_are_refused(frame: pl.DataFrame, message: str) -> None:
    with pytest.raises(EntityFrameError, match=message):
        training_set(World().connect(), frame, ["orders_7d"])


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(EntityFrameError, match="time zone"):
        build_tags(World().connect(), datetime(2017, 1, 1))  # noqa: DTZ001


def test_unknown_tags_and_missing_tables_are_named() -> None:
    with pytest.raises(UnknownTagError, match="'orders_8d'"):
        build_tags(World().connect(), NOW, ["orders_8d"])
    frames = World().frames()
    with pytest.raises(SourceTableError, match=r"'events' cannot read core\.fct_events"):
        build_tags(connect({k: v for k, v in frames.items() if k != "fct_events"}), NOW)
    frames["fct_orders"] = frames["fct_orders"].drop("has_coupon")
    with pytest.raises(SourceTableError, match="has_coupon"):
        build_tags(connect(frames), NOW, ["coupon_order_share_365d"])


def test_a_read_only_warehouse_is_enough(tmp_path: object) -> None:
    path = f"{tmp_path}/warehouse.duckdb"
    with duckdb.connect(path) as con:
        fill(con, random_world(8).frames())
    with duckdb.connect(path, read_only=True) as con:
        built = build_tags(con, NOW.astimezone(UTC), ["orders_lifetime"])
    assert built["orders_lifetime"].sum() > 0
