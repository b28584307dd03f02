"""What rows say is the same once the migrations that keep it were taken back and done again."""

from datetime import timedelta

import pytest
from small_market import NOW, TENANT, Shop

from serving.communities import records
from serving.db import migrate
from serving.db.operations import Operations
from serving.orders.after_sales import after_sales, returns
from serving.orders.fulfilment import fulfilment
from serving.orders.placing import cancelling


@pytest.fixture
def shop(database_url):
    with Operations(database_url, size=4) as operations:
        made = Shop(database_url, operations)
        made.plan()
        yield made


def again(shop, revision):
    """Take back what came after a revision, and do it again."""
    shop.operations.close()
    migrate.downgrade(shop.url, revision)
    migrate.upgrade(shop.url)
    return Operations(shop.url, size=4)


def test_members_and_activities_keep_their_shop(shop):
    for merchant, name in (("m1", "mothers"), ("m2", "fathers")):
        new = records.NewCommunity(name, merchant, name, "food", "Be kind.", "merchant", merchant)
        shop.act(records.make, new, "test", NOW)
        shop.act(records.join, merchant, name, "ann", "shop", NOW)
        activity = records.Activity("a", "A tasting", "Taste.", "tasting", NOW, NOW + timedelta(days=1))
        shop.act(records.plan_activity, merchant, name, activity, "test", NOW)
    shop.act(records.leave, "m1", "mothers", "ann", NOW)
    shop.act(records.join, "m1", "mothers", "ann", "shop", NOW)
    with again(shop, "0087") as operations, operations.transaction(TENANT) as conn:
        for table, rows in (("member", 3), ("activity", 2)):
            found = conn.execute(
                f"select merchant_id, community_id from communities.{table} order by 1".encode()
            ).fetchall()
            assert sorted(set(found)) == [("m1", "mothers"), ("m2", "fathers")]
            assert len(found) == rows
        assert records.find(conn, TENANT, "m1", "mothers").members == 1


def test_what_cost_nothing_and_went_back_is_gone_unit_by_unit(shop):
    shop.list("sample", 0)
    shop.supply("S1", "sample", 100, price=200)
    shop.may_lose(10**9)
    for order_id in ("kept", "returned", "cancelled"):
        shop.place(order_id, ("sample", 3))
        shop.pay(order_id)
        if order_id == "cancelled":
            shop.act(cancelling.cancel_units, order_id, 1, 3, NOW)
            continue
        shop.act(fulfilment.accept, order_id, "S1", {}, NOW)
        parcel = fulfilment.Parcel(order_id, NOW + timedelta(days=2), NOW)
        shop.act(fulfilment.ship, order_id, "S1", parcel, NOW)
    case = shop.agreed_case("returned", 1, None, "return", "changed_mind", 0, NOW, 3)
    shop.act(returns.receive_back, case.case_id, 3, 3, NOW)
    shop.act(after_sales.refund_case, case.case_id, 0, NOW)
    units = (
        "select l.order_id, l.back_qty, r.units_gone from orders.order_line l left join settlement.refund r"
        " using (tenant_id, order_id, line_no) order by 1"
    )
    before = shop.sql(units)
    assert before == [("cancelled", 0, 3), ("kept", 0, None), ("returned", 3, 3)]
    with again(shop, "0090") as operations, operations.transaction(TENANT) as conn:
        assert conn.execute(units).fetchall() == before


def test_units_that_left_are_told_by_what_was_paid_back(shop):
    shop.list("tea", 1_001)
    shop.supply("S1", "tea", 100, price=400)
    for order_id, qty, cancelled in (("whole", 3, 0), ("part", 7, 2), ("waits", 2, 1)):
        shop.place(order_id, ("tea", qty))
        shop.pay(order_id)
        if cancelled:
            shop.act(cancelling.cancel_units, order_id, 1, cancelled, NOW)
        shop.act(fulfilment.accept, order_id, "S1", {}, NOW)
        if order_id != "waits":
            parcel = fulfilment.Parcel(order_id, NOW + timedelta(days=2), NOW)
            shop.act(fulfilment.ship, order_id, "S1", parcel, NOW)
    sent = "select order_id, sent_qty, reserved_qty from orders.order_line order by 1"
    before = shop.sql(sent)
    assert before == [("part", 5, 0), ("waits", 0, 1), ("whole", 3, 0)]
    with again(shop, "0089") as operations, operations.transaction(TENANT) as conn:
        assert conn.execute(sent).fetchall() == before
