"""What suppliers do not ship of their parts is kept, and read with what they do ship as their answers."""

import pytest
from small_market import NOW, TENANT

from pipelines.live import recorded
from serving.orders.fulfilment import fulfilment


@pytest.fixture(scope="module", autouse=True)
def plans(shop):
    shop.plan()


def answers(shop, url, order_id):
    rows = recorded.read(url, 0, tenant_id=TENANT).rows.get("supply_answers")
    mine = rows.filter(order_id=order_id).sort("line_no", "supplier_id")
    return mine.select("line_no", "supplier_id", "ordered_qty", "confirmed_qty").rows()


def test_a_whole_a_short_and_a_declined_line_are_answers(shop, module_database_url):
    for sku in ("ans-a", "ans-b"):
        shop.list(sku, 1_000)
        shop.supply("S1", sku, 9, price=600)
    shop.place("ans-1", ("ans-a", 2), ("ans-b", 3))
    shop.pay("ans-1")
    shop.act(fulfilment.accept, "ans-1", "S1", {2: 1}, NOW)
    assert answers(shop, module_database_url, "ans-1") == [(1, "S1", 2, 2), (2, "S1", 3, 1)]
    # Taken back: what was asked for first stands, nothing is shipped.
    shop.act(fulfilment.reject, "ans-1", "S1", "broken", NOW)
    assert answers(shop, module_database_url, "ans-1") == [(1, "S1", 2, 0), (2, "S1", 3, 0)]


def test_a_line_that_another_ships_is_an_answer_of_both(shop, module_database_url):
    shop.list("ans-c", 1_000)
    shop.supply("S1", "ans-c", 9, price=600)
    shop.supply("S2", "ans-c", 9, price=601)
    shop.place("ans-2", ("ans-c", 2))
    shop.pay("ans-2")
    shop.act(fulfilment.reject, "ans-2", "S1", "broken", NOW)
    assert answers(shop, module_database_url, "ans-2") == [(1, "S1", 2, 0)]
    shop.act(fulfilment.accept, "ans-2", "S2", {}, NOW)
    assert answers(shop, module_database_url, "ans-2") == [(1, "S1", 2, 0), (1, "S2", 2, 2)]
