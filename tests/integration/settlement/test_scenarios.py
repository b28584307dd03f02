"""Every scenario through accrual, release, reversal and pay-out, with every kind of refund.

What an order must look like afterwards is computed here by hand or by a formula of the test's own.
"""

import pytest
from settlement_books import DUE, PAID, PAYDAY, plan
from settlement_sales import scenarios

from serving.ledger.accounts import Party
from serving.orders.settling import refund_line
from serving.settlement.beside.fees import (
    charge_slot_fee,
    recognise_service_fee,
    release_fees_due,
    reverse_fee,
)
from serving.settlement.payouts import confirm_payout, fail_payout, prepare_payouts
from serving.settlement.sharing import snapshot

SCENARIOS = scenarios()
REFUNDS = ("none", "full", "partial", "repeated", "late", "after_payout")


def register_payees(books):
    """Verify whoever waits for money."""
    for party in books.rows(
        "select distinct payee_type, payee_id from settlement.leg where payee_type <> 'platform'"
    ):
        books.party(*party)


def refund_lines(books, order, share, prefix):
    """Give back `share` (numerator, denominator) of every line and freight; cents by line."""
    units = [(line.line_no, line.supplier_id, line.net_paid_cents) for line in order.lines]
    units += [(0, freight.supplier_id, freight.cents) for freight in order.freights]
    given = 0
    for line_no, supplier, cents in units:
        part = cents * share[0] // share[1]
        if part:
            books.do(
                refund_line, f"{prefix}-{line_no}-{supplier}", order.order_id, line_no, supplier, part, DUE
            )
            given += part
    return given


def rest_of(books, order):
    """Give back what is left of everything."""
    given = 0
    left = books.rows(
        "select line_no, supplier_id, net_paid_cents - refunded_cents from orders.order_line"
        " where order_id = %s"
        " union all select 0, supplier_id, freight_cents - refunded_freight_cents from orders.sub_order"
        " where order_id = %s",
        order.order_id,
        order.order_id,
    )
    for line_no, supplier, cents in left:
        if cents:
            books.do(refund_line, f"rest-{line_no}-{supplier}", order.order_id, line_no, supplier, cents, DUE)
            given += cents
    return given


def pay_out(books, batch="b1"):
    for payout in books.do(prepare_payouts, batch, "simulated", PAYDAY):
        books.do(confirm_payout, payout.payout_id, DUE)


def due_by_legs(books):
    """What payees are due by their legs, written another way than the books count it."""
    due = {}
    for kind, party_id, amount, reversed_cents in books.rows(
        "select payee_type, payee_id, amount_cents, reversed_cents from settlement.leg"
        " where payee_type <> 'platform'"
    ):
        due[kind, party_id] = due.get((kind, party_id), 0) + amount - reversed_cents
    return {party: cents for party, cents in due.items() if cents}


def held_by_payees(books):
    held = {}
    rows = books.rows(
        "select party_type, party_id, sum(amount)::bigint from ledger.account_balance"
        " where party_type <> 'platform' and unit = 'CNY' group by 1, 2"
    )
    paid = {
        row[:2]: row[2]
        for row in books.rows(
            "select party_type, party_id, sum(amount_cents)::bigint from settlement.payout group by 1, 2"
        )
    }
    for party_type, party_id, cents in rows:
        cents += paid.get((party_type, party_id), 0)
        if cents:
            held[party_type, party_id] = cents
    return held


@pytest.mark.parametrize("refund", REFUNDS)
@pytest.mark.parametrize("number", sorted(SCENARIOS))
def test_an_order_through_all_its_steps(books, number, refund):
    name, make = SCENARIOS[number]
    order = make("o1")
    books.sell(order, plan(name))
    register_payees(books)
    assert books.violations() == []
    assert sum(due_by_legs(books).values()) > 0
    assert held_by_payees(books) == due_by_legs(books)

    refunded = 0
    if refund == "full":
        refunded = refund_lines(books, order, (1, 1), "r")
        assert books.trial() == {}
    elif refund == "partial":
        refunded = refund_lines(books, order, (1, 3), "r")
    elif refund == "repeated":
        refunded = sum(refund_lines(books, order, (1, 7), f"r{turn}") for turn in range(3))
    assert books.violations() == []

    books.release()
    assert books.violations() == []
    # Three-for-one keeps the first referral of a buyer; everything else has left.
    assert books.rows("select count(*) from settlement.leg where state = 'pending'") == [(0,)]
    assert books.balance("channel_available") == -(order.captured_cents - refunded)

    if refund == "late":
        refunded += refund_lines(books, order, (2, 5), "late")
        assert books.violations() == []
    pay_out(books)
    assert books.violations() == []
    assert books.balance("payout_in_transit") == 0
    if refund == "after_payout":
        refunded += refund_lines(books, order, (1, 2), "after")
        owed = {
            row[:2]: row[2]
            for row in books.rows(
                "select party_type, party_id, -amount from ledger.account_balance"
                " where kind = 'clawback_receivable' and amount < 0"
            )
        }
        reversed_by_payee = {
            row[:2]: row[2]
            for row in books.rows(
                "select payee_type, payee_id, sum(reversed_cents)::bigint from settlement.leg"
                " where payee_type <> 'platform' and reversed_cents > 0 group by 1, 2"
            )
        }
        assert owed == reversed_by_payee
        assert books.violations() == []
    assert held_by_payees(books) == due_by_legs(books)

    # Whatever happened before: once all is refunded, no leg is left and no fen is lost to rounding.
    assert refunded + rest_of(books, order) == order.captured_cents
    assert due_by_legs(books) == {}
    assert books.balance("platform_rounding") == 0
    assert books.balance("platform_fee") == 0
    assert books.balance("subsidy") == 0
    assert books.violations() == []


