"""The worked example in the books: accrued, released, refunded, to the fen."""

import pytest
from settlement_books import DUE, PAID, PAYDAY, plan
from settlement_sales import worked_example

from serving.ledger.errors import IdempotencyConflictError
from serving.orders.settling import refund_line
from serving.settlement.books.accrual import accrue_order, accrue_orders
from serving.settlement.errors import RefundConflictError, RefundError, UnknownOrderError
from serving.settlement.payouts import prepare_payouts

PLAN = "worked_20_8_25"
ACCRUED = {
    ("channel_frozen", ""): -23_660,
    ("supplier_pending", "S1"): 7_000,
    ("supplier_pending", "S2"): 8_570,
    ("agent_pending", "a1"): 4_571,
    ("agent_pending", "a2"): 1_827,
    ("channel_fee", ""): 142,
    ("support_fund", ""): 387,
    ("platform_fee", ""): 1_163,
}


@pytest.fixture
def sold(books):
    for party in (("supplier", "S1"), ("supplier", "S2"), ("agent", "a1"), ("agent", "a2")):
        books.party(*party)
    books.sell(worked_example(), plan(PLAN))
    return books


def test_the_worked_example_is_booked_to_the_fen(sold):
    assert sold.trial() == ACCRUED
    assert sold.violations() == []


def test_a_second_accrual_changes_nothing_and_another_body_is_refused(sold):
    again = sold.do(accrue_order, worked_example(), plan(PLAN), PAID)
    assert not again.is_new
    assert sold.trial() == ACCRUED
    with pytest.raises(IdempotencyConflictError):
        sold.do(accrue_order, worked_example(tier="gold"), plan(PLAN), PAID)


def test_the_bulk_form_books_what_the_single_form_books(books):
    orders = [worked_example(f"o{number}") for number in range(7)]
    for order in orders:
        books.place(order)
    single, rest = orders[0], orders[1:]
    books.accrue(single, plan(PLAN))
    books.do(accrue_orders, orders, plan(PLAN))
    assert books.trial() == {key: 7 * cents for key, cents in ACCRUED.items()}
    assert books.violations() == []
    entries = (
        "select t.order_id, a.kind, a.party_id, e.amount, e.leg_id is null from ledger.transaction t"
        " join ledger.entry e using (transaction_id) join ledger.account a using (account_id)"
        " where t.order_id = %s order by e.entry_no"
    )
    first = [row[1:] for row in books.rows(entries, single.order_id)]
    assert all([row[1:] for row in books.rows(entries, order.order_id)] == first for order in rest)


def test_an_order_without_a_row_is_not_accrued(books):
    with pytest.raises(UnknownOrderError, match="o1"):
        books.accrue(worked_example())


def test_release_moves_all_of_it(sold):
    done = sold.release()
    assert (done.sub_orders, done.paid_cents) == (2, 21_968)
    assert sold.trial() == {
        ("channel_available", ""): -23_660,
        ("supplier_available", "S1"): 7_000,
        ("supplier_available", "S2"): 8_570,
        ("agent_available", "a1"): 4_571,
        ("agent_available", "a2"): 1_827,
        ("channel_fee", ""): 142,
        ("support_fund", ""): 387,
        ("platform_fee", ""): 1_163,
    }
    assert sold.rows("select status from orders.customer_order") == [("completed",)]
    assert sold.violations() == []
    assert sold.release().legs == 0


def test_nothing_is_released_before_the_window(sold):
    before = DUE - (DUE - PAID) / 1000
    assert sold.release(before).legs == 0
    assert sold.trial() == ACCRUED


