"""What supervision holds is not sold, listed or routed to, in the very transaction."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest
from small_market import NOW, STRICT, TENANT
from supervised_market import OF_LEVEL, RULES, decide, listing, night, offer, put

from models.supply.supervision.ladder import Level
from serving.orders.assortment import catalogue
from serving.orders.errors import InvalidRequestError, ListingHeldError, OutOfStockError
from serving.orders.fulfilment import fulfilment
from serving.orders.placing import placing
from serving.purchasing.placing import place_stated
from serving.supervision.judging import judge


@pytest.fixture(scope="module", autouse=True)
def plans(shop):
    shop.plan()


def goods(shop, sku, suppliers=("S1",), qty=1000, merchants=("m1",)):
    for merchant in merchants:
        shop.list(sku, 2000, merchant=merchant)
    for number, supplier in enumerate(suppliers):
        shop.supply(supplier, sku, qty, price=1000 + number)


@pytest.mark.parametrize(("level", "is_sold"), [(1, True), (2, False), (3, False)])
def test_from_a_hold_on_the_merchant_sells_nothing_and_others_do(shop, level, is_sold):
    sku = f"held-{level}"
    goods(shop, sku, merchants=("m1", "m2"))
    put(shop, listing(sku), level)
    if is_sold:
        shop.place(f"{sku}-1", (sku, 1))
        return
    with pytest.raises(ListingHeldError, match=f"{sku}.*m1") as refused:
        shop.place(f"{sku}-1", (sku, 1))
    assert (refused.value.status, refused.value.slug) == (409, "listing-held")
    assert shop.stock_of("S1", sku)[1] == 0
    shop.may_lose(10**12, merchant="m2")
    shop.place(f"{sku}-2", (sku, 1), merchant="m2")


def test_what_is_held_may_be_put_right_and_what_was_taken_off_is_not_listed(shop):
    for sku, level in (("price-put-right", 2), ("taken-off", 3)):
        goods(shop, sku)
        put(shop, listing(sku), level)
    with shop.transaction() as conn:
        catalogue.state_listings(conn, TENANT, [catalogue.Listing("m1", "price-put-right", 2500)], NOW)
    both = [catalogue.Listing("m1", sku, 3000) for sku in ("price-put-right", "taken-off")]
    with pytest.raises(ListingHeldError, match="taken-off"), shop.transaction() as conn:
        catalogue.state_listings(conn, TENANT, both, NOW)
    with shop.transaction() as conn:
        off = catalogue.Listing("m1", "taken-off", 3000, is_listed=False)
        catalogue.state_listings(conn, TENANT, [off], NOW)
        catalogue.state_listings(conn, TENANT, [catalogue.Listing("m2", "taken-off", 3000)], NOW)
    rows = "select merchant_id, list_price_cents, is_listed from orders.listing where sku_id = 'taken-off'"
    assert sorted(shop.sql(rows)) == [("m1", 3000, False), ("m2", 3000, True)]


def test_a_held_offer_does_not_route_and_is_not_ordered_at_the_supplier(shop):
    goods(shop, "offered", suppliers=("SX", "SY"))
    goods(shop, "offered-too", suppliers=("SX",))
    put(shop, offer("offered", "SX"), 2)
    shop.place("offered-1", ("offered", 1))
    _, lines, _ = shop.read("offered-1")
    assert [line.supplier_id for line in lines] == ["SY"]  # SX is cheaper
    shop.place("offered-2", ("offered-too", 1))  # another sku of the same supplier goes on
    put(shop, offer("offered", "SY"), 2)
    with pytest.raises(OutOfStockError):
        shop.place("offered-3", ("offered", 1))
    with pytest.raises(InvalidRequestError, match="no offer in force"), shop.transaction() as conn:
        place_stated(conn, TENANT, "SX", {"offered": 5}, NOW, "test")


def test_a_rejected_line_does_not_go_to_a_held_offer(shop):
    goods(shop, "moved", suppliers=("SM", "SN"))
    shop.place("moved-1", ("moved", 1))
    shop.pay("moved-1")
    put(shop, offer("moved", "SN"), 2)
    assert shop.act(fulfilment.reject, "moved-1", "SM", "broken", NOW).refunded == {1: 2000}


def test_a_case_that_was_cleared_sells_at_once(shop):
    goods(shop, "cleared")
    found = put(shop, listing("cleared"), 3)
    with pytest.raises(ListingHeldError):
        shop.place("cleared-1", ("cleared", 1))
    decide(shop, found.case_id, "cleared")
    shop.place("cleared-1", ("cleared", 1))


def test_another_tenant_is_not_held(shop):
    goods(shop, "elsewhere")
    with shop.transaction("other") as conn:
        judge(conn, "other", {listing("elsewhere"): OF_LEVEL[Level.HOLD]}, RULES, NOW)
    shop.place("elsewhere-1", ("elsewhere", 1))


def test_nothing_is_sold_after_a_hold_is_committed(shop):
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
            except ListingHeldError:
                continue
            sold += 1
        return sold

    def hold():
        begin.wait()
        while not (seen := shop.stock_of("S1", "raced")[1]):
            pass
        with shop.transaction() as conn:
            judge(conn, TENANT, {listing("raced"): OF_LEVEL[Level.HOLD]}, RULES, NOW)
            row = conn.execute("select reserved_qty from orders.stock where sku_id = 'raced'").fetchone()
        return seen, row[0]

    with ThreadPoolExecutor(sellers + 1) as pool:
        held = pool.submit(hold)
        sold = sum(pool.map(sell, range(sellers)))
    seen, at_the_hold = held.result()
    assert 0 < seen <= at_the_hold == sold < sellers * orders
    assert shop.stock_of("S1", "raced")[1] == at_the_hold


def sell(conn, sku):
    order = placing.NewOrder(f"{sku}-open", "m1", "c1", [placing.WantedLine(sku, 1)])
    placing.place_order(conn, TENANT, order, STRICT, NOW)


def list_anew(conn, sku):
    catalogue.state_listings(conn, TENANT, [catalogue.Listing("m2", sku, 900)], NOW)


@pytest.mark.parametrize("act", [sell, list_anew])
def test_a_night_waits_until_whoever_has_looked_is_done(shop, act):
    """Otherwise it would commit between the look and the sale."""
    sku = f"looked-{act.__name__}"
    goods(shop, sku)
    found = {listing(sku): OF_LEVEL[Level.HOLD]}
    with shop.transaction() as seller:
        act(seller, sku)
        with shop.transaction() as other:
            other.execute("set local lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                judge(other, TENANT, found, RULES, NOW)
            other.rollback()
    assert night(shop, NOW, found).opened == 1
