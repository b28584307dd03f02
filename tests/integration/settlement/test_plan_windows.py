"""The automatic receipt and the wait after it are those of the plan that an order was paid under."""

from settlement_books import DAY, LONG_AGO, PAID, plan
from settlement_sales import sale

from serving.orders.fulfilment.receipts import confirm_receipts_due
from serving.settlement.plans.loader import plan_document
from serving.settlement.plans.store import publish_plan


def patient_plan(books):
    """The strict plan with receipt on day 12 and a wait of 14 days."""
    document = plan_document(plan())
    del document["content_hash"]
    document["plan_id"] = "patient"
    for rule in document["rules"]:
        if rule["stage"] == "release":
            rule |= {"auto_receipt_days": 12, "wait_days_after_receipt": 14}
    return books.do(publish_plan, document, LONG_AGO)


def ship(books, order_id, version):
    with books.transactions() as conn:
        conn.execute(
            "update orders.customer_order set plan_id = %s, plan_version = %s where order_id = %s",
            (version.plan_id, version.version, order_id),
        )
        conn.execute(
            "update orders.sub_order set shipped_at = %s where order_id = %s", (PAID + DAY, order_id)
        )


def test_each_order_waits_as_long_as_its_own_plan_says(books):
    books.party("supplier", "S1")
    books.party("merchant", "m1")
    for order_id, version in (("patient", patient_plan(books)), ("usual", plan())):
        books.sell(sale(order_id), version, status="shipped")
        ship(books, order_id, version)
    assert confirm_receipts_due(books.transactions, books.tenant, PAID + 12 * DAY) == 1
    assert confirm_receipts_due(books.transactions, books.tenant, PAID + 13 * DAY) == 1
    assert dict(books.rows("select order_id, release_due_at - shipped_at from orders.sub_order")) == {
        "patient": 26 * DAY,
        "usual": 17 * DAY,
    }
    books.release(PAID + 26 * DAY)
    assert books.rows("select order_id from settlement.leg where state = 'released' group by 1") == [
        ("usual",)
    ]
    books.release(PAID + 27 * DAY)
    assert books.violations() == []