def test_every_kind_of_leg_stands_in_the_scenarios(books):
    """So that the matrix above is not empty of what it is about."""
    for number, (name, make) in SCENARIOS.items():
        books.sell(make(f"o{number}"), plan(name))
    found = books.rows("select distinct scenario from settlement.leg order by 1")
    assert [row[0] for row in found] == [1, 2, 3, 4, 5, 7, 8]
    kinds = {row[0] for row in books.rows("select distinct kind from settlement.leg where amount_cents <> 0")}
    assert kinds >= {"supplier", "freight", "direct", "upline", "team", "role", "region", "fund", "platform"}


FEES = {
    "service_fee": (
        lambda conn, tenant, fee_id: recognise_service_fee(
            conn, tenant, fee_id, plan(), Party("merchant", "m1"), 10_001, 1,
            snapshot.Party("agent", "a1", has_contract=True), PAID,
        ),
        ("agent", "a1"),
        3_000,
    ),
    "slot_fee": (
        lambda conn, tenant, fee_id: charge_slot_fee(
            conn, tenant, fee_id, plan(), Party("merchant", "m1"), 10_001,
            snapshot.Party("agent", "a1", has_contract=True), PAID,
        ),
        ("agent", "a1"),
        9_001,
    ),
}  # fmt: skip


@pytest.mark.parametrize("refund", REFUNDS)
@pytest.mark.parametrize("kind", sorted(FEES))
def test_a_fee_through_all_its_steps(books, kind, refund):
    """Scenarios 6 and 7: 30% of a service fee to the recruiter; a slot fee less 10% to the anchor."""
    charge, party, share = FEES[kind]
    books.party(*party)
    fee = books.do(charge, "f1")
    assert (fee.share_cents, fee.state) == (share, "pending")
    assert books.balance("agent_pending", party) == share
    assert books.balance("platform_fee") == 10_001 - share
    assert books.balance("clawback_receivable", ("merchant", "m1")) == -10_001
    assert books.do(charge, "f1") == fee

    before = {"full": [10_001], "partial": [3_333], "repeated": [1, 2, 3]}.get(refund, [])
    for number, cents in enumerate(before):
        books.do(reverse_fee, f"x{number}", "f1", cents, PAID)
        books.do(reverse_fee, f"x{number}", "f1", cents, PAID)
        assert books.violations() == []
    left = share - share * sum(before) // 10_001
    assert books.balance("agent_pending", party) == left

    assert release_fees_due(books.transactions, books.tenant, DUE - 4 * (DUE - PAID) / 10) == 0
    assert release_fees_due(books.transactions, books.tenant, DUE) == (0 if refund == "full" else 1)
    assert release_fees_due(books.transactions, books.tenant, DUE) == 0
    assert books.balance("agent_available", party) == left
    if refund == "after_payout":
        pay_out(books)
    if refund in ("late", "after_payout"):
        books.do(reverse_fee, "late", "f1", 5_000, DUE)
        assert books.balance("clawback_receivable", party) == (
            -(share * 5_000 // 10_001) if refund == "after_payout" else 0
        )
    assert books.violations() == []
    reversed_cents = books.rows("select reversed_cents from settlement.service_fee")[0][0]
    if reversed_cents < 10_001:
        books.do(reverse_fee, "rest", "f1", 10_001 - reversed_cents, DUE)
    assert books.balance("platform_fee") == 0
    assert books.balance("clawback_receivable", ("merchant", "m1")) == 0
    assert books.violations() == []


def test_a_failed_pay_out_comes_back_and_can_be_sent_again(books):
    name, make = SCENARIOS[1]
    books.sell(make("o1"), plan(name))
    register_payees(books)
    books.release()
    first = books.do(prepare_payouts, "b1", "simulated", PAYDAY)
    assert books.do(prepare_payouts, "b1", "simulated", PAYDAY) == first
    assert books.do(prepare_payouts, "b2", "simulated", PAYDAY) == []
    for payout in first:
        books.do(fail_payout, payout.payout_id, DUE, "account closed")
        books.do(fail_payout, payout.payout_id, DUE, "account closed")
    second = books.do(prepare_payouts, "b3", "simulated", PAYDAY)
    assert [p.amount_cents for p in second] == [p.amount_cents for p in first]
    assert books.violations() == []
