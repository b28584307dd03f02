"""Penalties, compensation, guarantees, points and repayments: money and points beside the lines of orders."""

import pytest
from settlement_books import DAY, DUE, PAID, plan
from settlement_sales import sale

from serving.ledger.accounts import Party
from serving.ledger.errors import IdempotencyConflictError
from serving.orders.settling import refund_line
from serving.settlement.beside.fees import charge_penalty, compensate_region, release_fees_due, reverse_fee
from serving.settlement.beside.guarantees import (
    COMMON_FUND,
    give_back_guarantee,
    meet_claims,
    pay_into_guarantee,
)
from serving.settlement.beside.points import burn_points
from serving.settlement.books.receivables import outstanding, repay
from serving.settlement.errors import FeeError, PointsError
from serving.settlement.sharing.clearing import GuaranteeClaim
from serving.settlement.sharing.freeze import CartLine
from serving.settlement.sharing.snapshot import Discount, Parties
from serving.settlement.sharing.snapshot import Party as OrderParty

MERCHANT, SUPPLIER, CONSUMER = Party("merchant", "m1"), Party("supplier", "S1"), Party("consumer", "c1")


@pytest.fixture
def sold(books):
    """100.00 by S1, released: supplier 60.00, seller 20.00; the buyer c1 earns 100 points."""
    books.party(*MERCHANT)
    books.party(*SUPPLIER)
    books.sell(sale("o1"))
    books.release()
    return books


def test_a_penalty_comes_off_what_is_there_and_the_rest_carries_over(sold):
    fee = sold.do(charge_penalty, "p1", SUPPLIER, 7_000, "late", DUE)
    assert sold.do(charge_penalty, "p1", SUPPLIER, 7_000, "late", DUE) == fee
    with pytest.raises(FeeError):
        sold.do(charge_penalty, "p1", SUPPLIER, 6_999, "late", DUE)
    with pytest.raises(FeeError):
        sold.do(charge_penalty, "p2", SUPPLIER, 0, "late", DUE)
    assert sold.balance("penalty") == 7_000
    assert sold.balance("supplier_available", SUPPLIER) == 0
    assert sold.do(lambda conn, _: outstanding(conn)) == [(SUPPLIER, 1_000)]
    sold.sell(sale("o2"))
    sold.release()
    assert sold.balance("supplier_available", SUPPLIER) == 5_000
    sold.do(reverse_fee, "x1", "p1", 7_000, DUE)
    assert sold.balance("penalty") == 0
    assert sold.balance("supplier_available", SUPPLIER) == 12_000
    assert sold.violations() == []


@pytest.mark.parametrize("cents", [-1, 0, 7_001])
def test_no_more_of_a_fee_than_is_left_is_given_back(sold, cents):
    sold.do(charge_penalty, "p1", SUPPLIER, 7_000, "late", DUE)
    with pytest.raises(FeeError):
        sold.do(reverse_fee, "x1", "p1", cents, DUE)


def test_a_reversal_id_is_used_once(sold):
    sold.do(charge_penalty, "p1", SUPPLIER, 7_000, "late", DUE)
    sold.do(reverse_fee, "x1", "p1", 10, DUE)
    with pytest.raises(FeeError, match="another body"):
        sold.do(reverse_fee, "x1", "p1", 11, DUE)
    with pytest.raises(FeeError, match="unknown"):
        sold.do(reverse_fee, "x2", "p9", 11, DUE)


def test_a_debt_is_repaid_up_to_what_is_owed(sold):
    sold.do(charge_penalty, "p1", SUPPLIER, 7_000, "late", DUE)
    for cents in (0, -5, 1_001):
        with pytest.raises(FeeError):
            sold.do(repay, "pay0", SUPPLIER, cents, DUE)
    first = sold.do(repay, "pay1", SUPPLIER, 400, DUE)
    assert sold.do(repay, "pay1", SUPPLIER, 400, DUE + DAY).transaction_id == first.transaction_id
    with pytest.raises(IdempotencyConflictError):
        sold.do(repay, "pay1", SUPPLIER, 401, DUE)
    assert sold.do(lambda conn, _: outstanding(conn)) == [(SUPPLIER, 600)]
    assert sold.violations() == []


