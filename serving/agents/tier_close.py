"""Closing a month: counting settled end customers in the database and moving every agent's tier, once.

The rule itself is in `tiers`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import psycopg

from serving.agents.errors import MonthCloseError
from serving.agents.tiers import Performance, tier_after_close
from serving.agents.violation_records import standing_points_of_all
from serving.db import locks
from serving.db.calendar import days_before, local_day, month_end, zone_of
from serving.settlement.errors import PlanNotInForceError
from serving.settlement.plans.rules import TierRule, ViolationRule
from serving.settlement.plans.store import ALL_OTHERS, plan_in_force

MONTH_CLOSE = "month_close"


class TierChange(NamedTuple):
    """What a month close made of one agent; before and after may be equal."""

    agent_id: str
    tier_before: str
    tier_after: str
    performance: Performance


def performance_of_agents(
    conn: psycopg.Connection[Any], tenant_id: str, start: datetime, end: datetime
) -> dict[str, Performance]:
    """What agents sold to end customers, by lines that were settled in `[start, end)`.

    A line is settled when its legs are released. Buyers who are an agent's own consumer account hold a
    selling right and are not counted, nor are lines that were refunded in full.
    """
    rows = conn.execute(
        "with settled as ("
        " select distinct order_id, line_no from settlement.leg"
        " where tenant_id = %(tenant)s and state = 'released' and line_no >= 1"
        " and released_at >= %(start)s and released_at < %(end)s)"
        " select o.agent_id, count(distinct o.consumer_id), sum(l.net_paid_cents - l.refunded_cents)::bigint"
        " from settled s"
        " join orders.customer_order o on o.tenant_id = %(tenant)s and o.order_id = s.order_id"
        " join orders.order_line l on l.tenant_id = %(tenant)s and l.order_id = s.order_id"
        " and l.line_no = s.line_no"
        " where o.agent_id is not null and l.net_paid_cents > l.refunded_cents"
        " and not exists (select 1 from agents.agent seller where seller.tenant_id = %(tenant)s"
        " and seller.own_consumer_id = o.consumer_id)"
        " group by o.agent_id",
        {"tenant": tenant_id, "start": start, "end": end},
    )
    return {agent_id: Performance(customers, int(sales)) for agent_id, customers, sales in rows}


def close_month(
    conn: psycopg.Connection[Any],
    tenant_id: str,
    month_on: date,
    rule: TierRule,
    violations: ViolationRule | None,
    as_of: datetime,
    agent_ids: Collection[str] | None = None,
) -> list[TierChange]:
    """Move the tiers of active agents at the end of a month; once a month and agent.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        month_on: First day of the month.
        rule: P8 of the plan.
        violations: P11 of the plan: agents with that many points do not rise. None when the rule is off.
        as_of: Now.
        agent_ids: Only these agents; None for all.

    Returns:
        Every agent that this call closed the month for, by id; none when it was closed before.

    Raises:
        MonthCloseError: The month is not over, or a later one is closed.

    Source: P8, P11.
    """
    zone = zone_of(conn, tenant_id)
    end = month_end(month_on, zone)
    if as_of < end:
        raise MonthCloseError(f"{month_on:%Y-%m} ends at {end.isoformat()}; close it then")
    # One close at a time: an agent must not be moved down twice by two that overlap.
    locks.month_close(conn, tenant_id)
    later = conn.execute(
        "select max(month_on) from agents.tier_change where tenant_id = %s and reason = %s",
        (tenant_id, MONTH_CLOSE),
    ).fetchone()
    if later is not None and later[0] is not None and later[0] > month_on:
        raise MonthCloseError(f"{later[0]:%Y-%m} is closed already; months are closed in their order")
    locks.agents(conn, tenant_id)
    agents = conn.execute(
        "select a.agent_id, a.tier from agents.agent a where a.tenant_id = %(tenant)s"
        " and coalesce(a.joined_on < %(end)s, true)"
        " and not exists (select 1 from parties.party p where p.tenant_id = a.tenant_id"
        " and p.party_type = 'agent' and p.party_id = a.agent_id and not p.is_active)"
        " and not exists (select 1 from agents.tier_change c where c.tenant_id = a.tenant_id"
        " and c.agent_id = a.agent_id and c.month_on = %(month)s and c.reason = %(reason)s)"
        " and (%(agents)s::text[] is null or a.agent_id = any(%(agents)s))"
        " order by a.agent_id",
        {
            "tenant": tenant_id,
            "end": local_day(end, zone),
            "month": month_on,
            "reason": MONTH_CLOSE,
            "agents": None if agent_ids is None else list(agent_ids),
        },
    ).fetchall()
    performance = performance_of_agents(conn, tenant_id, days_before(end, rule.window_days, zone), end)
    points = standing_points_of_all(conn, tenant_id, end) if violations is not None else {}
    changes = []
    for agent_id, before in agents:
        held_down = violations is not None and points.get(agent_id, 0) >= violations.demote_from
        found = performance.get(agent_id, Performance())
        after = tier_after_close(before, found, rule, may_rise=not held_down)
        changes.append(TierChange(agent_id, before, after, found))
    _write(conn, tenant_id, month_on, changes, as_of)
    return changes


def close_month_by_plans(
    conn: psycopg.Connection[Any], tenant_id: str, month_on: date, as_of: datetime
) -> list[TierChange]:
    """Close a month for all agents, each by the plan of his merchant that was in force when it ended.

    Agents whose merchant has no plan, or one without tiers, keep theirs.

    Raises:
        MonthCloseError: The month is not over, or a later one is closed.
    """
    by_merchant: dict[str, list[str]] = defaultdict(list)
    for agent_id, merchant_id in conn.execute(
        "select agent_id, merchant_id from agents.agent where tenant_id = %s order by agent_id", (tenant_id,)
    ):
        by_merchant[merchant_id or ALL_OTHERS].append(agent_id)
    last = month_end(month_on, zone_of(conn, tenant_id)) - timedelta(microseconds=1)
    changes: list[TierChange] = []
    for merchant_id, agent_ids in sorted(by_merchant.items()):
        try:
            plan = plan_in_force(conn, tenant_id, merchant_id, last)
        except PlanNotInForceError:
            continue
        rule = plan.only(TierRule)
        if rule is not None:
            violations = plan.only(ViolationRule)
            changes += close_month(conn, tenant_id, month_on, rule, violations, as_of, agent_ids)
    return sorted(changes)


def tiers_at(
    conn: psycopg.Connection[Any], tenant_id: str, agent_ids: Collection[str], at: datetime
) -> dict[str, str]:
    """Tiers that agents had at a moment and do not have any more; others stand as they stood.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        agent_ids: Whom to look at.
        at: The moment, such as that of a payment whose notice came late.
    """
    rows = conn.execute(
        "select distinct on (agent_id) agent_id, tier_before from agents.tier_change"
        " where tenant_id = %s and agent_id = any(%s) and changed_at > %s"
        " order by agent_id, changed_at, month_on",
        (tenant_id, sorted(set(agent_ids)), at),
    )
    return dict(rows.fetchall())


def _write(
    conn: psycopg.Connection[Any],
    tenant_id: str,
    month_on: date,
    changes: list[TierChange],
    changed_at: datetime,
) -> None:
    values = {
        "tenant": tenant_id,
        "month": month_on,
        "at": changed_at,
        "reason": MONTH_CLOSE,
        "agents": [change.agent_id for change in changes],
        "before": [change.tier_before for change in changes],
        "after": [change.tier_after for change in changes],
        "customers": [change.performance.end_customers for change in changes],
        "sales": [change.performance.net_sales_cents for change in changes],
    }
    conn.execute(
        "insert into agents.tier_change (tenant_id, agent_id, month_on, tier_before, tier_after, "
        "end_customers,"
        " net_sales_cents, reason, changed_at)"
        " select %(tenant)s, n.agent_id, %(month)s, n.tier_before, n.tier_after, n.customers, n.sales, "
        "%(reason)s, %(at)s"
        " from unnest(%(agents)s::text[], %(before)s::text[], %(after)s::text[], %(customers)s::integer[],"
        " %(sales)s::bigint[]) as n (agent_id, tier_before, tier_after, customers, sales)",
        values,
    )
    conn.execute(
        "update agents.agent a set tier = n.tier_after"
        " from unnest(%(agents)s::text[], %(before)s::text[], %(after)s::text[])"
        " as n (agent_id, tier_before, tier_after)"
        " where a.tenant_id = %(tenant)s and a.agent_id = n.agent_id and n.tier_after <> n.tier_before",
        values,
    )
