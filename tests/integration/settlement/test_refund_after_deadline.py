"""Refunds before and after the channel's deadline, a hold that is upheld, a batch that unlocks."""

import itertools

import pytest
from settlement_books import DAY, DUE, PAID, plan
from settlement_sales import sale

from serving.orders.settling import refund_line, unfreeze_due
from serving.settlement.books.referral_unlock import unlock_due
from serving.settlement.control.holds import confirm_hold, lift_hold, on_order, place_hold
from serving.settlement.payouts import confirm_payout, fail_payout, prepare_payouts
from serving.settlement.sharing.freeze import CartLine
from serving.settlement.sharing.snapshot import FreightSnapshot, Parties, Party

LATE = PAID + 26 * DAY
MUCH_LATER = PAID + 400 * DAY


def parties(books):
    for party in (("supplier", "S1"), ("merchant", "m1"), ("agent", "u1")):
        books.party(*party)


def referred(order_id, consumer_id, supply_cents=6_000):
    """An order whose level 1 share is locked, with freight."""
    return sale(
        order_id,
        cart=[CartLine(1, "A", (), "S1", 1, 10_001, supply_cents)],
        consumer_id=consumer_id,
        freights=[FreightSnapshot("S1", 777)],
        parties=Parties(Party("merchant", "m1"), upline=(Party("agent", "u1"),), is_first_purchase=True),
    )


def refund(books, order_id, line_no, cents, at):
    number = books.new_id("r")
    books.do(refund_line, number, order_id, line_no, "S1", cents, at)
    assert books.violations() == []


@pytest.mark.parametrize(
    ("supply_cents", "confirmed", "cuts"),
    [
        *itertools.product((6_000, 12_345), (False, True), ((1, 4_999, 5_001), (3_333, 1, 6_667))),
    ],
)
def test_whatever_happens_in_between_the_last_refund_leaves_nothing(books, supply_cents, confirmed, cuts):
    """Refunds: before the deadline, after it under a hold, and after release (and pay-out)."""
    parties(books)
    books.sell(referred("o1", "c1", supply_cents))
    hold = books.do(place_hold, on_order("o1"), "risk", "velocity", PAID)
    refund(books, "o1", 1, cuts[0], DUE)
    refund(books, "o1", 0, 7, DUE)
    unfreeze_due(books.transactions, books.tenant, LATE)
    assert books.violations() == []
    assert books.balance("channel_frozen") == 0
    refund(books, "o1", 1, cuts[1], LATE)
    books.do(confirm_hold if confirmed else lift_hold, hold.hold_id, "operator", LATE)
    assert books.violations() == []
    books.release(LATE)
    unlock_due(books.transactions, books.tenant, MUCH_LATER)
    books.release(MUCH_LATER)
    assert books.violations() == []
    assert not books.rows("select 1 from settlement.leg where state in ('pending', 'locked')")
    refund(books, "o1", 1, cuts[2], MUCH_LATER)
    refund(books, "o1", 0, 770, MUCH_LATER)
    assert books.trial() == {}


def test_a_batch_that_its_limit_bounds_is_refunded_by_who_holds_it(books):
    """Three invitees; then each order goes back in two steps, after the pay-out failed or arrived."""
    parties(books)
    for number in (1, 2, 3):
        books.sell(referred(f"o{number}", f"c{number}"))
    unfreeze_due(books.transactions, books.tenant, LATE)
    assert unlock_due(books.transactions, books.tenant, LATE).batches == 1
    assert books.violations() == []
    for number, payout in enumerate(books.do(prepare_payouts, "b1", "simulated", LATE)):
        arguments = (payout.payout_id, LATE)
        books.do(confirm_payout, *arguments) if number % 2 else books.do(fail_payout, *arguments, "closed")
        assert books.violations() == []
    for number in (1, 2, 3):
        refund(books, f"o{number}", 1, 3_334, MUCH_LATER)
        refund(books, f"o{number}", 1, 6_667, MUCH_LATER)
        refund(books, f"o{number}", 0, 777, MUCH_LATER)
    left = books.trial()
    # What was paid out came from the channel; the same sum is owed by those who got it.
    owed = {key: cents for key, cents in left.items() if key[0] == "clawback_receivable"}
    assert set(left) - set(owed) <= {("channel_available", "")}
    assert sum(left.values()) == 0


def test_an_order_in_which_no_fen_moves_is_accrued_once(books):
    from serving.settlement.sharing.snapshot import Discount

    gift = CartLine(1, "A", (), "S1", 1, 5_000, 3_000, (Discount("supplier", 5_000),))
    order = sale("o1", cart=[gift])
    books.sell(order)
    legs = books.rows("select count(*) from settlement.leg")
    books.accrue(order, plan())
    assert books.rows("select count(*) from settlement.leg") == legs
    assert books.trial() == {}
