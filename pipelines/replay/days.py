"""What time makes of replayed orders, day by day: refunds, releases, a pay-out, and the close of a month.

Every step is done once, whatever was done before: refunds, releases, pay-outs and closes have ids of their
own. What belongs to a month that is closed by now is booked after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl
import psycopg

from pipelines.replay.bulk import tenant_of
from pipelines.replay.orders import ADAPTER, AT_ONCE, closed_until
from pipelines.replay.selection import Selection
from serving.agents.tier_close import close_month
from serving.db.retries import ConnectionFactory
from serving.orders.settling import refund_line, release_due
from serving.settlement.payouts import confirm_payout, payouts_of_batch, prepare_payouts
from serving.settlement.plans.plan import PlanVersion
from serving.settlement.plans.rules import TierRule, ViolationRule
from serving.settlement.reports.statements import Period, close_period

LEGS_AT_ONCE = 2_000
"""Nobody else works on these orders while they are replayed, so a release may hold more of them at a time."""

LEAST_TRANSFER_CENTS = 1_000
"""Smaller balances wait for the next pay-out."""


@dataclass
class Passed:
    """What happened.

    Attributes:
        refunds: Refunds of lines.
        released_legs: Legs that were released.
        payouts: Transfers to parties.
        closed_months: Months that were closed, as `2017-12`.
    """

    refunds: int = 0
    released_legs: int = 0
    payouts: int = 0
    closed_months: tuple[str, ...] = ()


def pass_days(
    transactions: ConnectionFactory,
    selection: Selection,
    plan: PlanVersion,
    *,
    since: datetime,
    as_of: datetime,
) -> Passed:
    """Let the days of a window pass.

    Two days before the end everybody is paid what was released; the next day the channel confirms it. Months
    that ended inside the window are closed at its end.

    Args:
        transactions: Opens a transaction of the tenant.
        selection: What was replayed.
        plan: The plan in force.
        since: Start of the window (UTC).
        as_of: Its end.
    """
    passed = Passed()
    with transactions() as connection:
        closed = closed_until(connection)
    ends = [end for end in _ends(since, as_of) if closed is None or end >= closed]
    before = since
    for number, end in enumerate(ends):
        passed.refunds += _refund(transactions, selection, before, end, closed)
        passed.released_legs += _release(transactions, end)
        left = len(ends) - 1 - number
        if left == 2:
            passed.payouts = _pay(transactions, end)
        elif left == 1:
            _confirm(transactions, ends[number - 1], end)
        before = end
    passed.closed_months = tuple(_close(transactions, plan, since, as_of))
    return passed


def _ends(since: datetime, as_of: datetime) -> Iterator[datetime]:
    """The end of every day (UTC) of a window, the last one cut short."""
    end = datetime.combine(since.date() + timedelta(days=1), datetime.min.time(), UTC)
    while end < as_of:
        yield end
        end += timedelta(days=1)
    yield as_of


def _refund(
    transactions: ConnectionFactory,
    selection: Selection,
    since: datetime,
    until: datetime,
    closed: datetime | None,
) -> int:
    """Give back what the cases that were resolved in between promise."""
    due = selection.cases.filter(
        (pl.col("refund_cents").fill_null(0) > 0)
        & (pl.col("resolved_at") > since)
        & (pl.col("resolved_at") <= until)
    ).sort("resolved_at", "case_id")
    if not due.height:
        return 0
    done = 0
    with transactions() as connection:
        tenant_id = tenant_of(connection)
        for case in due.iter_rows(named=True):
            row = connection.execute(
                "select least(%s, l.net_paid_cents - l.refunded_cents) from orders.order_line l"
                " join orders.after_sale a on a.order_id = l.order_id and a.line_no = l.line_no"
                " where a.case_id = %s and a.status = 'open'",
                (case["refund_cents"], case["case_id"]),
            ).fetchone()
            if row is None:
                continue
            cents = int(row[0])
            if cents:
                booked_at = max(case["resolved_at"], closed or case["resolved_at"])
                refund_line(
                    connection, tenant_id, f"replay-{case['case_id']}", case["order_id"], case["line_no"],
                    case["supplier_id"], cents, booked_at, case["case_id"],
                )  # fmt: skip
                done += 1
            connection.execute(
                "update orders.after_sale set status = %s, refund_cents = %s, resolved_at = %s,"
                " xact_id = pg_current_xact_id() where case_id = %s",
                (
                    "refunded" if cents else "closed",
                    cents,
                    case["resolved_at"],
                    case["case_id"],
                ),
            )
        _mark_refunded(connection, due["order_id"].unique().to_list())
    return done


def _mark_refunded(connection: psycopg.Connection, order_ids: list[str]) -> None:
    """An order of which the last fen went back is refunded."""
    connection.execute(
        "update orders.customer_order set status = 'refunded', xact_id = pg_current_xact_id()"
        " where order_id = any(%s) and captured_cents > 0 and refunded_cents = captured_cents",
        (order_ids,),
    )


def _release(transactions: ConnectionFactory, now: datetime) -> int:
    """Release what is due, with several workers: each takes what no other holds."""
    with transactions() as connection:
        tenant_id = tenant_of(connection)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        workers = [
            pool.submit(release_due, transactions, tenant_id, now, LEGS_AT_ONCE) for _ in range(AT_ONCE)
        ]
        return sum(worker.result().legs for worker in workers)


def _batch(day: datetime) -> str:
    return f"replay-{day.date().isoformat()}"


def _pay(transactions: ConnectionFactory, now: datetime) -> int:
    batch = _batch(now)
    with transactions() as connection:
        if payouts_of_batch(connection, tenant_of(connection), batch):
            return 0
        made = prepare_payouts(
            connection,
            tenant_of(connection),
            batch,
            ADAPTER,
            now,
            threshold_cents=LEAST_TRANSFER_CENTS,
        )
        return len(made)


def _confirm(transactions: ConnectionFactory, sent_at: datetime, now: datetime) -> None:
    with transactions() as connection:
        for payout in payouts_of_batch(connection, tenant_of(connection), _batch(sent_at)):
            confirm_payout(connection, tenant_of(connection), payout.payout_id, now)


def _close(
    transactions: ConnectionFactory, plan: PlanVersion, since: datetime, as_of: datetime
) -> Iterator[str]:
    """Close the months that ended inside the window: tiers first, then the books."""
    month = date(since.year, since.month, 1)
    tiers, violations = plan.only(TierRule), plan.only(ViolationRule)
    while (end := _next_month(month)) <= as_of.date():
        with transactions() as connection:
            if tiers is not None and not _is_later_closed(connection, month):
                close_month(connection, tenant_of(connection), month, tiers, violations, as_of)
            if close_period(connection, tenant_of(connection), Period.of(month), as_of).is_new:
                yield str(Period.of(month))
        month = end


def _is_later_closed(connection: psycopg.Connection, month: date) -> bool:
    row = connection.execute("select max(month_on) from agents.tier_change").fetchone()
    return bool(row and row[0] and row[0] > month)


def _next_month(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)
