"""Statements of months against the worked example by hand, and against sums made another way."""

import csv
import datetime as dt
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from settlement_books import DUE, PAID, plan
from settlement_sales import worked_example

from serving.ledger.accounts import AccountKind, Party
from serving.ledger.errors import PeriodClosedError
from serving.ledger.posting import Line, Posting, post
from serving.orders.settling import refund_line
from serving.settlement.payouts import confirm_payout, prepare_payouts
from serving.settlement.reports.statement_lines import statement_csv, statement_lines
from serving.settlement.reports.statements import (
    Period,
    StatementError,
    UnknownPartyError,
    close_period,
    closed_periods,
    statement,
)

FEBRUARY, MARCH, APRIL, MAY = (Period(2026, month) for month in (2, 3, 4, 5))
SELLER = Party("agent", "a1")
PARTIES = (("supplier", "S1"), ("supplier", "S2"), ("agent", "a1"), ("agent", "a2"))


@pytest.fixture
def sold(books):
    """The worked example, paid and released in March, line 1 refunded in April after a pay-out."""
    for party in PARTIES:
        books.party(*party)
    books.sell(worked_example(), plan("worked_20_8_25"))
    books.release()
    return books


def figures(shown):
    """Account to (opening, {kind: fen}, closing)."""
    return {
        a.kind: (a.opening_cents, {m.kind: m.cents for m in a.movements}, a.closing_cents)
        for a in shown.accounts
    }


def test_the_month_of_the_worked_example_by_hand(sold):
    shown = sold.do(statement, SELLER, MARCH)
    assert figures(shown) == {
        "agent_available": (0, {"release": 4_571}, 4_571),
        "agent_pending": (0, {"accrual": 4_571, "release": -4_571}, 0),
    }
    assert (shown.opening_cents, shown.closing_cents, shown.is_closed) == (0, 4_571, False)
    # The release moves from one account of the agent to another: over all of them nothing moves.
    assert [(day.on, day.moved_cents, day.closing_cents) for day in shown.days] == [
        (PAID.date(), 4_571, 4_571),
        (DUE.date(), 0, 4_571),
    ]


def test_months_chain_through_refund_payout_and_debt(sold):
    april = dt.datetime(2026, 4, 10, tzinfo=dt.UTC)
    payouts = sold.do(prepare_payouts, "b1", "simulated", april)
    for payout in payouts:
        sold.do(confirm_payout, payout.payout_id, april + dt.timedelta(days=1))
    may = dt.datetime(2026, 5, 2, tzinfo=dt.UTC)
    sold.do(
        refund_line, refund_id="r1", order_id="o1", line_no=1, supplier_id="S1", refund_cents=10_585, now=may
    )
    shown = {month: sold.do(statement, SELLER, month) for month in (FEBRUARY, MARCH, APRIL, MAY)}
    assert (shown[FEBRUARY].opening_cents, shown[FEBRUARY].closing_cents) == (0, 0)
    assert shown[APRIL].opening_cents == shown[MARCH].closing_cents == 4_571
    assert shown[APRIL].closing_cents == 0
    # The direct award of line 1 is 20% of 105.85; the agent had been paid and owes it.
    assert shown[MAY].closing_cents == -2_117
    assert figures(shown[MAY])["clawback_receivable"] == (0, {"refund": -2_117}, -2_117)


def test_closing_keeps_every_figure_and_takes_no_back_dated_entry(sold):
    live = {party: sold.do(statement, Party(*party), MARCH) for party in PARTIES}
    now = MARCH.end + dt.timedelta(days=3)
    closed = sold.do(close_period, MARCH, now)
    assert (closed.statements, closed.is_new) == (4, True)
    for party, before in live.items():
        after = sold.do(statement, Party(*party), MARCH)
        assert after.is_closed
        assert after.closed_at == now
        assert (after.accounts, after.days) == (before.accounts, before.days)
        assert (after.opening_cents, after.closing_cents) == (before.opening_cents, before.closing_cents)
        following = sold.do(statement, Party(*party), APRIL)
        assert following.opening_cents == after.closing_cents
        assert not following.is_closed
    entries = [Line(AccountKind.AGENT_AVAILABLE, -1, SELLER), Line(AccountKind.PLATFORM_FEE, 1)]
    back_dated = Posting("late", "correction", MARCH.end - dt.timedelta(seconds=1), entries)
    with pytest.raises(PeriodClosedError):
        sold.do(post, back_dated)
    assert sold.do(close_period, MARCH, now).is_new is False
    assert [(str(p.period), p.statements) for p in sold.do(closed_periods)] == [("2026-03", 4)]
    assert sold.violations() == []


