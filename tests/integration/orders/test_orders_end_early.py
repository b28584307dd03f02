"""Orders that end before their time: unpaid ones, units of a line, freight by units, and who is told."""

import threading
from datetime import timedelta

import pytest
from small_market import NOW, TENANT

from serving.orders.after_sales import after_sales
from serving.orders.errors import ImpossibleMoveError, InvalidRequestError, NotFoundError
from serving.orders.fulfilment import fulfilment, receipts
from serving.orders.fulfilment.receipts import confirm_receipts_due
from serving.orders.placing import placing
from serving.orders.placing.cancelling import PATIENCE, cancel_units, expire_unpaid
from serving.orders.settling import release_due
from serving.orders.webhooks import webhooks
from serving.privacy.data_keys import Vault
from serving.settings import Settings

pytestmark = pytest.mark.xdist_group("orders_end_early")  # one world for all, in order

DAY = timedelta(days=1)


@pytest.fixture(scope="module", autouse=True)
def market(shop, tmp_path_factory):
    shop.plan()
    for party_type, party_id in (("merchant", "m1"), ("supplier", "S1"), ("supplier", "S2")):
        shop.sql(
            "insert into parties.party (tenant_id, party_type, party_id, is_verified)"
            " values (%(tenant)s, %(type)s, %(id)s, true) on conflict do nothing",
            tenant=TENANT,
            type=party_type,
            id=party_id,
        )
    vault = Vault.of(
        Settings(home=tmp_path_factory.mktemp("home"), database_url="postgresql://unused/unused")
    )
    with shop.transaction() as conn:
        webhooks.add_endpoint(conn, vault, TENANT, "merchant", "m1", "https://shop.example/hook")
        webhooks.add_endpoint(conn, vault, TENANT, "supplier", "S1", "https://s1.example/hook")


def told(shop, event, order_id):
    rows = shop.sql(
        "select object_id from orders.webhook_delivery where event_type = %(event)s"
        " and payload ->> 'order_id' = %(order)s order by delivery_id",
        event=event,
        order=order_id,
    )
    return [object_id for (object_id,) in rows]


def sell(shop, name, qty, *, price=1000, freight=0, has=50):
    """An order of one line at S1."""
    shop.list(name, price)
    shop.supply("S1", name, has, price=600, freight=freight)
    shop.place(name, (name, qty))


def ship(shop, order_id, supplier="S1", at=NOW):
    shop.act(fulfilment.accept, order_id, supplier, {}, at)
    parcel = fulfilment.Parcel(f"sh-{order_id}-{supplier}", at + 3 * DAY, at)
    return shop.act(fulfilment.ship, order_id, supplier, parcel)


def test_an_order_that_nobody_pays_ends_after_30_minutes_and_frees_its_stock(shop):
    sell(shop, "unpaid", 3)
    assert expire_unpaid(shop.transaction, TENANT, NOW + PATIENCE - timedelta(seconds=1)) == 0
    assert shop.stock_of("S1", "unpaid") == (50, 3, 47)
    assert expire_unpaid(shop.transaction, TENANT, NOW + PATIENCE) == 1
    order, lines, parts = shop.read("unpaid")
    assert (order.status, lines[0].reserved_qty, parts[0].status) == ("cancelled", 0, "cancelled")
    assert shop.stock_of("S1", "unpaid") == (50, 0, 50)
    assert told(shop, "order.expired", "unpaid") == ["unpaid"]
    assert expire_unpaid(shop.transaction, TENANT, NOW + DAY) == 0


def test_a_paid_order_does_not_expire_and_patience_is_a_setting(shop):
    sell(shop, "patient", 1)
    shop.pay("patient")
    sell(shop, "waits", 1)
    assert expire_unpaid(shop.transaction, TENANT, NOW + DAY, timedelta(days=2)) == 0
    assert expire_unpaid(shop.transaction, TENANT, NOW + DAY) == 1
    assert shop.read("patient")[0].status == "paid"
    assert shop.read("waits")[0].status == "cancelled"


def test_two_jobs_and_payments_at_once_end_an_order_once(shop):
    names = [f"race-{n}" for n in range(6)]
    for name in names:
        sell(shop, name, 1)
    counts, refused = [], []

    def pay(name):
        try:
            shop.pay(name)
        except ImpossibleMoveError:
            refused.append(name)

    work = [lambda: counts.append(expire_unpaid(shop.transaction, TENANT, NOW + DAY)) for _ in range(2)]
    work += [lambda name=name: pay(name) for name in names[:3]]
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # One that was being paid just then was passed over by the jobs: the next run finds it, unless it is paid.
    counts.append(expire_unpaid(shop.transaction, TENANT, NOW + DAY))
    states = [shop.read(name)[0].status for name in names]
    assert sum(counts) == states.count("cancelled")
    assert set(states) <= {"cancelled", "paid"}
    assert states.count("paid") + len(refused) == 3
    assert all(shop.stock_of("S1", n)[1] == (s == "paid") for n, s in zip(names, states, strict=True))


def test_ten_units_with_five_yuan_freight_each_of_which_one_is_shipped_give_45_back(shop):
    sell(shop, "freight", 10, freight=500)
    before = shop.balances()
    shop.pay("freight")
    outcome = shop.act(fulfilment.accept, "freight", "S1", {1: 1}, NOW)
    assert outcome.refunded == {1: 9000}
    order, _, parts = shop.read("freight")
    assert parts[0].refunded_freight_cents == 4500
    assert order.refunded_cents == 9000 + 4500
    assert shop.moved(before)["supplier_pending", "S1"] == 600 + 500


