"""Stock that a supplier counts by warehouse: where a line may leave, and what its parts add up to."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_market import NOW, TENANT

from serving.db.urls import libpq_url
from serving.orders.after_sales import returns
from serving.orders.assortment import shelves, stock
from serving.orders.errors import InvalidRequestError, OrdersError, OutOfStockError
from serving.orders.fulfilment import fulfilment, receipts
from serving.orders.placing import cancelling, placing
from serving.purchasing import answering, arrivals
from serving.purchasing.placing import place_stated
from serving.supply.warehouses import StatedWarehouse, put_warehouses

SECOND = timedelta(seconds=1)
HOUSES = ("e-1", "w-1", "hub")


def house(name, supplier, region="east", **more):
    return replace(StatedWarehouse(name, supplier, region, None, None, None, 600, "1234567", None), **more)


@pytest.fixture(scope="module", autouse=True)
def _market(shop, module_database_url):
    shop.plan()
    with psycopg.connect(libpq_url(module_database_url)) as conn:
        houses = [house("e-1", "SA"), house("w-1", "SA", "west"), house("hub", None, "north")]
        put_warehouses(conn, TENANT, [*houses, house("b-1", "SB")])


def market(shop, sku, supplier="SA", *, price=1000, **units):
    """A sku on offer, counted by warehouse where units are given."""
    shop.list(sku, 100_000)
    held = {name.replace("_", "-"): qty for name, qty in units.items()}
    total = sum(held.values()) or 99
    shop.supply(supplier, sku, total, price=price, days=0, region="east", at=NOW - 60 * SECOND)
    if held:
        count(shop, sku, held, supplier)


def count(shop, sku, held, supplier="SA", at=NOW - SECOND, buffer=0):
    report = stock.StockReport(sku, sum(held.values()), buffer, at, held)
    return shop.act(stock.report_stock, supplier, [report], NOW)


def left(shop, order):
    return [line.warehouse_id for line in shop.read(order)[1]]


def parts(shop, sku, supplier="SA"):
    """Units by warehouse: (on hand, free); they add up to the total."""
    with shop.transaction() as conn:
        levels = stock.levels(conn, TENANT, supplier, after="", limit=500)
    (level,) = [one for one in levels if one.sku_id == sku]
    assert not level.warehouses or sum(one.on_hand_qty for one in level.warehouses) == level.on_hand_qty
    return {one.warehouse_id: (one.on_hand_qty, one.free_qty) for one in level.warehouses}


def test_a_warehouse_without_the_units_is_not_chosen(shop):
    market(shop, "p-tea", e_1=2, w_1=5)
    shop.place("p-1", ("p-tea", 2), region_code="east")
    shop.place("p-2", ("p-tea", 1), region_code="east")  # the east is reserved by now
    shop.place("p-3", ("p-tea", 4), region_code="east")
    assert [left(shop, f"p-{n}") for n in (1, 2, 3)] == [["e-1"], ["w-1"], ["w-1"]]
    assert parts(shop, "p-tea") == {"e-1": (2, 0), "w-1": (5, 0)}
    with pytest.raises(OutOfStockError):
        shop.place("p-4", ("p-tea", 1), region_code="east")


def test_who_states_no_warehouse_stock_ships_as_before_and_a_newer_total_ends_it(shop):
    market(shop, "p-rye")
    shop.place("p-5", ("p-rye", 1), region_code="west")
    assert (left(shop, "p-5"), parts(shop, "p-rye")) == (["w-1"], {})
    count(shop, "p-rye", {"e-1": 9})
    shop.place("p-6", ("p-rye", 1), region_code="west")
    assert left(shop, "p-6") == ["e-1"]
    shop.act(stock.report_stock, "SA", [stock.StockReport("p-rye", 9, 0, NOW)], NOW)
    shop.place("p-7", ("p-rye", 1), region_code="west")
    assert (left(shop, "p-7"), parts(shop, "p-rye")) == (["w-1"], {})


def test_what_lies_in_a_warehouse_of_the_platform_leaves_from_there(shop):
    market(shop, "p-hub", hub=3)
    shop.place("p-8", ("p-hub", 3), region_code="east")
    assert left(shop, "p-8") == ["hub"]


def test_a_line_larger_than_any_warehouse_has_goes_elsewhere_or_is_refused(shop):
    market(shop, "p-oat", e_1=4, w_1=4)
    with pytest.raises(OutOfStockError):
        shop.place("p-9", ("p-oat", 5), region_code="east")
    market(shop, "p-oat", "SB", price=9_000)
    shop.place("p-9", ("p-oat", 5), region_code="east")
    assert [line.supplier_id for line in shop.read("p-9")[1]] == ["SB"]
    # Two lines of one order do not take the same units.
    shop.place("p-10", ("p-oat", 3), ("p-oat", 1), region_code="east")
    assert left(shop, "p-10") == ["e-1", "e-1"]
    assert parts(shop, "p-oat")["e-1"] == (4, 0)


def test_units_are_free_again_when_an_order_is_cancelled_expires_shrinks_or_goes_elsewhere(shop):
    market(shop, "p-egg", e_1=4)
    shop.place("p-11", ("p-egg", 4), region_code="east")
    shop.act(placing.cancel_order, "p-11")
    assert parts(shop, "p-egg") == {"e-1": (4, 4)}
    shop.place("p-12", ("p-egg", 4), region_code="east")
    cancelling.expire_unpaid(shop.transaction, TENANT, NOW + timedelta(hours=1))
    assert parts(shop, "p-egg") == {"e-1": (4, 4)}
    shop.place("p-13", ("p-egg", 4), region_code="east")
    shop.pay("p-13")
    shop.act(cancelling.cancel_units, "p-13", 1, 1, NOW)
    assert parts(shop, "p-egg") == {"e-1": (4, 1)}
    shop.place("p-14", ("p-egg", 1), region_code="east")
    shop.pay("p-14")
    market(shop, "p-egg", "SB", price=2_000, b_1=1)
    assert shop.act(fulfilment.reroute, "p-14", "SA", {1: "SB"}, NOW) == {1: "SB"}
    assert left(shop, "p-14") == ["b-1"]
    assert (parts(shop, "p-egg"), parts(shop, "p-egg", "SB")) == ({"e-1": (4, 1)}, {"b-1": (1, 0)})


def test_parcels_returns_and_purchases_move_the_parts_with_the_total(shop):
    market(shop, "p-jam", e_1=5, w_1=9)
    shop.place("p-15", ("p-jam", 3), region_code="east")
    shop.pay("p-15")
    shop.act(fulfilment.accept, "p-15", "SA", {}, NOW)
    shop.act(fulfilment.ship, "p-15", "SA", fulfilment.Parcel("p-p", NOW + 9 * SECOND, NOW), NOW)
    assert parts(shop, "p-jam") == {"e-1": (2, 2), "w-1": (9, 9)}
    shop.act(receipts.confirm_receipt, "p-15", "SA", NOW)
    case = shop.agreed_case("p-15", 1, None, "return", "broken", 300_000, NOW, 3)
    shop.act(returns.receive_back, case.case_id, 3, 2, NOW)
    assert parts(shop, "p-jam") == {"e-1": (4, 4), "w-1": (9, 9)}
    for at, expected in (("e-1", {"e-1": (7, 7), "w-1": (9, 9)}), (None, {"e-1": (7, 7), "w-1": (12, 12)})):
        bought = shop.act(place_stated, "SA", {"p-jam": 3}, NOW, "test")
        shop.act(answering.answer_purchase, "SA", bought, {}, NOW)
        shop.act(arrivals.ship_purchase, "SA", bought, {"p-jam": 3}, NOW)
        if at:
            with pytest.raises(InvalidRequestError, match="'b-1' is no warehouse of supplier 'SA'"):
                shop.act(arrivals.receive_purchase, bought, {"p-jam": 3}, NOW, "b-1")
        shop.act(arrivals.receive_purchase, bought, {"p-jam": 3}, NOW, at)
        assert parts(shop, "p-jam") == expected
    moves = shop.sql(
        "select warehouse_id, qty_delta, reason from orders.stock_movement where sku_id = 'p-jam'"
        " and (reason in ('sale', 'return') or purchase_order_id is not null) order by movement_id"
    )
    assert moves == [
        ("e-1", -3, "sale"), ("e-1", 2, "return"), ("e-1", 3, "inbound"), ("w-1", 3, "inbound")
    ]  # fmt: skip
    # A count from before all of that knows nothing of it; one that is older than the last changes nothing.
    assert count(shop, "p-jam", {"e-1": 6, "w-1": 1, "hub": 1}, at=NOW - SECOND / 2) == ["p-jam"]
    assert parts(shop, "p-jam") == {"e-1": (8, 8), "hub": (1, 1), "w-1": (4, 4)}
    assert count(shop, "p-jam", {"e-1": 1}, at=NOW - SECOND) == []


def test_what_left_a_warehouse_that_counted_less_comes_from_the_fullest_other(shop):
    market(shop, "p-nut", e_1=5, w_1=9)
    shop.place("p-16", ("p-nut", 5), region_code="east")
    shop.pay("p-16")
    shop.act(fulfilment.accept, "p-16", "SA", {}, NOW)
    count(shop, "p-nut", {"e-1": 2, "w-1": 9}, at=NOW - SECOND / 2)
    assert parts(shop, "p-nut") == {"e-1": (2, 0), "w-1": (9, 9)}
    shop.act(fulfilment.ship, "p-16", "SA", fulfilment.Parcel("p-q", NOW + 9 * SECOND, NOW), NOW)
    assert parts(shop, "p-nut") == {"e-1": (0, 0), "w-1": (6, 6)}
    assert shop.stock_of("SA", "p-nut") == (6, 0, 6)


def test_a_wrong_statement_is_refused_and_told(shop):
    market(shop, "p-bad", e_1=5)
    for held, total, wrong in (
        ({"e-1": 5}, 6, "the warehouses have 5 units, on_hand_qty is 6"),
        ({}, 0, "state every warehouse, or none"),
        ({"b-1": 5}, 5, "'b-1' is no warehouse of supplier 'SA'"),
        ({"nowhere": 5}, 5, "'nowhere' is no warehouse"),
    ):
        report = stock.StockReport("p-bad", total, 0, NOW, held)
        with pytest.raises(InvalidRequestError, match=wrong):
            shop.act(stock.report_stock, "SA", [report], NOW)
    assert parts(shop, "p-bad") == {"e-1": (5, 5)}


def test_the_database_refuses_parts_that_do_not_add_up(shop):
    market(shop, "p-sum", e_1=5)
    for statement in (
        "update orders.warehouse_stock set on_hand_qty = 4 where sku_id = 'p-sum'",
        "update orders.stock set on_hand_qty = 6 where sku_id = 'p-sum'",
        "insert into orders.warehouse_stock values ('default', 'SA', 'p-sum', 'w-1', 1)",
    ):
        with pytest.raises(psycopg.errors.CheckViolation, match="in warehouses"):
            shop.sql(statement)
    with shop.transaction("another") as conn:
        assert conn.execute("select * from orders.warehouse_stock").fetchall() == []


def test_a_crowd_never_takes_more_from_a_warehouse_than_lies_there(shop):
    market(shop, "p-crowd", e_1=20, w_1=7, hub=11)
    market(shop, "p-crowd-2", e_1=15, w_1=15)

    def live(n):
        order, chance = f"pc-{n}", random.Random(n)
        wanted = [("p-crowd", chance.randint(1, 3)), ("p-crowd-2", chance.randint(1, 2))]
        try:
            shop.place(order, *wanted[:: chance.choice((1, -1))], region_code=chance.choice(("east", "west")))
            if chance.random() < 0.3:
                return shop.act(placing.cancel_order, order)
            shop.pay(order)
            shop.act(fulfilment.accept, order, "SA", {}, NOW)
            if chance.random() < 0.5:
                parcel = fulfilment.Parcel(f"pp-{n}", NOW + 9 * SECOND, NOW)
                shop.act(fulfilment.ship, order, "SA", parcel, NOW)
        except OrdersError:
            return None

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(live, range(60)))
    for sku, start in (("p-crowd", (20, 7, 11)), ("p-crowd-2", (15, 15, 0))):
        found = parts(shop, sku)
        for name, units in zip(HOUSES, start, strict=True):
            sold, waiting = shop.sql(
                "select coalesce(sum(qty) filter (where reserved_qty = 0), 0)::int,"
                " coalesce(sum(reserved_qty), 0)::int from orders.order_line l"
                " join orders.sub_order s using (tenant_id, order_id, supplier_id)"
                " where sku_id = %(sku)s and warehouse_id = %(w)s and s.status <> 'cancelled'",
                sku=sku,
                w=name,
            )[0]
            assert found.get(name, (0, 0)) == (units - sold, units - sold - waiting)
            assert sold + waiting <= units


UNITS = st.dictionaries(st.sampled_from(HOUSES), st.integers(0, 20), min_size=1)


@given(UNITS, st.dictionaries(st.sampled_from((*HOUSES, None)), st.integers(0, 30)))
def test_units_that_leave_are_those_that_are_wanted_as_far_as_there_are_any(held, wanted):
    out = shelves.taken(held, wanted)
    assert sum(out.values()) == min(sum(held.values()), sum(wanted.values()))
    assert all(0 < units <= held[name] for name, units in out.items())
    for name, qty in wanted.items():
        assert name is None or out.get(name, 0) >= min(held.get(name, 0), qty)


@given(UNITS, st.lists(st.tuples(st.sampled_from((*HOUSES, None)), st.integers(-9, 9).filter(bool))))
def test_a_count_and_what_moved_since_add_up_as_the_total_does(stated, since):
    held = shelves.counted(stated, since)
    assert sum(held.values()) == max(0, sum(stated.values()) + sum(qty for _, qty in since))
    assert min(held.values()) >= 0