def test_half_of_a_diverted_share_goes_to_the_protected_region(sold):
    leg_id = sold.rows("select leg_id from settlement.leg where kind = 'direct'")[0][0]
    protected = Party("agent", "r1")
    with pytest.raises(FeeError, match="5000"):
        sold.do(compensate_region, "c1", plan(), leg_id, protected, 5_001, DUE)
    with pytest.raises(FeeError):
        sold.do(compensate_region, "c1", plan(), leg_id + 10**9, protected, 5_000, DUE)
    fee = sold.do(compensate_region, "c1", plan(), leg_id, protected, 5_000, DUE)
    assert sold.do(compensate_region, "c1", plan(), leg_id, protected, 5_000, DUE) == fee
    assert sold.balance("merchant_available", MERCHANT) == 1_000
    assert sold.balance("agent_pending", protected) == 1_000
    sold.party(*protected)
    assert release_fees_due(sold.transactions, sold.tenant, DUE + 7 * DAY) == 1
    assert sold.balance("agent_available", protected) == 1_000
    assert sold.violations() == []


def test_claims_are_met_from_the_own_guarantee_and_then_from_the_fund(sold):
    sold.do(pay_into_guarantee, "g1", MERCHANT, 1_500, DUE)
    sold.do(pay_into_guarantee, "g1", MERCHANT, 1_500, DUE + DAY)
    with pytest.raises(FeeError, match="500 fen available"):
        sold.do(pay_into_guarantee, "g2", MERCHANT, 501, DUE)
    sold.do(pay_into_guarantee, "g3", COMMON_FUND, 700, DUE)
    channel = sold.balance("channel_available")
    claims = [GuaranteeClaim("a", 2_000), GuaranteeClaim("b", 1_000)]
    cleared = sold.do(meet_claims, "cl1", MERCHANT, claims, DUE)
    assert [(c.own_cents, c.fund_cents, c.unpaid_cents) for c in cleared] == [
        (1_000, 467, 533),
        (500, 233, 267),
    ]
    assert sold.balance("guarantee", MERCHANT) == sold.balance("guarantee") == 0
    assert sold.balance("channel_available") == channel + 2_200
    with pytest.raises(FeeError, match="before"):
        sold.do(meet_claims, "cl1", MERCHANT, claims, DUE)
    with pytest.raises(FeeError, match="twice"):
        sold.do(meet_claims, "cl2", MERCHANT, [claims[0], claims[0]], DUE)
    assert sold.violations() == []


def test_what_was_set_aside_goes_back_once_unless_claims_used_it(sold):
    for payment in ("g1", "g2"):
        sold.do(pay_into_guarantee, payment, MERCHANT, 900, DUE)
    had = sold.balance("merchant_available", MERCHANT)
    with pytest.raises(FeeError, match="above 0"):
        sold.do(give_back_guarantee, "g1", MERCHANT, 0, DUE)
    for _ in range(2):
        sold.do(give_back_guarantee, "g1", MERCHANT, 900, DUE)
    assert sold.balance("merchant_available", MERCHANT) == had + 900
    assert sold.balance("guarantee", MERCHANT) == 900
    sold.do(meet_claims, "cl1", MERCHANT, [GuaranteeClaim("a", 1)], DUE)
    with pytest.raises(FeeError, match="holds 899 fen, not 900"):
        sold.do(give_back_guarantee, "g2", MERCHANT, 900, DUE)
    assert sold.violations() == []


def test_points_are_earned_at_release_and_taken_back_by_refunds(sold):
    """1% of 100.00."""
    assert sold.balance("consumer_points", CONSUMER) == 100
    sold.release()
    sold.do(refund_line, "r1", "o1", 1, "S1", 3_333, DUE)
    assert sold.balance("consumer_points", CONSUMER) == 66
    sold.do(refund_line, "r2", "o1", 1, "S1", 6_667, DUE)
    assert sold.balance("consumer_points", CONSUMER) == 0
    assert sold.balance("points_liability") == 0
    assert sold.violations() == []


