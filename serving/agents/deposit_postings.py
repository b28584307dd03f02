"""Booking deposits out of what a release made available. How much they are: `deposits`."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import psycopg

from serving.agents.deposits import FULL_BPS, average_sales_cents, required_deposit, top_up_cents
from serving.agents.relations import find, get
from serving.agents.rules import rule_for
from serving.agents.violation_records import standing_points
from serving.db.calendar import day_start, local_day, zone_of
from serving.db.retries import ConnectionFactory, in_transaction
from serving.ledger.accounts import AccountBook, AccountKind, Party
from serving.ledger.balances import balance, lock_balances
from serving.ledger.posting import Line, Posting, post
from serving.settlement.plans.rules import DepositRule

# Beyond four spans a day weighs less than one part in 3000.
_SPANS = 4
_RELEASES = ("release", "unlock", "fee_release")
# A release is looked at once by every run of these days; what is older was paid out.
_LOOK_BACK = timedelta(days=31)


def top_up_due(transactions: ConnectionFactory, tenant_id: str, now: datetime) -> int:
    """Top the deposits up out of what the last releases made available; fen that moved.

    A transaction per agent; every release is used once at most.

    Args:
        transactions: Opens a transaction of the tenant.
        tenant_id: The tenant.
        now: Time of booking.

    Source: P10.
    """
    moved = 0
    for agent_id in in_transaction(transactions, lambda conn: _credited(conn, tenant_id)):
        work = partial(_top_up_agent, tenant_id=tenant_id, agent_id=agent_id, now=now)
        moved += in_transaction(transactions, work)
    return moved


def settled_sales_by_day(
    conn: psycopg.Connection[Any], tenant_id: str, agent_id: str, as_of: datetime, days: int
) -> list[int]:
    """Net sales of an agent by the tenant's day on which the line was settled, oldest first, fen.

    The last element is the day before `as_of`; days without sales are 0.
    """
    zone = zone_of(conn, tenant_id)
    last = local_day(as_of, zone) - timedelta(days=1)
    first = last - timedelta(days=days - 1)
    rows = conn.execute(
        "select settled_on, sum(net)::bigint from ("
        " select (min(g.released_at) at time zone %(zone)s)::date as settled_on,"
        " l.net_paid_cents - l.refunded_cents as net"
        " from orders.customer_order o"
        " join orders.order_line l on l.tenant_id = o.tenant_id and l.order_id = o.order_id"
        " join settlement.leg g on g.tenant_id = o.tenant_id and g.order_id = o.order_id and g.line_no = "
        "l.line_no"
        " where o.tenant_id = %(tenant)s and o.agent_id = %(agent)s and g.state = 'released'"
        " and g.released_at >= %(start)s and g.released_at < %(end)s"
        " group by l.order_id, l.line_no, l.net_paid_cents, l.refunded_cents) lines group by settled_on",
        {
            "tenant": tenant_id,
            "agent": agent_id,
            "zone": zone.key,
            "start": day_start(first, zone),
            "end": day_start(last + timedelta(days=1), zone),
        },
    )
    by_day = {day: int(cents) for day, cents in rows}
    return [by_day.get(first + timedelta(days=number), 0) for number in range(days)]


def deposit_due(
    conn: psycopg.Connection[Any],
    tenant_id: str,
    agent_id: str,
    rule: DepositRule,
    as_of: datetime,
    *,
    risk_bps: int = FULL_BPS,
) -> int:
    """The deposit that an agent has to hold, fen.

    Raises:
        UnknownAgentError: There is no such agent.

    Source: P10.
    """
    agent = get(conn, agent_id)
    days = rule.average_days * _SPANS
    average = average_sales_cents(
        settled_sales_by_day(conn, tenant_id, agent_id, as_of, days), rule.average_days
    )
    points = standing_points(conn, tenant_id, agent_id, as_of)
    return required_deposit(
        rule, average, points, risk_bps=risk_bps, is_natural_person=agent.is_natural_person
    )


def top_up_from_release(
    conn: psycopg.Connection[Any],
    tenant_id: str,
    agent_id: str,
    release_key: str,
    released_cents: int,
    rule: DepositRule,
    now: datetime,
    *,
    risk_bps: int = FULL_BPS,
) -> int:
    """Move part of a release from the agent's available balance into the deposit; once per release.

    Args:
        conn: Inside a transaction of the tenant, after the release was booked in it.
        tenant_id: The tenant.
        agent_id: Whose release.
        release_key: Idempotency key of the release's posting.
        released_cents: What the release made available to the agent, fen.
        rule: P10 of the plan.
        now: Time of booking.
        risk_bps: Factor of the risk review.

    Returns:
        What was moved, fen; 0 when nothing was missing or it was moved before.

    Raises:
        UnknownAgentError: There is no such agent.
        PeriodClosedError: `now` lies in a closed period.
    """
    key = f"deposit:{agent_id}:{release_key}"
    known = conn.execute(
        "select 1 from ledger.transaction where tenant_id = %s and idempotency_key = %s", (tenant_id, key)
    ).fetchone()
    if known is not None:
        return 0
    party = Party("agent", agent_id)
    book = AccountBook(conn, tenant_id)
    accounts = book.ids([(AccountKind.AGENT_AVAILABLE, party), (AccountKind.DEPOSIT, party)])
    # Locked before they are read, so that two releases do not both see the same gap.
    locked = lock_balances(conn, tenant_id, accounts)
    available, held = locked[accounts[0]], locked[accounts[1]]
    required = deposit_due(conn, tenant_id, agent_id, rule, now, risk_bps=risk_bps)
    cents = min(top_up_cents(rule, required, held, released_cents), available)
    if cents <= 0:
        return 0
    posted = post(
        conn,
        tenant_id,
        Posting(
            key=key,
            kind="deposit_top_up",
            booked_at=now,
            lines=(
                Line(AccountKind.AGENT_AVAILABLE, -cents, party),
                Line(AccountKind.DEPOSIT, cents, party),
            ),
            details={"rule": rule.id, "required_cents": required, "held_cents": held, "release": release_key},
        ),
        book,
    )
    return cents if posted.is_new else 0


def held_deposit(conn: psycopg.Connection[Any], agent_id: str) -> int:
    """The deposit that an agent of the session's tenant holds, fen."""
    return balance(conn, AccountKind.DEPOSIT, Party("agent", agent_id))


