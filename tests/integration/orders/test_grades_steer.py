"""Published grades steer who ships, by the door that places orders, where the operator wants it."""

from datetime import date
from types import SimpleNamespace

import pytest
from published_rows import manifest_of, rows_of
from small_market import NOW, STRICT, TENANT

from serving.api.orders.order_work import routing_cost_of
from serving.orders.fulfilment import fulfilment
from serving.orders.placing import placing
from serving.orders.routing.contracts import CostParameters
from serving.scores.loader import publish
from serving.settings import Settings

STEERED = CostParameters(grade_penalty_bps=100)


@pytest.fixture(scope="module", autouse=True)
def published(shop, module_database_url):
    """SA is A, SC is C; SB is A as a whole and D in the category `leaf`; nothing is known of SX."""
    shop.plan()
    rest = (None, 0.9, 0.8, 1.0, 0.9, 0.9, None)
    day, text = date(2025, 6, 30), "[]"
    grades = [
        (name, grade, *rest, 1, 9, day, text) for name, grade in (("SA", "A"), ("SB", "A"), ("SC", "C"))
    ]
    rows = rows_of("v1") | {
        "supplier_grades": grades,
        "channel_scores": [
            ("SB", "leaf", 1, "D", *rest, 9, day, text),
            ("SB", "root", 1, "A", *rest, 9, day, text),
        ],
    }
    publish(module_database_url, manifest_of("v1", rows), rows)


def supplier_of(shop, order):
    rows = shop.sql("select supplier_id from orders.order_line where order_id = %(o)s", o=order)
    return [supplier for (supplier,) in rows]


def offered(shop, sku, **prices):
    shop.list(sku, 100_000)
    for supplier, price in prices.items():
        shop.supply(supplier, sku, 9, price=price)


def place(shop, order, sku, cost=STEERED):
    wanted = placing.NewOrder(order, "m1", "c1", [placing.WantedLine(sku, 1)])
    with shop.transaction() as conn:
        placing.place_order(conn, TENANT, wanted, STRICT, NOW, cost)
    return supplier_of(shop, order)


def test_the_cost_of_a_request_is_what_the_operator_set():
    state = SimpleNamespace(settings=Settings(routing_grade_bps=7))
    request = SimpleNamespace(app=SimpleNamespace(state=state))
    assert routing_cost_of(request) == CostParameters(grade_penalty_bps=7)
    assert Settings().routing_grade_bps == CostParameters().grade_penalty_bps == 0


def test_without_the_setting_the_cheaper_one_wins(shop):
    offered(shop, "gr-0", SA=10_000, SC=9_999)
    assert place(shop, "gr-0", "gr-0", CostParameters()) == ["SC"]


def test_two_grades_are_worth_two_steps_and_no_more(shop):
    # 1% a step of C's own price: 9,804 and 196 are 10,000, and the tie goes to the first name.
    offered(shop, "gr-1", SA=10_000, SC=9_804)
    assert place(shop, "gr-1", "gr-1") == ["SA"]
    offered(shop, "gr-2", SA=10_000, SC=9_803)
    assert place(shop, "gr-2", "gr-2") == ["SC"]
    # The price that is paid is the offer's own.

    (paid,) = shop.sql("select supply_price_cents from orders.order_line where order_id = 'gr-1'")
    assert paid == (10_000,)


def test_the_grade_in_the_category_of_the_sku_counts_before_the_whole(shop):
    offered(shop, "gr-3", SB=9_800, SC=9_850)  # D: 294, C: 197
    assert place(shop, "gr-3", "gr-3") == ["SC"]


def test_nothing_known_counts_as_the_last_grade(shop):
    offered(shop, "gr-4", SX=9_800, SC=9_850)
    assert place(shop, "gr-4", "gr-4") == ["SC"]


def test_a_line_that_goes_elsewhere_is_steered_too(shop):
    offered(shop, "gr-5", SX=1_000, SA=10_000, SC=9_900)
    assert place(shop, "gr-5", "gr-5") == ["SX"]
    shop.pay("gr-5")
    shop.act(fulfilment.reject, "gr-5", "SX", "out_of_stock", NOW, cost=STEERED)
    assert supplier_of(shop, "gr-5") == ["SA"]
