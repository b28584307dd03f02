"""Which warehouse ships what is ordered, by the door that places it; a day is never sold twice."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta

import psycopg
import pytest
from small_market import NOW, TENANT

from serving.db import locks
from serving.db.urls import libpq_url
from serving.orders.errors import OutOfStockError
from serving.orders.fulfilment import fulfilment
from serving.orders.fulfilment.instructions import instructions_of
from serving.orders.placing import cancelling, placing
from serving.privacy.masking import Visibility
from serving.supply.warehouses import StatedWarehouse, put_warehouses

TODAY = NOW.date()  # a Sunday, 08:00 UTC
DAY = timedelta(days=1)


def house(name, supplier, **more):
    """A warehouse in the east that works every day, takes orders until 10:00 UTC and has no limit."""
    return replace(StatedWarehouse(name, supplier, "east", None, None, None, 600, "1234567", None), **more)


@pytest.fixture(scope="module", autouse=True)
def _settled(shop):
    shop.plan()


@pytest.fixture
def put(module_database_url):
    """Puts warehouses into force as the nightly step does; none are left at the end."""

    def _put(*houses, tenant=TENANT):
        with psycopg.connect(libpq_url(module_database_url)) as conn:
            return put_warehouses(conn, tenant, houses)

    yield _put
    _put()


def lines(shop, order):
    return shop.sql(
        "select supplier_id, warehouse_id, ships_on - %(today)s::date, promised_on - %(today)s::date"
        " from orders.order_line where order_id = %(o)s order by line_no",
        o=order,
        today=TODAY,
    )


def booked(shop, warehouse):
    return dict(
        shop.sql(
            "select ships_on - %(today)s::date, sum(qty)::int from orders.order_line"
            " where warehouse_id = %(w)s group by 1",
            w=warehouse,
            today=TODAY,
        )
    )


def market(shop, name, *suppliers, units=99, **terms):
    shop.list(name, 100_000)
    for supplier in suppliers:
        shop.supply(supplier, name, units, days=0, region="east", **terms)


def test_a_missed_cut_off_promises_the_next_working_day(shop, put):
    market(shop, "w-milk", "WA")
    put(house("w-1", "WA", working_days="12347", closed_on=(TODAY + DAY,)))
    shop.place("w-1", ("w-milk", 1), region_code="east", at=NOW + timedelta(hours=2))
    shop.place("w-2", ("w-milk", 1), region_code="east", at=NOW + timedelta(hours=2, seconds=1))
    assert lines(shop, "w-1") == [("WA", "w-1", 0, 1)]
    # Monday is closed: Tuesday, and a day of the way.
    assert lines(shop, "w-2") == [("WA", "w-1", 2, 3)]
    put(house("w-1", "WA", time_zone="Asia/Shanghai"))
    shop.place("w-3", ("w-milk", 1), region_code="east")  # 16:00 there, after 10:00
    assert lines(shop, "w-3") == [("WA", "w-1", 1, 2)]


def test_a_supplier_without_a_warehouse_ships_by_its_lead_time(shop, put):
    market(shop, "w-tea", "WB")
    shop.place("w-4", ("w-tea", 1), region_code="north")
    assert lines(shop, "w-4") == [("WB", None, 0, 3)]
    # The platform's warehouse in its region, where there is one; where it stands is not asked.
    put(house("hub", None), house("far", None, region_code="west"))
    shop.place("w-5", ("w-tea", 1), region_code="north")
    assert lines(shop, "w-5") == [("WB", "hub", 0, 3)]


def test_of_two_suppliers_the_one_that_keeps_the_promise_wins(shop, put):
    market(shop, "w-jam", "WA")
    market(shop, "w-jam", "WC", price=1_050)
    closed = tuple(TODAY + n * DAY for n in range(6))
    # Two days late at a yuan a day are dearer than half a yuan.
    put(house("w-a", "WA", closed_on=closed))
    shop.place("w-6", ("w-jam", 1), region_code="east")
    assert lines(shop, "w-6")[0][0] == "WC"
    put(house("w-a", "WA", closed_on=closed[:4]))
    shop.place("w-7", ("w-jam", 1), region_code="east")
    assert lines(shop, "w-7") == [("WA", "w-a", 4, 5)]


def test_a_full_day_sends_the_next_order_to_the_day_after_and_what_is_cancelled_frees_it(shop, put):
    market(shop, "w-rye", "WE")
    put(house("w-e", "WE", capacity_per_day=10))
    shop.place("w-8", ("w-rye", 6), region_code="east")
    shop.place("w-9", ("w-rye", 5), region_code="east")
    shop.place("w-10", ("w-rye", 4), region_code="east")
    assert [lines(shop, name)[0][2] for name in ("w-8", "w-9", "w-10")] == [0, 1, 0]
    shop.act(placing.cancel_order, "w-8")
    shop.place("w-11", ("w-rye", 6), region_code="east")
    assert lines(shop, "w-11")[0][2] == 0
    # Units that are cancelled before they leave are free, too.
    shop.pay("w-11")
    shop.act(cancelling.cancel_units, "w-11", 1, 2, NOW)
    shop.place("w-12", ("w-rye", 2), region_code="east")
    assert lines(shop, "w-12")[0][2] == 0
    # What left stays counted for its day.
    shop.act(fulfilment.accept, "w-11", "WE", {}, NOW)
    shop.act(fulfilment.ship, "w-11", "WE", fulfilment.Parcel("w-p", NOW + DAY, NOW), NOW)
    shop.place("w-13", ("w-rye", 1), region_code="east")
    assert lines(shop, "w-13")[0][2] == 1


def test_what_is_larger_than_a_day_of_every_warehouse_is_split_or_refused(shop, put):
    market(shop, "w-oat", "WF", "WG")
    put(house("w-f", "WF", capacity_per_day=10), house("w-g", "WG", capacity_per_day=4))
    shop.place("w-14", ("w-oat", 13), region_code="east")
    assert sorted(lines(shop, "w-14")) == [("WF", "w-f", 0, 1), ("WG", "w-g", 0, 1)]
    with pytest.raises(OutOfStockError, match="1 of sku 'w-oat'"):
        shop.place("w-15", ("w-oat", 15), region_code="east")
    assert shop.stock_of("WF", "w-oat")[1] == 10


def test_lines_of_one_order_share_the_room_of_a_day(shop, put):
    market(shop, "w-nut", "WH")
    market(shop, "w-fig", "WH")
    put(house("w-h", "WH", capacity_per_day=10))
    shop.place("w-16", ("w-nut", 6), ("w-fig", 5), region_code="east")
    assert [line[2] for line in lines(shop, "w-16")] == [0, 1]


def test_a_line_that_goes_elsewhere_takes_a_day_there_and_frees_its_own(shop, put):
    market(shop, "w-egg", "WI")
    market(shop, "w-egg", "WJ", price=2_000)
    put(house("w-i", "WI", capacity_per_day=5), house("w-j", "WJ", capacity_per_day=5))
    shop.place("w-17", ("w-egg", 5), region_code="east")
    shop.pay("w-17")
    shop.act(fulfilment.reject, "w-17", "WI", "out_of_stock", NOW)
    assert lines(shop, "w-17") == [("WJ", "w-j", 0, 1)]
    shop.place("w-18", ("w-egg", 5), region_code="east")
    assert lines(shop, "w-18") == [("WI", "w-i", 0, 1)]


def test_a_line_that_changes_its_supplier_keeps_its_day_in_a_shared_warehouse(shop, put):
    market(shop, "w-pea", "WM")
    market(shop, "w-pea", "WN", price=1_010)
    put(house("w-m", None, capacity_per_day=5))
    shop.place("w-20", ("w-pea", 5), region_code="east")
    shop.pay("w-20")
    assert shop.act(fulfilment.reroute, "w-20", "WM", {1: "WN"}, NOW) == {1: "WN"}
    assert lines(shop, "w-20") == [("WN", "w-m", 0, 1)]
    # Whoever comes later still finds the day full.
    shop.place("w-21", ("w-pea", 1), region_code="east")
    assert lines(shop, "w-21")[0][2] == 1


def test_the_night_and_an_order_do_not_wait_for_each_other(shop, put):
    """It takes w-o, which stays, before w-p, which goes, as every order does."""
    put(house("w-o", "WO", capacity_per_day=5), house("w-p", "WO", capacity_per_day=5))
    with ThreadPoolExecutor(1) as pool:
        with shop.transaction() as conn:
            locks.warehouses(conn, TENANT, ["w-o"])
            night = pool.submit(put, house("w-o", "WO", capacity_per_day=6))
            while not shop.sql("select 1 from pg_locks where locktype = 'transactionid' and not granted"):
                assert not night.done()
            conn.execute("set local lock_timeout = '2s'")
            locks.warehouses(conn, TENANT, ["w-p"])
        assert night.result() == 2


def test_a_day_is_never_sold_twice(shop, put):
    for n in range(4):
        market(shop, f"w-crowd-{n}", "WK", units=999)
    put(
        house("w-k", "WK", capacity_per_day=20),
        house("w-l", "WK", region_code="west", capacity_per_day=7),
    )

    def place(n):
        wanted = (f"w-crowd-{n % 4}", 3), (f"w-crowd-{(n + 1) % 4}", 2)
        shop.place(f"crowd-{n}", *wanted, region_code="east")

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(place, range(36)))
    days = booked(shop, "w-k"), booked(shop, "w-l")
    assert max(days[0].values()) == 20
    assert all(units <= 7 for units in days[1].values())
    assert sum(sum(of.values()) for of in days) == 36 * 5


def test_the_supplier_is_told_where_and_when_it_leaves(shop, put):
    market(shop, "w-sold", "WD")
    put(house("w-d", "WD"))
    shop.place("w-19", ("w-sold", 1), region_code="east")
    shop.pay("w-19")
    hidden = Visibility.NOTHING
    with shop.transaction() as conn:
        (told,) = instructions_of(conn, None, TENANT, "WD", after=None, limit=9, visibility=hidden)
    assert [(line.warehouse_id, line.ships_on) for line in told.lines] == [("w-d", TODAY)]


def test_warehouses_are_put_whole_and_of_their_tenant(shop, put):
    christmas = house("w-2", "WA", closed_on=(date(2026, 12, 25),))
    assert put(house("w-1", "WA"), christmas) == 3
    assert put(house("w-1", "WA"), christmas) == 0
    assert put(house("w-1", "WA", cut_off_minutes=601), tenant="another") == 1
    assert put(house("w-1", "WA", cut_off_minutes=None)) == 3
    with shop.transaction("another") as conn:
        assert conn.execute("select cut_off_minutes from supply.warehouse").fetchall() == [(601,)]
    put(tenant="another")
    assert shop.sql("select warehouse_id, cut_off_minutes from supply.warehouse") == [("w-1", None)]
    assert shop.sql("select * from supply.warehouse_closure") == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege), shop.transaction() as conn:
        conn.execute("update supply.warehouse set cut_off_minutes = 1")
