"""What an agent lived on in a month, from the books, and the hold that a breach places.

Limits and shares are in `composition`. The hold is the review: it stands until an operator lifts or confirms
it. A month is reviewed once, so that a hold that was lifted does not come back.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import psycopg
from psycopg.types.json import Jsonb

from serving.agents.composition import Breach, Composition, breaches
from serving.agents.party_holds import hold_agent
from serving.agents.relations import get
from serving.agents.rules import rule_for
from serving.db.calendar import day_start, month_end, zone_of
from serving.db.retries import ConnectionFactory, in_transaction
from serving.settlement.plans.rules import IncomeRule


class Reviewed(NamedTuple):
    """How many agents a run reviewed, and how many of them it held."""

    agents: int = 0
    held: int = 0


class ReviewedMonth(NamedTuple):
    """What the review of a month found of an agent, fen; `breaches` are the reason codes."""

    month_on: date
    own_retail_cents: int
    self_purchase_cents: int
    downline_cents: int
    breaches: list[str]


def review_month(transactions: ConnectionFactory, tenant_id: str, month_on: date, now: datetime) -> Reviewed:
    """Review every active agent who earned in a month; once per agent and month, each in a transaction.

    The rule is the one of the plan that was in force when the month ended.

    Args:
        transactions: Opens a transaction of the tenant.
        tenant_id: The tenant.
        month_on: First day of the month.
        now: When holds begin; before the month's end nothing is done.

    Raises:
        ValueError: `month_on` is not the first day of a month.

    Source: P13.
    """
    if now < in_transaction(transactions, lambda conn: month_end(month_on, zone_of(conn, tenant_id))):
        return Reviewed()
    done = Reviewed()
    for agent_id in in_transaction(transactions, lambda conn: _unreviewed(conn, tenant_id, month_on)):
        work = partial(_review, tenant_id=tenant_id, agent_id=agent_id, month_on=month_on, now=now)
        held = in_transaction(transactions, work)
        done = Reviewed(done.agents + 1, done.held + held)
    return done


def reviews_of(conn: psycopg.Connection[Any], tenant_id: str, agent_id: str) -> list[ReviewedMonth]:
    """The reviewed months of an agent, newest first."""
    rows = conn.execute(
        "select month_on, own_retail_cents, self_purchase_cents, downline_cents, breaches"
        " from agents.composition_review where tenant_id = %s and agent_id = %s order by month_on desc",
        (tenant_id, agent_id),
    )
    return [ReviewedMonth(*row) for row in rows]


def composition_of_agent(
    conn: psycopg.Connection[Any], tenant_id: str, agent_id: str, start: datetime, end: datetime
) -> Composition:
    """Net sales less refunds from which an agent earned, by lines that were accrued in `[start, end)`.

    A line counts once: as the agent's own when the agent sold it, referred its buyer (level 1) or had a scene
    role in it, as the downline's when the agent was paid as second level or as manager. Own purchases count
    although they pay nothing. Nothing in the books is tied to recruiting: plans with such a rule are refused.

    Raises:
        UnknownAgentError: There is no such agent.

    Source: P13, base net_paid.
    """
    agent = get(conn, agent_id)
    rows = conn.execute(
        "with lines as ("
        " select g.order_id, g.line_no, bool_or(g.kind in ('direct', 'role')"
        " or g.kind = 'upline' and g.level = 1) as is_own,"
        " bool_or(g.kind in ('upline', 'team') and g.level <> 1 and g.amount_cents > 0) as is_downline"
        " from settlement.leg g where g.tenant_id = %(tenant)s and g.payee_type = 'agent'"
        " and g.payee_id = %(agent)s and g.accrued_at >= %(start)s and g.accrued_at < %(end)s"
        " and g.line_no >= 1 group by g.order_id, g.line_no)"
        " select case when o.consumer_id = %(own)s then 'self' when x.is_own then 'own' else 'downline' end,"
        " sum(l.net_paid_cents - l.refunded_cents)::bigint"
        " from lines x"
        " join orders.customer_order o on o.tenant_id = %(tenant)s and o.order_id = x.order_id"
        " join orders.order_line l on l.tenant_id = %(tenant)s and l.order_id = x.order_id"
        " and l.line_no = x.line_no"
        " where x.is_own or x.is_downline group by 1",
        {
            "tenant": tenant_id,
            "agent": agent_id,
            "own": agent.own_consumer_id,
            "start": start,
            "end": end,
        },
    )
    by_kind = {kind: int(cents) for kind, cents in rows}
    return Composition(
        own_retail_cents=by_kind.get("own", 0),
        self_purchase_cents=by_kind.get("self", 0),
        downline_cents=by_kind.get("downline", 0),
    )


def review_composition(
    conn: psycopg.Connection[Any],
    tenant_id: str,
    agent_id: str,
    start: datetime,
    end: datetime,
    rule: IncomeRule,
    now: datetime,
) -> tuple[Composition, tuple[Breach, ...]]:
    """Look at an agent's income of a period; a breach holds payment until an operator has looked at it.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        agent_id: Whose income.
        start: Begin of the period, UTC.
        end: End of the period, exclusive.
        rule: P13 of the plan.
        now: When the hold begins.

    Returns:
        What was found, and the limits that are passed.

    Raises:
        UnknownAgentError: There is no such agent.

    Source: P13.
    """
    composition = composition_of_agent(conn, tenant_id, agent_id, start, end)
    found = breaches(composition, rule)
    for breach in found:
        hold_agent(conn, tenant_id, agent_id, "composition", breach.reason_code, now, None)
    return composition, found


def _unreviewed(conn: psycopg.Connection[Any], tenant_id: str, month_on: date) -> list[str]:
    """Active agents with a share accrued in the month whom nobody has reviewed for it."""
    zone = zone_of(conn, tenant_id)
    end = month_end(month_on, zone)
    rows = conn.execute(
        "select a.agent_id from agents.agent a where a.tenant_id = %(tenant)s"
        " and not exists (select 1 from parties.party p where p.tenant_id = a.tenant_id"
        " and p.party_type = 'agent' and p.party_id = a.agent_id and not p.is_active)"
        " and not exists (select 1 from agents.composition_review r where r.tenant_id = a.tenant_id"
        " and r.agent_id = a.agent_id and r.month_on = %(month)s)"
        " and exists (select 1 from settlement.leg g where g.tenant_id = a.tenant_id"
        " and g.payee_type = 'agent' and g.payee_id = a.agent_id"
        " and g.accrued_at >= %(start)s and g.accrued_at < %(end)s) order by a.agent_id",
        {"tenant": tenant_id, "month": month_on, "start": day_start(month_on, zone), "end": end},
    )
    return [agent_id for (agent_id,) in rows]


def _review(
    conn: psycopg.Connection[Any], tenant_id: str, agent_id: str, month_on: date, now: datetime
) -> bool:
    """Review one agent's month unless it was; whether payment is held."""
    zone = zone_of(conn, tenant_id)
    end = month_end(month_on, zone)
    rule = rule_for(conn, tenant_id, get(conn, agent_id), IncomeRule, end - timedelta(microseconds=1))
    new = conn.execute(
        "insert into agents.composition_review (tenant_id, agent_id, month_on, own_retail_cents,"
        " self_purchase_cents, downline_cents, breaches, reviewed_at)"
        " values (%s, %s, %s, 0, 0, 0, '[]', %s) on conflict do nothing",
        (tenant_id, agent_id, month_on, now),
    ).rowcount
    if not new or rule is None:
        return False
    composition, found = review_composition(
        conn, tenant_id, agent_id, day_start(month_on, zone), end, rule, now
    )
    conn.execute(
        "update agents.composition_review set own_retail_cents = %s, self_purchase_cents = %s,"
        " downline_cents = %s, breaches = %s where tenant_id = %s and agent_id = %s and month_on = %s",
        (
            composition.own_retail_cents,
            composition.self_purchase_cents,
            composition.downline_cents,
            Jsonb([breach.reason_code for breach in found]),
            tenant_id,
            agent_id,
            month_on,
        ),
    )
    return bool(found)
