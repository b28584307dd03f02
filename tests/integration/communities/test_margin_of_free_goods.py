"""Goods that cost the buyer nothing cost their supply price while the buyer keeps them, and not any more."""

from datetime import timedelta

import pytest
from small_market import NOW, TENANT, Shop

from serving.communities import health, records
from serving.db.operations import Operations
from serving.experiments.metrics import MARGIN
from serving.orders.after_sales import after_sales, returns
from serving.orders.coupons.programme import Share
from serving.orders.fulfilment import fulfilment
from serving.orders.placing import cancelling
from serving.orders.promotions import records as promotions
from serving.orders.promotions.claims import Wanted
from serving.orders.promotions.document import NewPromotion


@pytest.fixture
def shop(database_url):
    with Operations(database_url, size=4) as operations:
        made = Shop(database_url, operations)
        made.plan()
        made.may_lose(10**9)
        made.sql(
            "insert into parties.party (tenant_id, party_type, party_id, is_verified, has_contract)"
            " values (%(t)s, 'merchant', 'm1', true, true)",
            t=TENANT,
        )
        yield made


def margins(shop):
    """Of the community in this week, and of all lines as experiments and journeys reckon it, fen."""
    with shop.transaction() as conn:
        (week,) = health.weeks_of(conn, TENANT, "UTC", NOW, 1, ("m1", "mothers"))
    return week.margin_cents, shop.sql(f"select sum({MARGIN})::bigint from orders.order_line l")[0][0]


def of_community(shop, orders, gifts):
    """Paid orders of a member: goods of 100.00 (supply 40.00) with so many gifts of 20.00 (supply 12.00)."""
    new = records.NewCommunity("mothers", "m1", "Mothers", "food", "Be kind.", "merchant", "m1")
    shop.act(records.make, new, "test", NOW)
    shop.act(records.join, "m1", "mothers", "ann", "shop", NOW)
    for sku, price, supplier, supply in (("sku", 10_000, "S1", 4_000), ("gift", 2_000, "S2", 1_200)):
        shop.list(sku, price)
        shop.supply(supplier, sku, 10, price=supply)
    new = NewPromotion(
        merchant_id="m1", kind="gift", title="gift", sku_ids=("gift",), starts_at=NOW,
        ends_at=NOW + timedelta(days=3),
        funders=(Share(party_type="merchant", share_bps=10_000, party_id="m1"),),
        budget_cents=10**6, budget_count=10, per_consumer_qty=5, stock_qty=5, min_goods_cents=10_000,
    )  # fmt: skip
    made = shop.act(promotions.propose, new, ("merchant", "m1"), "key:maker", NOW)
    shop.act(promotions.approve, made.promotion_id, "key:other", NOW)
    for order_id in orders:
        shop.place(order_id, ("sku", 1), ("gift", gifts), consumer="ann", promotion=Wanted(made.promotion_id))
        shop.pay(order_id)


def test_of_three_gifts_each_costs_its_supply_price_until_it_is_back(shop):
    """60.00 less 36.00; one is cancelled: less 24.00; one comes back: less 12.00 for the one that is kept."""
    of_community(shop, ["three"], 3)
    assert margins(shop) == (2_400, 2_400)
    shop.act(cancelling.cancel_units, "three", 2, 1, NOW)
    assert margins(shop) == (3_600, 3_600)
    shop.act(fulfilment.accept, "three", "S2", {}, NOW)
    shop.act(fulfilment.ship, "three", "S2", fulfilment.Parcel("p", NOW + timedelta(days=2), NOW), NOW)
    case = shop.agreed_case("three", 2, None, "return", "changed_mind", 0, NOW, 1)
    shop.act(returns.receive_back, case.case_id, 1, 1, NOW)
    shop.act(after_sales.refund_case, case.case_id, 0, NOW)
    shop.act(after_sales.end_case, case.case_id, "close", NOW)
    assert margins(shop) == (4_800, 4_800)


def test_the_margin_of_a_community_bears_a_gift_until_it_is_back(shop):
    of_community(shop, ["sent", "waits"], 1)
    assert margins(shop) == (9_600, 9_600)

    shop.act(cancelling.cancel_units, "waits", 2, 1, NOW)
    assert margins(shop) == (10_800, 10_800)

    shop.act(fulfilment.accept, "sent", "S2", {}, NOW)
    shop.act(fulfilment.ship, "sent", "S2", fulfilment.Parcel("p", NOW + timedelta(days=2), NOW), NOW)
    case = shop.agreed_case("sent", 2, None, "return", "changed_mind", 0, NOW, 1)
    shop.act(returns.receive_back, case.case_id, 1, 1, NOW)
    assert margins(shop) == (10_800, 10_800)
    shop.act(after_sales.refund_case, case.case_id, 0, NOW)
    assert margins(shop) == (12_000, 12_000)
