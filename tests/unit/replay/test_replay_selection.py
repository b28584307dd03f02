"""What is replayed and who sold it, decided by rows alone."""

import datetime as dt

import polars as pl
import pytest

from pipelines.lake.tables import Lake
from pipelines.replay.parties import levels_of
from pipelines.replay.selection import select, share
from pipelines.sources.contract import contract_table

AS_OF = dt.datetime(2025, 3, 31, 12, tzinfo=dt.UTC)


def days_ago(days, hours=0):
    return AS_OF - dt.timedelta(days=days, hours=hours)


def order(order_id, placed_at, **more):
    return {
        "order_id": order_id, "consumer_id": "c-1", "merchant_id": "m-1", "channel": "store",
        "placed_at": placed_at, "paid_at": placed_at, "status": "completed", "state": "paid",
        "coupon_discount_cents": 0, "freight_cents": 0,
    } | more  # fmt: skip


def line(order_id, line_no=1, sku="k-1", **more):
    return {
        "order_id": order_id, "line_no": line_no, "sku_id": sku, "supplier_id": "s-1", "qty_milli": 2000,
        "list_price_cents": 1000, "promo_discount_cents": 100, "net_paid_cents": 850,
    } | more  # fmt: skip


def offer(price, valid_from):
    return {
        "supplier_id": "s-1", "sku_id": "k-1", "valid_from": valid_from, "supply_price_cents": price,
        "stock_qty": 5, "capacity_per_day": 9, "lead_time_days": 2, "min_order_qty": 1,
        "ship_from_region": "east",
    }  # fmt: skip


def agent(agent_id, merchant="m-1", *, is_active=True):
    return {
        "agent_id": agent_id, "merchant_id": merchant, "tier": "gold", "region_code": "east",
        "joined_on": dt.date(2024, 1, 1), "is_active": is_active,
    }  # fmt: skip


