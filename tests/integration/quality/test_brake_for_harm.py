"""A complaint about safety stops its sku in its own transaction, and merchants are told of the recall."""

import pytest
from held_skus import day, finding, held, night, override
from small_market import NOW, TENANT

from models.supply.brake.ladder import Level
from serving.orders.after_sales import after_sales
from serving.orders.errors import OutOfStockError, SaleStoppedError
from serving.orders.webhooks.recall_notices import tell_of_recalls


@pytest.fixture(scope="module", autouse=True)
def plans(shop):
    shop.plan()
    for merchant in ("m1", "m2"):
        shop.may_lose(10**12, merchant=merchant)
        shop.sql(
            "insert into orders.webhook_endpoint (tenant_id, endpoint_id, party_type, party_id, url,"
            " secret_enc) values (%(t)s, %(m)s || '-hook', 'merchant', %(m)s, 'https://shop.test', '')",
            t=TENANT,
            m=merchant,
        )


def sold(shop, sku, supplier, *orders):
    """Paid orders of a sku of a supplier, (order, merchant)."""
    for merchant in ("m1", "m2"):
        shop.list(sku, 2000, merchant=merchant)
    shop.supply(supplier, sku, 100)
    for order, merchant in orders:
        shop.place(order, (sku, 1), merchant=merchant)
        shop.pay(order)


def complain(shop, order, reason, at=NOW, **more):
    return shop.act(after_sales.open_case, order, 1, None, "complaint", reason, 0, at, **more)


def told(shop, sku):
    rows = shop.sql(
        "select endpoint_id, payload from orders.webhook_delivery where event_type = 'recall.opened'"
        " and payload ->> 'sku_id' = %(sku)s order by endpoint_id, object_id",
        sku=sku,
    )
    return [(endpoint, payload["reason_code"], payload["order_ids"]) for endpoint, payload in rows]


def test_nothing_more_is_sold_once_somebody_says_it_did_harm(shop):
    sold(shop, "harmful", "SH", ("h-1", "m1"), ("h-2", "m2"), ("h-3", "m1"))
    sold(shop, "beside", "SH")
    case = complain(shop, "h-1", "allergy")
    found = held(shop, "harmful")
    assert (found.level, found.reason_code) == (Level.RECALL, "safety_complaint")
    assert found.evidence == {"safety": 1, "case_id": case.case_id, "suppliers": ["SH"]}
    with pytest.raises(SaleStoppedError):
        shop.place("h-4", ("harmful", 1))
    with pytest.raises(OutOfStockError):  # its supplier is frozen
        shop.place("h-5", ("beside", 1))
    causes = shop.sql("select from_level, to_level, cause from quality.change where sku_id = 'harmful'")
    assert causes == [(0, 4, "complaint")]
    assert told(shop, "harmful") == [
        ("m1-hook", "safety_complaint", ["h-1", "h-3"]),
        ("m2-hook", "safety_complaint", ["h-2"]),
    ]
    # A second complaint, and telling again, tell nobody twice; the night keeps the level.
    complain(shop, "h-3", "过敏")
    shop.act(tell_of_recalls, NOW)
    night(shop, day(1), finding("harmful", 4, suppliers=["SH"]))
    assert len(told(shop, "harmful")) == 2
    assert held(shop, "harmful").level is Level.RECALL


@pytest.mark.parametrize("reason", ["quality", "changed_mind"])
def test_other_complaints_wait_for_the_night(shop, reason):
    sold(shop, reason, "SQ", (f"{reason}-1", "m1"))
    complain(shop, f"{reason}-1", reason)
    assert shop.sql("select 1 from quality.brake where sku_id = %(sku)s", sku=reason) == []
    shop.place(f"{reason}-2", (reason, 1))


def test_the_reasons_are_a_setting_and_a_freight_harms_nobody(shop):
    sold(shop, "set", "SS", ("set-1", "m1"))
    complain(shop, "set-1", "safety", safety_reasons={"burns"})
    shop.act(after_sales.open_case, "set-1", 0, "SS", "complaint", "safety", 0, NOW)
    assert shop.sql("select 1 from quality.brake where sku_id = 'set'") == []
    complain(shop, "set-1", "burns", safety_reasons={"burns"})
    assert held(shop, "set").level is Level.RECALL


def test_what_a_person_set_stays_in_force(shop):
    sold(shop, "looked-at", "SL", ("l-1", "m1"))
    night(shop, NOW, finding("looked-at", 2))
    override(shop, "looked-at", 1, days=3)
    complain(shop, "l-1", "injury")
    found = held(shop, "looked-at")
    assert (found.held_level, found.level) == (Level.RECALL, Level.WATCH)
    shop.place("l-2", ("looked-at", 1))
    assert told(shop, "looked-at") == []


def test_a_recall_that_a_person_sets_is_told_and_one_of_many_orders_in_parts(shop, monkeypatch):
    monkeypatch.setattr("serving.orders.webhooks.recall_notices.MOST_ORDERS", 2)
    sold(shop, "set-by-hand", "SB", *((f"b-{number}", "m1") for number in range(3)))
    override(shop, "set-by-hand", 4, days=3)
    assert told(shop, "set-by-hand") == [
        ("m1-hook", "inspected", ["b-0", "b-1"]),
        ("m1-hook", "inspected", ["b-2"]),
    ]