@pytest.mark.parametrize("is_released", [False, True], ids=["pending", "released"])
def test_a_full_refund_in_parts_leaves_nothing(sold, is_released):
    if is_released:
        sold.release()
    parts = [
        (1, "S1", 3_333),
        (1, "S1", 7_252),
        (2, "S2", 7_376),
        (2, "S2", 1),
        (3, "S2", 4_898),
        (0, "S2", 800),
    ]
    for number, (line_no, supplier, cents) in enumerate(parts):
        sold.do(refund_line, f"r{number}", "o1", line_no, supplier, cents, DUE)
        assert sold.violations() == []
    assert sold.trial() == {}
    assert sold.rows("select refunded_cents from orders.customer_order") == [(23_660,)]


def test_one_refund_is_reversed_by_hand(sold):
    """Line 1 of 105.85, a third back: floor of each leg times 3528/10585."""
    refunded = sold.do(refund_line, "r1", "o1", 1, "S1", 3_528, DUE)
    # 7000 -> 2333, fee 66 -> 21, direct 2117 -> 705, team 846 -> 281, fund 139 -> 46, platform 417 -> 138.
    assert refunded.rounding_cents == 3_528 - (2_333 + 21 + 705 + 281 + 46 + 138)
    assert sold.balance("supplier_pending", ("supplier", "S1")) == 7_000 - 2_333
    assert sold.balance("agent_pending", ("agent", "a1")) == 4_571 - 705
    assert sold.balance("platform_rounding") == -refunded.rounding_cents
    assert sold.balance("channel_frozen") == -23_660 + 3_528


def test_rounding_leaves_the_channel_with_its_line(sold):
    sold.do(refund_line, "r1", "o1", 1, "S1", 1, DUE)
    sold.do(refund_line, "r2", "o1", 2, "S2", 2, DUE)
    sold.release()
    assert sold.balance("channel_frozen") == 0
    assert sold.balance("channel_available") == -23_657
    assert sold.violations() == []


def test_a_refund_after_the_money_left_becomes_a_debt_that_the_next_sale_pays(sold):
    sold.release()
    assert len(sold.do(prepare_payouts, "b1", "simulated", PAYDAY)) == 4
    sold.do(refund_line, "r1", "o1", 1, "S1", 10_585, DUE)
    assert sold.balance("clawback_receivable", ("supplier", "S1")) == -7_000
    assert sold.balance("clawback_receivable", ("agent", "a1")) == -2_117
    sold.sell(worked_example("o2"), plan(PLAN))
    sold.release()
    assert sold.balance("clawback_receivable", ("supplier", "S1")) == 0
    assert sold.balance("supplier_available", ("supplier", "S1")) == 0
    assert sold.balance("agent_available", ("agent", "a1")) == 4_571 - 2_117
    assert sold.violations() == []


def test_a_refund_is_booked_once_per_id(sold):
    first = sold.do(refund_line, "r1", "o1", 1, "S1", 100, DUE, "case-1")
    again = sold.do(refund_line, "r1", "o1", 1, "S1", 100, DUE, "case-1")
    assert (again.transaction_id, again.is_new) == (first.transaction_id, False)
    for body in [("o1", 1, "S1", 101), ("o1", 2, "S2", 100)]:
        with pytest.raises(RefundConflictError):
            sold.do(refund_line, "r1", *body, DUE, "case-1")
    assert sold.rows("select count(*), sum(refund_cents) from settlement.refund") == [(1, 100)]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (("o1", 1, "S1", 10_586), RefundError),
        (("o1", 1, "S1", 0), RefundError),
        (("o1", 1, "S1", -1), RefundError),
        (("o1", 0, "S2", 801), RefundError),
        (("o1", 0, "S1", 1), UnknownOrderError),
        (("o1", 4, "S1", 1), UnknownOrderError),
        (("o1", 1, "S2", 1), UnknownOrderError),
        (("o9", 1, "S1", 1), UnknownOrderError),
    ],
    ids=str,
)
def test_impossible_refunds_are_refused(sold, body, error):
    with pytest.raises(error):
        sold.do(refund_line, "r1", *body, DUE)
    assert sold.trial() == ACCRUED
