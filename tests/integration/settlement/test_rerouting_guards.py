"""A paid line that goes to another supplier takes its money along, unless some of it moved or is held."""

from dataclasses import replace

import pytest
from settlement_books import DAY, DUE, PAID, plan
from settlement_sales import sale

from serving.orders.settling import refund_line
from serving.settlement.books.accrual import reaccrue_line
from serving.settlement.control.holds import lift_hold, on_leg, on_order, on_sub_order, place_hold
from serving.settlement.errors import AccrualError, UnknownOrderError
from serving.settlement.sharing.freeze import CartLine
from serving.settlement.sharing.snapshot import Discount


def moved_to(order, supplier, supply_cents):
    line = replace(order.lines[0], supplier_id=supplier, supply_price_cents=supply_cents)
    return replace(order, lines=(line,))


@pytest.fixture
def sold(books):
    books.sell(sale("o1"))
    return books


def reroute(books, number=1):
    return books.do(
        reaccrue_line, moved_to(sale("o1"), "S9", 6_500), 1, plan(), PAID + DAY, reroute_id=str(number)
    )


def first_leg(books):
    return books.rows("select min(leg_id) from settlement.leg where order_id = 'o1'")[0][0]


def test_all_of_the_line_goes_to_the_new_supplier(sold):
    reroute(sold)
    assert sold.balance("supplier_pending", ("supplier", "S1")) == 0
    assert sold.balance("supplier_pending", ("supplier", "S9")) == 6_500
    assert sold.violations() == []


def test_a_refund_of_one_fen_keeps_the_line_where_it_is(sold):
    """No leg gives back a fen of it; the rounding account does."""
    refunded = sold.do(refund_line, "r1", "o1", 1, "S1", 1, PAID)
    assert refunded.rounding_cents == 1
    with pytest.raises(AccrualError):
        reroute(sold)
    assert sold.violations() == []


@pytest.mark.parametrize(
    "target",
    [lambda books: on_leg(first_leg(books), "o1"), lambda _: on_sub_order("o1", "S1")],
    ids=["leg", "sub-order"],
)
def test_a_hold_does_not_lose_its_money_to_another_supplier(sold, target):
    hold = sold.do(place_hold, target(sold), "risk", "diversion", PAID)
    with pytest.raises(AccrualError, match="diversion"):
        reroute(sold)
    sold.do(lift_hold, hold.hold_id, "operator", PAID)
    reroute(sold)
    assert sold.violations() == []


def test_a_hold_on_the_order_covers_the_new_supplier_as_well(sold):
    sold.do(place_hold, on_order("o1"), "risk", "velocity", PAID)
    reroute(sold)
    with sold.transactions() as conn:
        conn.execute(
            "insert into orders.sub_order (tenant_id, order_id, supplier_id, status, received_at,"
            " release_due_at) values (%s, 'o1', 'S9', 'received', %s, %s)",
            (sold.tenant, PAID, DUE),
        )
    sold.party("supplier", "S9")
    sold.release()
    assert sold.balance("supplier_available", ("supplier", "S9")) == 0


def test_an_unknown_line_is_refused(sold):
    with pytest.raises(UnknownOrderError, match="line 2"):
        sold.do(reaccrue_line, sale("o1"), 2, plan(), PAID, reroute_id="1")


def test_a_gift_moves_without_a_fen(books):
    cart = [CartLine(1, "A", (), "S1", 1, 0, 0), CartLine(2, "B", (), "S1", 1, 10_000, 6_000)]
    order = sale("o1", cart=cart)
    books.sell(order)
    before = books.trial()
    after = replace(order, lines=(replace(order.lines[0], supplier_id="S9"), order.lines[1]))
    assert books.do(reaccrue_line, after, 1, plan(), PAID, reroute_id="1") is None
    assert books.trial() == before
    assert books.violations() == []


def test_a_line_without_a_fen_that_moved_is_not_moved_again_nor_refused(books):
    """No transaction tells of the first time; a hold on the new supplier's part is no reason against it."""
    given = (Discount("supplier", 10_000),)
    cart = [
        CartLine(1, "A", (), "S1", 1, 10_000, 6_000, discounts=given),
        CartLine(2, "B", (), "S9", 1, 10_000, 6_000),
    ]
    order = sale("o1", cart=cart)
    books.sell(order)
    after = replace(order, lines=(replace(order.lines[0], supplier_id="S9"), order.lines[1]))
    legs = "select leg_id, supplier_id, is_replaced from settlement.leg where line_no = 1 order by leg_id"
    for _ in range(2):
        books.do(place_hold, on_sub_order("o1", "S9"), "risk", "velocity", PAID)
        assert books.do(reaccrue_line, after, 1, plan(), PAID, reroute_id="1") is None
        moved = books.rows(legs)
    books.do(reaccrue_line, after, 1, plan(), PAID, reroute_id="1")
    assert books.rows(legs) == moved
    assert books.violations() == []
