"""A line that cost the buyer nothing goes back by its units; amounts in fen, reckoned by hand."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from settlement_books import DAY, DUE, PAID, PAYDAY, plan
from settlement_sales import sale

from serving.orders.settling import refund_line
from serving.settlement.books.accrual import reaccrue_line
from serving.settlement.errors import AccrualError, RefundConflictError, RefundError
from serving.settlement.payouts import confirm_payout, prepare_payouts
from serving.settlement.sharing.freeze import CartLine
from serving.settlement.sharing.snapshot import Discount, FreightSnapshot

SUPPLIER = ("supplier", "S1")


def free(order_id="o1", *, qty=3, supply=1_000, price=0, discounts=()):
    """An order of one line that costs nothing."""
    return sale(order_id, cart=[CartLine(1, "A", (), "S1", qty, price, supply, discounts)])


def give(books, refund_id, units, *, order_id="o1", cents=0, now=PAID):
    return books.do(refund_line, refund_id, order_id, 1, "S1", cents, now, units_gone=units)


def test_a_third_of_three_units_is_a_third_of_every_share(books):
    """10.00 for three units: 3.33 go back with the first, 6.66 in all with the second, then the rest."""
    books.sell(free())
    assert books.trial() == {("supplier_pending", "S1"): 1_000, ("subsidy", ""): -1_000}
    for units, left in ((1, 667), (2, 334)):
        assert give(books, f"r{units}", units).rounding_cents == 0
        assert books.trial() == {("supplier_pending", "S1"): left, ("subsidy", ""): -left}
        assert books.violations() == []
    give(books, "r3", 3)
    assert books.trial() == {}
    assert books.rows("select distinct state from settlement.leg") == [("voided",)]
    assert books.violations() == []


def test_every_share_and_the_debt_of_a_line_that_points_paid_for_go_by_units(books):
    """100.00 in points for 3 units: supplier 40.01, shop 20.00, fund 9.99, platform 30.00; the shop owes all.

    With one unit 13.33, 6.66, 3.33 and 10.00 go back of the 33.33 that were advanced: a fen is left over.
    """
    by_points = Discount("merchant", 10_000, "m1", is_points=True)
    books.sell(free(supply=4_001, price=10_000, discounts=(by_points,)))
    whole = {
        ("supplier_pending", "S1"): 4_001,
        ("merchant_pending", "m1"): 2_000,
        ("support_fund", ""): 999,
        ("platform_fee", ""): 3_000,
        ("clawback_receivable", "m1"): -10_000,
    }
    assert books.trial() == whole
    assert give(books, "r1", 1).rounding_cents == 1
    assert books.trial() == {
        ("supplier_pending", "S1"): 2_668,
        ("merchant_pending", "m1"): 1_334,
        ("support_fund", ""): 666,
        ("platform_fee", ""): 2_000,
        ("clawback_receivable", "m1"): -6_667,
        ("platform_rounding", ""): -1,
    }
    assert books.violations() == []
    assert give(books, "r2", 3).rounding_cents == -1
    assert books.trial() == {}
    assert books.violations() == []


def test_a_refund_of_units_is_booked_once_and_only_grows(books):
    books.sell(free())
    first = give(books, "r1", 2)
    again = give(books, "r1", 2)
    assert (again.transaction_id, again.is_new) == (first.transaction_id, False)
    for units, cents in ((1, 0), (3, 0), (0, 5)):
        with pytest.raises(RefundConflictError):
            give(books, "r1", units, cents=cents)
    for units in (1, 2, 4):
        with pytest.raises(RefundError, match=f"2 are gone: it cannot be {units} now"):
            give(books, "r2", units)
    for units, cents in ((0, 0), (3, 5)):
        with pytest.raises(RefundError, match="give an amount, or the units"):
            give(books, "r2", units, cents=cents)
    with pytest.raises(RefundError, match="never exceed"):
        give(books, "r2", 0, cents=1)
    assert books.balance("supplier_pending", SUPPLIER) == 334
    assert books.rows("select count(*) from settlement.refund") == [(1,)]


def test_a_line_that_was_paid_for_does_not_go_by_units(books):
    books.sell(sale("o1", freights=[FreightSnapshot("S1", 500)]))
    with pytest.raises(RefundError, match=r"do not sum to the line.s 0"):
        give(books, "r1", 1)
    with pytest.raises(RefundError, match="has 0 units"):
        books.do(refund_line, "r1", "o1", 0, "S1", 0, PAID, units_gone=1)


def test_of_a_share_that_was_released_units_are_taken_from_what_the_supplier_has(books):
    """10.00 released: 3.33 come off what it has; paid out after that, the next 3.33 are a debt."""
    books.party(*SUPPLIER)
    books.sell(free())
    books.release()
    give(books, "r1", 1, now=DUE)
    assert books.balance("supplier_available", SUPPLIER) == 667
    assert books.violations() == []
    (paid,) = books.do(prepare_payouts, "b1", "simulated", PAYDAY, 1)
    books.do(confirm_payout, paid.payout_id, PAYDAY)
    give(books, "r2", 2, now=PAYDAY + DAY)
    assert books.balance("supplier_available", SUPPLIER) == 0
    assert books.balance("clawback_receivable", SUPPLIER) == -333
    assert books.violations() == []


def test_a_unit_that_takes_no_fen_is_noted_and_keeps_the_line_where_it_is(books):
    """2 fen for 3 units: the first takes none, the second one, the third the other."""
    order = free(supply=2)
    books.sell(order, status="paid")
    assert give(books, "r1", 1).transaction_id is None
    assert give(books, "r1", 1).is_new is False
    line = replace(order.lines[0], supplier_id="S9", supply_price_cents=5)
    with pytest.raises(AccrualError, match="refund"):
        books.do(reaccrue_line, replace(order, lines=(line,)), 1, plan(), PAID, reroute_id="x")
    assert books.balance("supplier_pending", SUPPLIER) == 2
    assert books.violations() == []
    give(books, "r2", 2)
    assert books.balance("supplier_pending", SUPPLIER) == 1
    give(books, "r3", 3)
    assert books.trial() == {}
    assert books.violations() == []


def test_the_same_units_asked_for_by_eight_at_once_go_once(books):
    books.sell(free(qty=8, supply=800))

    def attempt(number):
        try:
            return give(books, f"r{number}", 1 + number % 2).is_new
        except RefundError:
            return None

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(attempt, range(8)))
    gone = books.rows("select max(units_gone), count(*) from settlement.refund")[0]
    assert (gone[0], gone[1]) in {(2, 1), (2, 2)}
    assert sum(answer is True for answer in answers) == gone[1]
    assert books.balance("supplier_pending", SUPPLIER) == 600
    assert books.violations() == []
