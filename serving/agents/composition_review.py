"""What an agent lived on in a period, from the books, and the hold that a breach places.

Limits and shares are in `composition`. The hold is the review: it stands until an operator lifts or confirms
it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from serving.agents.composition import Breach, Composition, breaches
from serving.agents.party_holds import hold_agent
from serving.agents.relations import get
from serving.settlement.plans.rules import IncomeRule


def composition_of_agent(
    conn: psycopg.Connection[Any], tenant_id: str, agent_id: str, start: datetime, end: datetime
) -> Composition:
    """Net sales less refunds from which an agent earned, by lines that were accrued in `[start, end)`.

    A line counts once: as the agent's own when the agent sold it or had a scene role in it, as the
    downline's when the agent was paid as upline or manager. Own purchases count although they pay nothing.
    Nothing in the books is tied to recruiting: plans with such a rule are refused.

    Raises:
        UnknownAgentError: There is no such agent.

    Source: P13, base net_paid.
    """
    agent = get(conn, agent_id)
    rows = conn.execute(
        "with lines as ("
        " select g.order_id, g.line_no, bool_or(g.kind in ('direct', 'role')) as is_own,"
        " bool_or(g.kind in ('upline', 'team') and g.amount_cents > 0) as is_downline"
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
