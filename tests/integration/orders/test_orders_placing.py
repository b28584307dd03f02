import threading
from collections import Counter
from datetime import timedelta

import pytest
from small_market import NOW, TENANT

from serving.orders.assortment import catalogue, stock
from serving.orders.errors import (
    ImpossibleMoveError,
    InvalidRequestError,
    NotFoundError,
    NotListedError,
    OutOfStockError,
)
from serving.orders.fulfilment import routing_review
from serving.orders.placing import placing


def test_the_worked_basket_is_priced_to_the_fen(shop):
    """Coupon 50.00 falls 23.15 / 16.13 / 10.72; freight 8.00 of S2; 236.60 to pay."""
    shop.supply("S1", "A", 5, price=7000)
    shop.supply("S2", "B", 5, price=4800, freight=200)
    shop.supply("S2", "C", 5, price=990, freight=200)
    for sku, price in (("A", 12900), ("B", 8990), ("C", 1990)):
        shop.list(sku, price)
    shop.place("w1", ("A", 1), ("B", 1), ("C", 3), coupon_codes=[shop.off(5000)])
    order, lines, subs = shop.read("w1")
    assert (order.status, order.payable_cents, order.freight_cents) == ("placed", 23660, 800)
    assert order.coupon_discount_cents == 5000
    assert [line.coupon_discount_cents for line in lines] == [2315, 1613, 1072]
    assert [line.net_paid_cents for line in lines] == [10585, 7377, 4898]
    assert [line.supply_price_cents for line in lines] == [7000, 4800, 2970]
    assert [(sub.supplier_id, sub.status, sub.freight_cents) for sub in subs] == [
        ("S1", "pending", 0),
        ("S2", "pending", 800),
    ]
    assert shop.stock_of("S2", "C") == (5, 3, 2)


def test_a_line_that_nobody_has_whole_becomes_several_lines(shop):
    shop.list("split", 500)
    shop.supply("S1", "split", 2, price=100)
    shop.supply("S2", "split", 3, price=200)
    shop.place("sp", ("split", 4))
    _, lines, subs = shop.read("sp")
    assert [(line.line_no, line.supplier_id, line.qty, line.supply_price_cents) for line in lines] == [
        (1, "S1", 2, 200),
        (2, "S2", 2, 400),
    ]
    assert [line.list_price_cents for line in lines] == [1000, 1000]
    assert len(subs) == 2


def test_two_lines_of_one_sku_share_its_stock(shop):
    shop.list("twice", 500)
    shop.supply("S1", "twice", 3)
    shop.place("tw", ("twice", 1), ("twice", 2))
    assert shop.stock_of("S1", "twice") == (3, 3, 0)
    with pytest.raises(OutOfStockError):
        shop.place("tw2", ("twice", 1))


def test_what_cannot_be_had_leaves_no_trace(shop):
    shop.list("few", 500)
    shop.list("plenty", 500)
    shop.supply("S1", "few", 2, buffer=1)
    shop.supply("S1", "plenty", 9)
    with pytest.raises(OutOfStockError) as caught:
        shop.place("none", ("plenty", 2), ("few", 2))
    assert caught.value.missing == (("few", 1, "short_stock"),)
    assert shop.stock_of("S1", "plenty") == (9, 0, 9)
    assert shop.sql("select count(*) from orders.customer_order where order_id = 'none'") == [(0,)]
    with pytest.raises(NotFoundError):
        shop.read("none")


def test_only_what_the_merchant_lists_from_whom_is_active(shop):
    with pytest.raises(NotListedError, match="'ghost'"):
        shop.place("g", ("ghost", 1))
    shop.list("idle", 500)
    shop.supply("gone", "idle", 5)
    shop.sql(
        "insert into parties.party (tenant_id, party_type, party_id, is_active)"
        " values ('default', 'supplier', 'gone', false)"
    )
    with pytest.raises(OutOfStockError):
        shop.place("i", ("idle", 1))
    with shop.transaction() as conn:
        catalogue.put_listings(conn, TENANT, [catalogue.Listing("m1", "idle", 500, is_listed=False)])
    with pytest.raises(NotListedError):
        shop.place("i", ("idle", 1))


def test_agents_and_role_holders_must_be_known(shop):
    shop.list("known", 500)
    shop.supply("S1", "known", 5)
    with pytest.raises(InvalidRequestError, match="agent_id"):
        shop.place("k", ("known", 1), agent_id="nobody")
    shop.agent("a1")
    shop.place("k", ("known", 1), agent_id="a1")
    assert shop.read("k")[0].agent_id == "a1"


def test_cancelling_gives_the_stock_back_once(shop):
    shop.list("back", 500)
    shop.supply("S1", "back", 3)
    shop.place("b", ("back", 2))
    with shop.transaction() as conn:
        placing.cancel_order(conn, TENANT, "b")
    assert shop.stock_of("S1", "back") == (3, 0, 3)
    order, lines, subs = shop.read("b")
    assert (order.status, subs[0].status, lines[0].reserved_qty) == ("cancelled", "cancelled", 0)
    with pytest.raises(ImpossibleMoveError), shop.transaction() as conn:
        placing.cancel_order(conn, TENANT, "b")
    assert shop.stock_of("S1", "back") == (3, 0, 3)


