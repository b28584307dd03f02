"""The alternative `transfer`: lines leave from another warehouse of their supplier; done once."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from small_market import NOW, TENANT
from supply_findings import swing

from serving.db.urls import libpq_url
from serving.orders.assortment import stock
from serving.orders.fulfilment import fulfilment
from serving.orders.fulfilment.rehousing import Berth, rehouse
from serving.supply.warehouses import StatedWarehouse, put_warehouses
from serving.transfers import moving
from serving.transfers.records import transfers_page
from serving.watch.alarms.records import Whose, alarm_of
from serving.watch.alternatives.answering import answer
from serving.watch.alternatives.records import alternatives_of
from serving.watch.alternatives.taking import carry_out, decide

REPOSITORY = Path(__file__).resolve().parents[3]
LATER = NOW + timedelta(hours=1)
TODAY = NOW.date()


def house(name, region="east", **more):
    return replace(StatedWarehouse(name, "S1", region, None, None, None, 600, "1234567", None), **more)


@pytest.fixture
def put(database_url):
    def _put(*houses):
        with psycopg.connect(libpq_url(database_url)) as conn:
            put_warehouses(conn, TENANT, houses)

    return _put


@pytest.fixture
def market(shop, put):
    """Two paid orders of two units wait in W1; two more units lie free in W2, two in W1."""
    put(house("W1"), house("W2"))
    shop.list("tea", 5000)
    shop.supply("S1", "tea", 6, price=1000, days=0, region="east", at=NOW - timedelta(minutes=2))
    count(shop, W1=6, W2=0)
    for order in ("o1", "o2"):
        shop.place(order, ("tea", 2), region_code="east")
        shop.pay(order)
    count(shop, W1=6, W2=2, at=NOW)
    return shop


def count(shop, at=NOW - timedelta(minutes=1), **held):
    report = stock.StockReport("tea", sum(held.values()), 0, at, held)
    shop.act(stock.report_stock, "S1", [report], NOW)


def parts(shop):
    with shop.transaction() as conn:
        (level,) = stock.levels(conn, TENANT, "S1", after="", limit=9)
    return {one.warehouse_id: (one.on_hand_qty, one.free_qty) for one in level.warehouses}


def leaves(shop):
    rows = shop.sql("select order_id, warehouse_id, ships_on from orders.order_line order by 1")
    return {order: (warehouse, (ships_on - TODAY).days) for order, warehouse, ships_on in rows}


def transfers(shop):
    with shop.transaction() as conn:
        return transfers_page(conn, TENANT, supplier_id="S1", status=None, after="", limit=9)


def proposed(shop, find, **swung):
    (number,) = find(swing(warehouse="W1", **swung)).opened
    answer(shop.transaction, TENANT, LATER)
    return number, {one.kind: one for one in shop.act(alternatives_of, number)}


def test_what_lies_elsewhere_leaves_there_and_what_does_not_is_brought(market, find):
    assert leaves(market) == {"o1": ("W1", 0), "o2": ("W1", 0)}
    number, found = proposed(market, find)
    assert list(found) == ["transfer", "later_date"]
    option = found["transfer"]
    assert [(m["order_id"], m["to_warehouse_id"], m["brought_days"]) for m in option.moves] in (
        [("o1", "W2", None), ("o2", "W2", 2)],
        [("o1", "W2", 2), ("o2", "W2", None)],
    )
    # Handling two units costs 40; half of the units come two days later, less 0.36 days of waiting.
    assert (option.cost_change_cents, option.lines, option.is_takeable) == (40, 2, True)
    assert option.arrival_change_days == pytest.approx(1 - 0.36)
    for _ in range(2):
        market.act(decide, number, option.option_no, "key", LATER)
        carry_out(market.transaction, TENANT, LATER)
    assert sorted(leaves(market).values()) == [("W2", 0), ("W2", 2)]
    (transfer,) = transfers(market)
    assert (transfer.cause, transfer.planned_qty, transfer.status) == ("alarm", 2, "planned")
    assert (transfer.from_warehouse_id, transfer.to_warehouse_id) == ("W1", "W2")
    assert (transfer.expected_on - TODAY).days == 2
    closed = market.act(alarm_of, number, Whose())
    assert (closed.state, closed.reason_code) == ("resolved", "transferred")
    # Two of the six in W1 are kept for the transfer, none is reserved there any more.
    assert parts(market) == {"W1": (6, 4), "W2": (2, 0)}
    assert market.stock_of("S1", "tea") == (8, 4, 4)
    market.act(moving.ship, "S1", transfer.transfer_id, None, LATER)
    assert parts(market) == {"W1": (4, 4), "W2": (2, 0)}
    market.act(moving.receive, "S1", transfer.transfer_id, None, LATER)
    assert parts(market) == {"W1": (4, 4), "W2": (4, 0)}
    for order in ("o1", "o2"):
        market.act(fulfilment.accept, order, "S1", {}, LATER)
        parcel = fulfilment.Parcel(f"p-{order}", LATER + timedelta(days=3), LATER)
        market.act(fulfilment.ship, order, "S1", parcel, LATER)
    assert parts(market) == {"W1": (4, 4), "W2": (0, 0)}
    assert market.stock_of("S1", "tea") == (4, 0, 4)


def test_units_that_lines_wait_for_leave_although_they_are_reserved(market, find):
    """Everything in W1 is of the two lines: the transfer takes what they reserve, and nobody else can."""
    count(market, W1=4, W2=0, at=NOW + timedelta(seconds=1))
    number, found = proposed(market, find)
    assert [move["brought_days"] for move in found["transfer"].moves] == [2, 2]
    market.act(decide, number, found["transfer"].option_no, "key", LATER)
    carry_out(market.transaction, TENANT, LATER)
    assert parts(market) == {"W1": (4, 0), "W2": (0, 0)}
    for transfer in transfers(market):
        market.act(moving.ship, "S1", transfer.transfer_id, None, LATER)
        assert market.stock_of("S1", "tea")[2] == 0
        market.act(moving.receive, "S1", transfer.transfer_id, None, LATER)
    assert parts(market) == {"W1": (0, 0), "W2": (4, 0)}


def test_who_counts_no_warehouses_ships_from_another_one_and_moves_nothing(market, find):
    report = stock.StockReport("tea", 6, 0, NOW + timedelta(seconds=1))
    market.act(stock.report_stock, "S1", [report], NOW)
    number, found = proposed(market, find)
    market.act(decide, number, found["transfer"].option_no, "key", LATER)
    carry_out(market.transaction, TENANT, LATER)
    assert (leaves(market), transfers(market)) == ({"o1": ("W2", 0), "o2": ("W2", 0)}, [])
    assert found["transfer"].cost_change_cents == 0


def test_there_is_none_where_no_other_warehouse_could_ship(market, put, find):
    shut = tuple(TODAY + timedelta(days=n) for n in range(200))
    put(house("W1"), house("W2", closed_on=shut))
    assert list(proposed(market, find)[1]) == ["later_date"]
    find(swing(warehouse="W1", opens=False, clears="calm_again"), at=LATER)
    put(house("W1"))
    assert list(proposed(market, find)[1]) == ["later_date"]


def test_what_is_not_there_any_more_stays_and_the_alarm_stays_open(market, find):
    number, found = proposed(market, find)
    # The line that W2 was to ship finds it empty; the one that is brought goes.
    count(market, W1=6, W2=0, at=NOW + timedelta(seconds=1))
    market.act(decide, number, found["transfer"].option_no, "key", LATER)
    done = carry_out(market.transaction, TENANT, LATER)
    assert (done.moved, done.stayed) == (1, 1)
    assert sorted(warehouse for warehouse, _ in leaves(market).values()) == ["W1", "W2"]
    assert market.act(alarm_of, number, Whose()).state == "open"


def test_a_line_that_leaves_elsewhere_by_now_stays_there(market, find):
    number, found = proposed(market, find)
    market.sql("update orders.order_line set warehouse_id = 'W3' where order_id = 'o1'")
    market.act(decide, number, found["transfer"].option_no, "key", LATER)
    done = carry_out(market.transaction, TENANT, LATER)
    assert (done.moved, done.stayed) == (1, 1)
    assert {order: warehouse for order, (warehouse, _) in leaves(market).items()} == {"o1": "W3", "o2": "W2"}


KILLED = """
import os, signal, sys
from datetime import datetime
from serving.db.operations import Operations
from serving.watch.alternatives import taking