def _credited(conn: psycopg.Connection[Any], tenant_id: str) -> list[str]:
    """Agents who have something available."""
    rows = conn.execute(
        "select a.party_id from ledger.account a join ledger.balance b using (account_id)"
        " where a.tenant_id = %s and a.kind = 'agent_available' and b.amount > 0 order by 1",
        (tenant_id,),
    )
    return [agent_id for (agent_id,) in rows]


def _top_up_agent(conn: psycopg.Connection[Any], tenant_id: str, agent_id: str, now: datetime) -> int:
    agent = find(conn, agent_id)
    rule = rule_for(conn, tenant_id, agent, DepositRule, now) if agent is not None else None
    if rule is None or deposit_due(conn, tenant_id, agent_id, rule, now) <= held_deposit(conn, agent_id):
        return 0
    releases = conn.execute(
        "select t.idempotency_key, sum(e.amount)::bigint"
        " from ledger.account a join ledger.entry e using (account_id)"
        " join ledger.transaction t using (transaction_id)"
        " where a.tenant_id = %(tenant)s and a.kind = 'agent_available' and a.party_type = 'agent'"
        " and a.party_id = %(agent)s and t.kind = any(%(kinds)s)"
        " and t.booked_at > %(since)s and t.booked_at <= %(now)s"
        " and not exists (select 1 from ledger.transaction d where d.tenant_id = %(tenant)s"
        "  and d.idempotency_key = 'deposit:' || %(agent)s || ':' || t.idempotency_key)"
        " group by t.transaction_id, t.idempotency_key having sum(e.amount) > 0 order by t.transaction_id",
        {
            "tenant": tenant_id,
            "agent": agent_id,
            "kinds": list(_RELEASES),
            "since": now - _LOOK_BACK,
            "now": now,
        },
    ).fetchall()
    return sum(
        top_up_from_release(conn, tenant_id, agent_id, key, cents, rule, now) for key, cents in releases
    )