def test_a_refund_before_release_earns_for_what_is_left(books):
    books.party(*MERCHANT)
    books.party(*SUPPLIER)
    books.sell(sale("o1"))
    books.do(refund_line, "r1", "o1", 1, "S1", 5_000, PAID)
    assert books.balance("consumer_points", CONSUMER) == 0
    books.release()
    assert books.balance("consumer_points", CONSUMER) == 50


def second_merchant(books):
    order = sale("o2", parties=Parties(OrderParty("merchant", "m2")))
    document = order.to_json() | {"merchant_id": "m2"}
    books.party("merchant", "m2")
    books.sell(type(order).from_json(document))
    books.release()


def of_the_second(order_id, *discounts):
    """One line of 10.00 at m2 by S1, supply 6.00, less discounts."""
    order = sale(
        order_id,
        cart=[CartLine(1, "A", (), "S1", 1, 1_000, 600, discounts)],
        parties=Parties(OrderParty("merchant", "m2")),
    )
    return type(order).from_json(order.to_json() | {"merchant_id": "m2"})


def test_points_burnt_elsewhere_are_paid_by_who_issued_them_once_the_order_is_paid(sold):
    second_merchant(sold)
    assert sold.balance("consumer_points", CONSUMER) == 200
    drawn = sold.do(burn_points, "b1", plan(), "c1", "m2", 1_000, 101, DUE, "o3")
    # Half of each merchant's points, the odd one from m1. Nobody has paid anything: no money moves.
    assert drawn == {"m1": 51, "m2": 50}
    assert sold.balance("consumer_points", CONSUMER) == 99
    assert sold.balance("merchant_available", MERCHANT) == 2_000
    assert sold.balance("merchant_available", ("merchant", "m2")) == 2_000
    sold.sell(of_the_second("o3", Discount("merchant", 101)))
    # 8.99 less supply 6.00 and fee 0.05; m2's share of 20% (1.79) carries its discount of 1.01 in full. What
    # m2 issued itself needs no clearing.
    query = "select amount_cents from settlement.leg where order_id = 'o3' and kind = 'direct'"
    assert sold.rows(query) == [(78,)]
    assert sold.balance("merchant_available", MERCHANT) == 2_000 - 51
    assert sold.balance("merchant_available", ("merchant", "m2")) == 2_000 + 51
    # Refunds after that take back what is still there: 49 of m1's 100 points and 50 of m2's are left.
    sold.do(refund_line, "r1", "o1", 1, "S1", 10_000, DUE)
    assert sold.balance("consumer_points", CONSUMER) == 0
    sold.do(refund_line, "r2", "o2", 1, "S1", 10_000, DUE)
    assert sold.balance("consumer_points", CONSUMER) == 0
    assert sold.violations() == []


def test_two_burns_of_one_order_are_cleared_with_it(sold):
    """m1 issued all points; m2 takes 30 on each of two lines, and is owed 60 when the order is paid."""
    for line in (1, 2):
        sold.do(burn_points, f"o3:{line}", plan(), "c1", "m2", 100, 30, DUE, "o3")
    sold.party("merchant", "m2")
    order = of_the_second("o3", Discount("merchant", 60))
    assert (sold.sell(order).is_new, sold.accrue(order).is_new) == (True, False)
    assert sold.balance("merchant_available", MERCHANT) == 2_000 - 60
    assert sold.balance("merchant_available", ("merchant", "m2")) == 60
    assert sold.violations() == []


@pytest.mark.parametrize(("points", "line_cents"), [(101, 10_000), (31, 100), (0, 100), (-1, 100)])
def test_impossible_burns_are_refused(sold, points, line_cents):
    with pytest.raises(PointsError):
        sold.do(burn_points, "b1", plan(), "c1", "m1", line_cents, points, DUE, "o3")


def test_a_burn_is_booked_once(sold):
    sold.do(burn_points, "b1", plan(), "c1", "m1", 100, 30, DUE, "o3")
    with pytest.raises(PointsError, match="before"):
        sold.do(burn_points, "b1", plan(), "c1", "m1", 100, 30, DUE, "o3")
    assert sold.balance("consumer_points", CONSUMER) == 70