url, now, where, number = sys.argv[1], datetime.fromisoformat(sys.argv[2]), sys.argv[3], int(sys.argv[4])
work, calls = taking.rehouse, 0


def killing(*arguments):
    global calls
    calls += 1
    if (where, calls) == ("before", number):
        os.kill(os.getpid(), signal.SIGKILL)
    result = work(*arguments)
    if (where, calls) == ("after", number):
        os.kill(os.getpid(), signal.SIGKILL)
    return result


taking.rehouse = killing
with Operations(url, size=2) as operations:
    taking.carry_out(lambda: operations.transaction("default"), "default", now)
"""


@pytest.mark.parametrize(("where", "number"), [("before", 1), ("after", 1), ("before", 2), ("after", 2)])
def test_killed_in_the_middle_everything_is_done_once(market, find, where, number):
    alarm_id, found = proposed(market, find)
    market.act(decide, alarm_id, found["transfer"].option_no, "key", LATER)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, market.url, LATER.isoformat(), where, str(number)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL
    assert sum(warehouse == "W2" for warehouse, _ in leaves(market).values()) == number - 1
    carry_out(market.transaction, TENANT, LATER)
    assert sorted(leaves(market).values()) == [("W2", 0), ("W2", 2)]
    assert [(one.planned_qty, one.status) for one in transfers(market)] == [(2, "planned")]
    assert parts(market) == {"W1": (6, 4), "W2": (2, 0)}


def test_a_line_that_comes_back_to_a_warehouse_is_told_again(market, put):
    put(house("W1"), house("W2"))
    count(market, W1=4, W2=6, at=NOW + timedelta(seconds=1))
    market.hears("S1")
    ways = (("W1", "W2"), ("W2", "W1"), ("W1", "W2"))
    for start, to in ways:
        assert market.act(rehouse, "o1", "S1", start, {1: Berth(to)}, pytest.fail, LATER) == {1: to}
    assert market.sql("select count(*) from orders.webhook_delivery") == [(len(ways),)]