def test_units_of_a_paid_line_are_cancelled_with_their_freight(shop):
    """5 x 10.00 and 5 x 1.00 freight: 2 cancelled give 22.00 back, the next 2 the same, the last the rest."""
    sell(shop, "part", 5, freight=100)
    before = shop.balances()
    shop.pay("part")
    done = shop.act(cancel_units, "part", 1, 2, NOW)
    assert (done.left_qty, done.refund_cents, done.freight_cents, done.order_status) == (3, 2000, 200, "paid")
    assert shop.stock_of("S1", "part") == (50, 3, 47)
    assert shop.moved(before)["supplier_pending", "S1"] == 3 * 600 + 300
    assert told(shop, webhooks.INSTRUCTION, "part") == ["part:S1:paid", "part:S1:line-1-left-3"]
    shop.act(fulfilment.accept, "part", "S1", {}, NOW)
    done = shop.act(cancel_units, "part", 1, 2, NOW)
    assert (done.left_qty, done.refund_cents, done.freight_cents) == (1, 2000, 200)
    done = shop.act(cancel_units, "part", 1, 1, NOW)
    assert (done.left_qty, done.refund_cents, done.freight_cents) == (0, 1000, 100)
    assert done.order_status == "refunded"
    assert shop.read("part")[2][0].status == "cancelled"
    assert len(told(shop, "sub_order.cancelled", "part")) == 1
    assert shop.moved(before) == {}
    assert shop.stock_of("S1", "part") == (50, 0, 50)


def test_cancelled_units_and_a_short_line_share_one_freight(shop):
    """3 units, 1.00 freight for each: 1 cancelled, then 1 of 2 is short: 1.00 goes back each time."""
    sell(shop, "both", 3, freight=100)
    shop.pay("both")
    assert shop.act(cancel_units, "both", 1, 1, NOW).freight_cents == 100
    assert shop.act(fulfilment.accept, "both", "S1", {1: 1}, NOW).refunded == {1: 1000}
    order, _, parts = shop.read("both")
    assert (order.refunded_cents, parts[0].refunded_freight_cents) == (2000 + 200, 200)


def test_what_cannot_be_cancelled(shop):
    sell(shop, "cannot", 2)
    with pytest.raises(ImpossibleMoveError):
        shop.act(cancel_units, "cannot", 1, 1, NOW)
    shop.pay("cannot")
    with pytest.raises(NotFoundError):
        shop.act(cancel_units, "cannot", 2, 1, NOW)
    with pytest.raises(InvalidRequestError):
        shop.act(cancel_units, "cannot", 1, 3, NOW)
    ship(shop, "cannot")
    with pytest.raises(ImpossibleMoveError):
        shop.act(cancel_units, "cannot", 1, 1, NOW)
    assert shop.read("cannot")[0].refunded_cents == 0


def test_a_receipt_by_time_does_what_a_receipt_does(shop):
    for name in ("by-shop", "by-time"):
        sell(shop, name, 1)
        shop.pay(name)
        ship(shop, name)
    shop.act(receipts.confirm_receipt, "by-shop", None, NOW + 10 * DAY)
    assert confirm_receipts_due(shop.transaction, TENANT, NOW + 12 * DAY) >= 1
    for name in ("by-shop", "by-time"):
        order, _, parts = shop.read(name)
        assert (order.status, parts[0].status) == ("received", "received")
        assert (parts[0].received_at, parts[0].release_due_at) == (NOW + 10 * DAY, NOW + 17 * DAY)
        assert shop.sql(
            "select delivered_at from orders.shipment where order_id = %(order)s", order=name
        ) == [(NOW + 10 * DAY,)]
        assert told(shop, "sub_order.received", name) == [f"{name}:S1"]


def test_an_open_case_stops_release_whatever_was_refunded_on_it(shop):
    """One fen of 10.00 given back: the rest waits until the case is closed."""
    sell(shop, "open", 10)
    shop.pay("open")
    ship(shop, "open")
    case = shop.agreed_case("open", 1, None, "complaint", "broken", 10_000, NOW)
    shop.act(receipts.confirm_receipt, "open", None, NOW)
    refunded = shop.act(after_sales.refund_case, case.case_id, 1, NOW)
    assert refunded.case.status == "open"
    with pytest.raises(ImpossibleMoveError):
        shop.act(after_sales.end_case, case.case_id, "reject", NOW)
    release_due(shop.transaction, TENANT, NOW + 20 * DAY)
    assert shop.read("open")[2][0].status == "received"
    shop.act(after_sales.end_case, case.case_id, "close", NOW)
    release_due(shop.transaction, TENANT, NOW + 20 * DAY)
    assert shop.read("open")[2][0].status == "released"


def test_a_case_that_got_all_it_asked_for_has_ended(shop):
    sell(shop, "all", 10)
    shop.pay("all")
    ship(shop, "all")
    case = shop.agreed_case("all", 1, None, "complaint", "broken", 100, NOW)
    shop.act(receipts.confirm_receipt, "all", None, NOW)
    assert shop.act(after_sales.refund_case, case.case_id, 40, NOW).case.status == "open"
    assert shop.act(after_sales.refund_case, case.case_id, 60, NOW).case.status == "refunded"
    release_due(shop.transaction, TENANT, NOW + 20 * DAY)
    assert shop.read("all")[2][0].status == "released"


def test_an_unpaid_order_is_cancelled_once(shop):
    sell(shop, "once", 1)
    shop.act(placing.cancel_order, "once")
    assert expire_unpaid(shop.transaction, TENANT, NOW + DAY) == 0