ROWS = {
    "orders": [
        order("old", days_ago(15)),
        order("first-second", days_ago(14)),
        order("in", days_ago(13)),
        order("again", days_ago(2), consumer_id="c-2", agent_id="a-2"),
        order("cancelled", days_ago(1), status="cancelled", state="cancelled"),
        order("without-lines", days_ago(1)),
        order("unpaid", days_ago(1), status="placed", state="unpaid"),
        order("guest", days_ago(1), consumer_id=None),
        order("return", days_ago(1), consumer_id="c-9"),
        order("by-weight", days_ago(1), consumer_id="c-9"),
        order("guest-by-weight", days_ago(1), consumer_id=None),
        order("unpaid-time", days_ago(1), paid_at=None, consumer_id="c-3"),
    ],
    "order_lines": [
        line("old"), line("first-second"), line("in"), line("in", 2, sku="k-2", supplier_id=None),
        line("in", 3, supply_price_cents=333), line("again"), line("cancelled"), line("unpaid-time"),
        line("unpaid"), line("guest"), line("return"),
        line("return", 2, qty_milli=-1000, list_price_cents=-500, promo_discount_cents=0, net_paid_cents=-5),
        line("by-weight", qty_milli=1500), line("guest-by-weight", qty_milli=1500),
    ],
    "products": [
        {"sku_id": sku, "title": sku, "category_id": "l", "manufacturer_id": "s-2"} for sku in ("k-1", "k-2")
    ],
    "offers": [offer(300, days_ago(60)), offer(400, days_ago(5))],
    "agents": [agent("a-1"), agent("a-2"), agent("a-0", is_active=False), agent("b-1", "m-2")],
    "shipments": [
        {
            "shipment_id": "p-1", "order_id": "in", "supplier_id": "s-1", "from_region": "e",
            "to_region": "w", "promised_at": days_ago(9), "shipped_at": days_ago(12),
            "delivered_at": days_ago(10),
        },
        {
            "shipment_id": "p-2", "order_id": "again", "supplier_id": "s-1", "from_region": "e",
            "to_region": "w", "promised_at": days_ago(0), "shipped_at": None, "delivered_at": None,
        },
    ],
    "after_sales": [
        {"case_id": "k", "order_id": "in", "line_no": 2, "kind": "refund", "reason_code": "x",
         "opened_at": days_ago(8), "resolved_at": days_ago(7), "refund_cents": 50},
        {"case_id": "elsewhere", "order_id": "old", "line_no": 1, "kind": "refund", "reason_code": "x",
         "opened_at": days_ago(8)},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    made = Lake(tmp_path_factory.mktemp("lake"))
    made.create()
    placed = {row["order_id"]: row["placed_at"] for row in ROWS["orders"]}
    for name, rows in ROWS.items():
        table = contract_table(name)
        frame = pl.DataFrame(
            [{"received_at": AS_OF, "origin": "observed"} | row for row in rows], schema=dict(table.dtypes)
        )
        if not table.is_partitioned:
            made.replace(name, frame)
        elif table.time_parent is not None:
            made.replace_days(name, frame.with_columns(_at=pl.col("order_id").replace_strict(placed)), "_at")
        else:
            made.replace_days(name, frame)
    return made


@pytest.fixture(scope="module")
def chosen(lake):
    return select(lake, as_of=AS_OF, days=14, assigns_agents=True)


def by_key(frame, *key):
    """Rows by their key: a value, or a tuple of several."""
    return {
        row[key[0]] if len(key) == 1 else tuple(row[name] for name in key): row
        for row in frame.iter_rows(named=True)
    }


def test_the_window_is_open_at_its_start_and_leaves_out_what_cannot_be_settled(chosen):
    assert sorted(chosen.orders["order_id"]) == ["again", "in", "unpaid-time"]
    assert by_key(chosen.orders, "order_id")["unpaid-time"]["paid_at"] == days_ago(1)


def test_orders_that_the_platform_could_not_have_taken_are_skipped_and_counted(chosen):
    assert chosen.skipped == {"of a guest": 2, "with a return": 1, "in fractions of a unit": 1}
    assert chosen.lines["qty"].to_list() == [2] * chosen.lines.height


def test_a_line_costs_what_the_offer_in_force_asked(chosen):
    lines = by_key(chosen.lines, "order_id", "line_no")
    assert lines["in", 1]["supply_price_cents"] == 2 * 300
    assert lines["again", 1]["supply_price_cents"] == 2 * 400
    assert lines["in", 3]["supply_price_cents"] == 333, "a cost booked on the line wins"
    assert lines["in", 2]["supplier_id"] == "s-2", "the maker stands for a supplier that is not named"
    assert lines["in", 2]["supply_price_cents"] == 850, "without an offer all of it passes on"
    assert {line["coupon_discount_cents"] for line in lines.values()} == {50}


def test_a_part_without_a_parcel_was_handed_over_at_the_till(chosen):
    parts = by_key(chosen.sub_orders, "order_id", "supplier_id")
    assert (parts["in", "s-1"]["shipped_at"], parts["in", "s-1"]["received_at"]) == (
        days_ago(12),
        days_ago(10),
    )
    assert parts["in", "s-2"]["received_at"] == days_ago(13)
    assert (parts["again", "s-1"]["shipped_at"], parts["again", "s-1"]["received_at"]) == (None, None)


def test_cases_come_with_the_lines_they_are_about(chosen):
    (case,) = chosen.cases.iter_rows(named=True)
    assert (case["case_id"], case["supplier_id"]) == ("k", "s-2")


def test_agents_are_those_of_the_merchant_and_stay_with_their_consumer(lake, chosen):
    orders = by_key(chosen.orders, "order_id")
    assert orders["again"]["agent_id"] == "a-2"
    assert {orders[name]["agent_id"] for name in ("in", "unpaid-time")} <= {None, "a-1", "a-2"}
    assert select(lake, as_of=AS_OF, days=14, assigns_agents=True).orders.equals(chosen.orders)
    given = select(lake, as_of=AS_OF, days=14, assigns_agents=False).orders
    assert given["agent_id"].to_list() == [None, "a-2", None]


def test_only_the_very_first_order_is_a_first_purchase(chosen):
    first = {name: row["is_first_purchase"] for name, row in by_key(chosen.orders, "order_id").items()}
    assert first == {"in": False, "again": True, "unpaid-time": True}


def test_shares_are_even_and_depend_on_the_name_alone():
    drawn = [share(f"agent-{number}", "verified") for number in range(5000)]
    assert min(drawn) == 0
    assert max(drawn) == 99
    assert abs(sum(lot < 20 for lot in drawn) / len(drawn) - 0.2) < 0.03
    assert [share(f"agent-{number}", "store") for number in range(5000)] != drawn


@pytest.mark.parametrize(
    ("inviters", "expected"),
    [
        ({"a": None, "b": "a", "c": "b"}, {"a": 1, "b": 2, "c": 3}),
        ({"d": "c", "c": "b", "b": "a", "a": None}, {"a": 1, "b": 2, "c": 3, "d": 1}),
        ({"e": "d", "d": "c", "c": "b", "b": "a", "a": None}, {"a": 1, "b": 2, "c": 3, "d": 1, "e": 2}),
    ],
)
def test_who_would_stand_deeper_than_three_levels_begins_anew(inviters, expected):
    assert levels_of(inviters) == expected