def race(shop, buyers, order):
    """Every buyer at the same moment; the outcomes by kind."""
    outcomes = Counter()
    gate = threading.Barrier(buyers)
    lock = threading.Lock()

    def buy(number):
        gate.wait()
        try:
            order(number)
            outcome = "placed"
        except OutOfStockError:
            outcome = "out of stock"
        except Exception as error:  # noqa: BLE001 - counted and compared below
            outcome = repr(error)
        with lock:
            outcomes[outcome] += 1

    threads = [threading.Thread(target=buy, args=(number,)) for number in range(buyers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return dict(outcomes)


def test_of_64_buyers_of_the_last_unit_exactly_one_wins(shop):
    shop.list("last", 500)
    shop.supply("S1", "last", 1)
    outcomes = race(shop, 64, lambda n: shop.place(f"last-{n}", ("last", 1)))
    assert outcomes == {"placed": 1, "out of stock": 63}
    assert shop.stock_of("S1", "last") == (1, 1, 0)
    assert shop.sql("select count(*) from orders.order_line where sku_id = 'last'") == [(1,)]


def test_crossing_baskets_neither_deadlock_nor_oversell(shop):
    """Baskets name two skus in both orders, stock lies at two suppliers; 7 units of the scarcer sku."""
    for sku in ("x", "y"):
        shop.list(sku, 500)
    for supplier, x, y in (("S1", 4, 30), ("S2", 3, 30)):
        shop.supply(supplier, "x", x)
        shop.supply(supplier, "y", y)
    lines = [("x", 1), ("y", 1)]
    outcomes = race(shop, 16, lambda n: shop.place(f"xy-{n}", *(lines if n % 2 else reversed(lines))))
    assert outcomes == {"placed": 7, "out of stock": 9}
    assert shop.stock_of("S1", "x") == (4, 4, 0)
    assert shop.stock_of("S2", "x") == (3, 3, 0)
    reserved = shop.sql("select sum(reserved_qty)::int from orders.stock where sku_id = 'y'")
    assert reserved == [(7,)]


def test_the_latest_count_wins_by_its_own_time(shop):
    later = NOW + timedelta(hours=1)
    with shop.transaction() as conn:
        report = stock.StockReport

        def send(qty, at, buffer=0):
            return stock.report_stock(conn, TENANT, "feed", [report("f", qty, buffer, at)], later)

        assert send(10, later) == ["f"]
        assert send(99, NOW) == []
        assert send(99, later) == []
        assert send(4, later + timedelta(seconds=1), buffer=1) == ["f"]
    assert shop.stock_of("feed", "f") == (4, 0, 3)
    moves = shop.sql(
        "select qty_delta, reason from orders.stock_movement where supplier_id = 'feed' order by movement_id"
    )
    assert moves == [(10, "inbound"), (-6, "adjust")]


def test_a_count_does_not_resurrect_what_left_after_it(shop):
    """10 counted at 8:00; 3 leave at 9:00; a count of 8:30 says 10 and arrives at 10:00: 7 are there."""
    shop.list("left", 500)
    shop.supply("S9", "left", 10)
    shop.place("left-1", ("left", 3))
    with shop.transaction() as conn:
        stock.ship(conn, TENANT, "left-1", {("S9", "left", None): 3}, NOW + timedelta(hours=1))
    assert shop.stock_of("S9", "left") == (7, 0, 7)
    with shop.transaction() as conn:
        count = stock.StockReport("left", 10, 0, NOW + timedelta(minutes=30))
        stock.report_stock(conn, TENANT, "S9", [count], NOW + timedelta(hours=2))
    assert shop.stock_of("S9", "left") == (7, 0, 7)


def test_a_count_below_what_is_reserved_promises_nothing_more(shop):
    shop.list("shrunk", 500)
    shop.supply("S9", "shrunk", 5)
    shop.place("shrunk-1", ("shrunk", 4))
    with shop.transaction() as conn:
        stock.report_stock(conn, TENANT, "S9", [stock.StockReport("shrunk", 2, 0, NOW + timedelta(1))], NOW)
    assert shop.stock_of("S9", "shrunk") == (2, 4, 0)
    with pytest.raises(OutOfStockError):
        shop.place("shrunk-2", ("shrunk", 1))


def test_an_older_statement_of_terms_changes_nothing(shop):
    shop.list("terms", 500)
    shop.supply("S1", "terms", 5, price=300, at=NOW + timedelta(hours=1))
    with shop.transaction() as conn:
        old = catalogue.Offer("S1", "terms", 1, 0, 1, NOW)
        assert catalogue.put_offers(conn, TENANT, [old]) == []
    shop.place("t", ("terms", 1))
    assert shop.read("t")[1][0].supply_price_cents == 300


def test_the_review_finds_the_split_that_routing_together_would_have_saved(shop):
    """rv1 takes one of the two cheap units, so rv2 is split (600): the other way round nothing is."""

    def review():
        with shop.transaction() as conn:
            start, end = NOW - timedelta(days=1), NOW + timedelta(days=1)
            return routing_review.review_routing(conn, TENANT, start, end)

    before = review()
    shop.list("rv", 9000)
    shop.supply("S1", "rv", 2, price=100)
    shop.supply("S2", "rv", 1, price=150)
    shop.place("rv1", ("rv", 1))
    shop.place("rv2", ("rv", 2))
    after = review()
    assert after.cost_cents - before.cost_cents == 100 + 100 + 150 + 600
    assert after.exact_cents - before.exact_cents == 200 + 150
    assert after.bound_cents <= after.exact_cents
    assert f"at most {after.exact_cents - after.bound_cents} above the least" in str(after)