def test_months_close_in_order_and_only_when_they_are_over(sold):
    with pytest.raises(StatementError, match="not over"):
        sold.do(close_period, MARCH, MARCH.end - dt.timedelta(seconds=1))
    sold.do(close_period, MARCH, MARCH.end)
    with pytest.raises(StatementError, match="2026-04 is the month to close next"):
        sold.do(close_period, MAY, MAY.end)
    with pytest.raises(StatementError):
        sold.do(close_period, FEBRUARY, MAY.end)
    assert sold.do(close_period, APRIL, MAY.end).statements == 4
    assert sold.do(statement, SELLER, APRIL).opening_cents == 4_571


def test_an_entry_booked_ahead_of_its_turn_lands_in_its_own_month(sold):
    """Transactions of April that were recorded before March was closed are not lost by the closing."""
    entries = [Line(AccountKind.AGENT_AVAILABLE, -71, SELLER), Line(AccountKind.PLATFORM_FEE, 71)]
    sold.do(post, Posting("april", "correction", APRIL.start, entries))
    march = [Line(AccountKind.AGENT_AVAILABLE, -500, SELLER), Line(AccountKind.PLATFORM_FEE, 500)]
    sold.do(post, Posting("march", "correction", MARCH.end - dt.timedelta(seconds=1), march))
    sold.do(close_period, MARCH, MARCH.end)
    assert sold.do(statement, SELLER, MARCH).closing_cents == 4_071
    assert sold.do(statement, SELLER, APRIL).closing_cents == 4_000
    sold.do(close_period, APRIL, APRIL.end)
    assert sold.do(statement, SELLER, MAY).opening_cents == 4_000


def test_the_csv_runs_from_opening_to_closing(sold):
    sold.do(close_period, MARCH, MARCH.end)
    shown = sold.do(statement, SELLER, MARCH)
    text = statement_csv(shown, sold.do(statement_lines, shown))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["kind"] for row in rows] == ["opening", "accrual", *["release"] * 4, "closing"]
    assert [row["balance_cents"] for row in rows] == ["0", "4571", "2454", "4571", "2117", "4571", "4571"]
    assert sum(int(row["amount_cents"] or 0) for row in rows) == 4_571
    assert {row["order_id"] for row in rows[1:-1]} == {"o1"}


def test_a_party_without_account_has_no_statement(sold):
    for party in (Party("agent", "nobody"), Party("platform", ""), Party("supplier", "a1")):
        with pytest.raises(UnknownPartyError):
            sold.do(statement, party, MARCH)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 119), st.sampled_from(["a", "b"]), st.integers(1, 500)),
        min_size=1,
        max_size=25,
    ),
    st.integers(0, 4),
)
def test_any_history_closes_month_by_month_to_what_a_plain_sum_says(operations, moves, closed):
    """The plain sum is over the list of moves, not over the ledger."""
    from settlement_books import Books

    books = Books(operations)
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    for number, (day, party_id, cents) in enumerate(moves):
        entries = [
            Line(AccountKind.AGENT_AVAILABLE, cents, Party("agent", party_id)),
            Line(AccountKind.PLATFORM_FEE, -cents),
        ]
        books.do(post, Posting(f"k{number}", "correction", start + dt.timedelta(days=day), entries))
    months = [Period(2026, month) for month in (1, 2, 3, 4)]
    for month in months[:closed]:
        books.do(close_period, month, MAY.end)
    for party_id in {party_id for _, party_id, _ in moves}:
        for month in months:
            shown = books.do(statement, Party("agent", party_id), month)
            at_end = sum(c for d, p, c in moves if p == party_id and start + dt.timedelta(days=d) < month.end)
            at_start = sum(
                c for d, p, c in moves if p == party_id and start + dt.timedelta(days=d) < month.start
            )
            assert (shown.opening_cents, shown.closing_cents) == (at_start, at_end)
            assert shown.is_closed == (month in months[:closed])
