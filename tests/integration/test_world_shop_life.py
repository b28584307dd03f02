"""What real shops have, through the whole graph, beside values worked out by hand (`DAY_OF_LIFE`)."""

import datetime as dt

import duckdb
import polars as pl
import pytest
from tiny_world import AS_OF, DAY_OF_LIFE, MEMBERS
from tiny_world import world as world_rows

from feature_store.offline import build_tags
from pipelines.lake.tables import Lake

pytestmark = pytest.mark.xdist_group("world")

ORDERS = [
    # order, state, is a sale, is a guest's, sold, returned, net sales
    ("x-bought", "paid", True, False, 1000, 0, 1000),
    ("x-cancelled", "cancelled", False, False, 0, 0, 0),
    ("x-guest", "paid", True, True, 340, 0, 340),
    ("x-late", "paid", True, False, 740, 0, 740),
    ("x-refunded", "refunded", False, False, 0, 0, 0),
    ("x-returned", "paid", False, False, 0, 500, -500),
    ("x-unpaid", "unpaid", False, False, 0, 0, 0),
]


@pytest.fixture(scope="module")
def warehouse(world, first):
    with duckdb.connect(str(world.home / "warehouse" / "muyun.duckdb"), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


@pytest.fixture(scope="module")
def lake(world, first):
    return Lake(world.home / "lake")


def test_every_order_of_the_day_is_what_it_is(warehouse):
    found = warehouse.execute(
        "select order_id, state, is_sale, is_guest, sold_cents, returned_cents, net_sales_cents "
        "from core.fct_orders where order_id like 'x-%' order by order_id"
    ).fetchall()
    assert found == ORDERS


def test_the_day_has_its_ordinary_sales_and_those_by_hand(warehouse):
    """340 + 740 + 1000 - 500 = 1580 in three orders."""
    rows = world_rows()
    ordinary = {
        row["order_id"]
        for row in rows["orders"]
        if row["placed_at"].startswith(DAY_OF_LIFE) and row["order_id"].startswith("o-")
    }
    assert len(ordinary) > 5
    sold = sum(line["net_paid_cents"] for line in rows["order_lines"] if line["order_id"] in ordinary)
    found = warehouse.execute(
        "select sum(net_paid_cents), sum(orders), sum(guest_net_paid_cents) "
        "from analyst.mart_sales_daily where placed_on = ?",
        [DAY_OF_LIFE],
    ).fetchone()
    assert found == (sold + 1580, len(ordinary) + 3, 340)


def test_all_days_together_are_every_completed_order(warehouse):
    rows = world_rows()
    completed = {row["order_id"] for row in rows["orders"] if row["status"] == "completed"}
    net = sum(line["net_paid_cents"] for line in rows["order_lines"] if line["order_id"] in completed)
    found = warehouse.execute(
        "select sum(net_paid_cents), sum(orders) from analyst.mart_sales_daily"
    ).fetchone()
    assert found == (net, len(completed) - 1), "a return is no order"


@pytest.mark.parametrize(
    ("consumer", "orders", "spent"),
    [("c-61", 0, 0), ("c-62", 1, 740), ("c-63", 1, 500)],
    ids=["never bought", "only the late order counts", "half came back"],
)
def test_tags_count_what_counts(lake, consumer, orders, spent):
    tags = lake.get("features/consumer_tags").filter(pl.col("consumer_id") == consumer)
    assert tags.select("orders_lifetime", "net_spend_lifetime").rows() == [(orders, spent)]


def test_a_late_order_was_not_known_before_it_came(warehouse):
    """Of the moment before it was received; the moment after is the test above."""
    before = dt.datetime(2025, 6, 28, tzinfo=dt.UTC)
    for moment, orders in ((before, 0), (AS_OF, 1)):
        tags = build_tags(warehouse, moment, ["orders_lifetime"], ["c-62"], time_zone="Asia/Shanghai")
        assert tags["orders_lifetime"].to_list() == [orders]


def test_a_guest_is_nobody_and_a_member_who_never_bought_is_somebody(lake, warehouse):
    profiles = set(lake.get("scores/profiles")["consumer_id"])
    assert set(MEMBERS) <= profiles
    assert profiles == {row["consumer_id"] for row in world_rows()["consumers"]}
    assert warehouse.execute("select count(*) from core.dim_consumers where consumer_id = ''").fetchone() == (
        0,
    )
    lists = lake.get("scores/recommendations")
    assert "c-61" not in set(lists["consumer_id"]), "nothing is known of who never bought"


def test_no_list_says_what_is_not_true_of_its_own_merchant(lake, warehouse):
    """Nobody of this world consented to use across merchants: bought before means bought here."""
    lists = lake.get("scores/recommendations")
    bought = warehouse.execute(
        "select distinct merchant_id, consumer_id, sku_id, true as is_bought from core.fct_order_lines"
        " where is_sale and is_merchandise"
    ).pl()
    key = ["merchant_id", "consumer_id", "sku_id"]
    told = lists.join(bought, on=key, how="left").with_columns(pl.col("is_bought").fill_null(value=False))
    repeated = (pl.col("lane") == "repeat") & (pl.col("reason_code") != "exploring")
    assert told.filter(repeated).height > 100
    assert told.filter(repeated & ~pl.col("is_bought")).height == 0
    assert told.filter((pl.col("lane") == "discovery") & pl.col("is_bought")).height == 0
    assert lists.filter(reason_code="bought_elsewhere").height == 0


def test_no_list_shows_what_cannot_be_sold(lake, warehouse):
    sellable = warehouse.execute(
        "select distinct sku_id from core.dim_offers join intermediate.int_stock_levelled"
        " using (supplier_id, sku_id) where is_current and on_hand_qty > 0"
    ).pl()
    for table in ("scores/recommendations", "scores/popular_items"):
        assert lake.get(table).height
        assert set(lake.get(table)["sku_id"]) <= set(sellable["sku_id"])


def test_the_report_tells_the_states_apart(world, first):
    page = (world.home / "report" / "index.html").read_text(encoding="utf-8")
    for state in ("cancelled", "unpaid", "refunded"):
        assert state in page
