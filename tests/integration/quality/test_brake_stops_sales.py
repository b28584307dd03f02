"""What the brake holds is not sold, listed, promoted or sent by somebody else, in the very transaction."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest
from held_skus import day, finding, night, override
from small_market import NOW, STRICT, TENANT

from models.supply.brake.ladder import Rules
from serving.orders.assortment import catalogue
from serving.orders.errors import DiscountRefusedError, OutOfStockError, SaleStoppedError
from serving.orders.fulfilment import fulfilment
from serving.orders.placing import placing
from serving.quality.judging import judge


@pytest.fixture(scope="module", autouse=True)
def plans(shop):
    shop.plan()


def goods(shop, sku, suppliers=("S1",), qty=1000, price=2000):
    shop.list(sku, price)
    for number, supplier in enumerate(suppliers):
        shop.supply(supplier, sku, qty, price=1000 + number)


@pytest.mark.parametrize(("level", "is_sold"), [(1, True), (2, True), (3, False), (4, False)])
def test_from_level_three_on_an_order_is_refused_with_the_reason(shop, level, is_sold):
    sku = f"sold-{level}"
    goods(shop, sku)
    night(shop, NOW, finding(sku, level))
    if is_sold:
        shop.place(f"{sku}-1", (sku, 1))
        return
    with pytest.raises(SaleStoppedError, match=f"{sku}.*level {level}.*above_.*_line") as refused:
        shop.place(f"{sku}-1", (sku, 1))
    assert (refused.value.status, refused.value.slug) == (409, "sale-stopped")
    assert shop.sql("select 1 from orders.customer_order where order_id = %(o)s", o=f"{sku}-1") == []
    assert shop.stock_of("S1", sku)[1] == 0


def test_one_stopped_sku_refuses_the_whole_order(shop):
    goods(shop, "fine")
    goods(shop, "stopped-beside")
    night(shop, NOW, finding("stopped-beside", 3))
    with pytest.raises(SaleStoppedError):
        shop.place("beside-1", ("fine", 1), ("stopped-beside", 1))
    assert shop.stock_of("S1", "fine")[1] == 0


def test_a_stopped_sku_is_listed_by_nobody_and_may_be_taken_off(shop):
    goods(shop, "delisted")
    night(shop, NOW, finding("delisted", 3))
    for merchant in ("m1", "m2"):
        with pytest.raises(SaleStoppedError), shop.transaction() as conn:
            catalogue.state_listings(conn, TENANT, [catalogue.Listing(merchant, "delisted", 900)], NOW)
    with shop.transaction() as conn:
        listing = catalogue.Listing("m1", "delisted", 900, is_listed=False)
        catalogue.state_listings(conn, TENANT, [listing], NOW)
    assert shop.sql("select list_price_cents, is_listed from orders.listing where sku_id = 'delisted'") == [
        (900, False)
    ]


def test_a_coupon_takes_nothing_off_a_limited_sku(shop):
    goods(shop, "limited")
    goods(shop, "usual")
    shop.place("limited-0", ("limited", 1), coupon_codes=[shop.off(100, issuer=("merchant", "m1"))])
    night(shop, NOW, finding("limited", 2))
    with pytest.raises(DiscountRefusedError):
        shop.place("limited-1", ("limited", 1), coupon_codes=[shop.off(100, issuer=("merchant", "m1"))])
    shop.place(
        "limited-2", ("limited", 1), ("usual", 1), coupon_codes=[shop.off(100, issuer=("merchant", "m1"))]
    )
    _, lines, _ = shop.read("limited-2")
    assert {line.sku_id: line.list_price_cents - line.net_paid_cents for line in lines} == {
        "limited": 0,
        "usual": 100,
    }


def test_a_rejected_line_of_a_stopped_sku_goes_to_nobody_else_and_is_refunded(shop):
    for sku in ("moved", "kept-back"):
        goods(shop, sku, suppliers=("S1", "S2"))
        shop.place(f"{sku}-1", (sku, 1))
        shop.pay(f"{sku}-1")
    night(shop, NOW, finding("kept-back", 3))
    assert shop.act(fulfilment.reject, "moved-1", "S1", "broken", NOW).refunded == {}
    refused = shop.act(fulfilment.reject, "kept-back-1", "S1", "broken", NOW)
    assert refused.refunded == {1: 2000}


def test_a_frozen_supplier_ships_nothing_until_the_sku_leaves_level_four(shop):
    goods(shop, "culprit", suppliers=("SF",))
    goods(shop, "bystander", suppliers=("SF",))
    night(shop, NOW, finding("culprit", 4, suppliers=["SF"]))
    with pytest.raises(OutOfStockError):
        shop.place("bystander-1", ("bystander", 1))
    override(shop, "culprit", 3)
    shop.place("bystander-2", ("bystander", 1))
    assert shop.sql("select lifted_at from quality.frozen_supplier where supplier_id = 'SF'") == [(NOW,)]


def test_nothing_is_sold_after_a_stop_is_committed(shop):
    """Sellers race a night: what is sold when it commits is all that is ever sold."""
    goods(shop, "raced", qty=10_000)
    sellers, orders = 12, 15
    begin = Barrier(sellers + 1)

    def sell(seller):
        begin.wait()
        sold = 0
        for number in range(orders):
            try:
                shop.place(f"race-{seller}-{number}", ("raced", 1))
            except SaleStoppedError:
                continue
            sold += 1
        return sold

    def stop():
        begin.wait()
        while not (seen := shop.stock_of("S1", "raced")[1]):
            pass
        with shop.transaction() as conn:
            judge(conn, TENANT, [finding("raced", 3)], Rules(), NOW)
            query = "select reserved_qty from orders.stock where sku_id = 'raced'"
            row = conn.execute(query).fetchone()
        return seen, row[0]

    with ThreadPoolExecutor(sellers + 1) as pool:
        stopped = pool.submit(stop)
        sold = sum(pool.map(sell, range(sellers)))
    seen, at_the_stop = stopped.result()
    assert 0 < seen <= at_the_stop == sold < sellers * orders
    assert shop.stock_of("S1", "raced")[1] == at_the_stop


def sell(conn, sku):
    order = placing.NewOrder(f"{sku}-open", "m1", "c1", [placing.WantedLine(sku, 1)])
    placing.place_order(conn, TENANT, order, STRICT, NOW)


def list_anew(conn, sku):
    catalogue.state_listings(conn, TENANT, [catalogue.Listing("m2", sku, 900)], NOW)


def send_by_another(conn, sku):
    fulfilment.reject(conn, TENANT, f"{sku}-1", "S1", "broken", NOW)


@pytest.mark.parametrize("act", [sell, list_anew, send_by_another])
def test_a_night_waits_until_whoever_has_looked_is_done(shop, act):
    """Otherwise it would commit between the look and the sale."""
    sku = f"looked-{act.__name__}"
    goods(shop, sku, suppliers=("S1", "S2"))
    shop.place(f"{sku}-1", (sku, 1))
    shop.pay(f"{sku}-1")
    with shop.transaction() as seller:
        act(seller, sku)
        with shop.transaction() as other:
            other.execute("set local lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                judge(other, TENANT, [finding(sku, 3)], Rules(), NOW)
            other.rollback()
    assert night(shop, NOW, finding(sku, 3)).raised == 1


def test_an_override_that_has_ended_binds_nobody_though_nobody_noticed(shop):
    goods(shop, "overridden")
    night(shop, NOW, finding("overridden", 3))
    override(shop, "overridden", 0, days=3)
    shop.place("overridden-1", ("overridden", 1), at=day(3).replace(microsecond=0) - (day(1) - day(0)))
    with pytest.raises(SaleStoppedError):
        shop.place("overridden-2", ("overridden", 1), at=day(3))
