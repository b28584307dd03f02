"""Protected regions in the database, sales into them, and the hold that a diversion score places.

Scores are made in `regions`; who is compensated is frozen by `order_parties`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from serving.agents.errors import RegionTakenError
from serving.agents.regions import Assessment, hold_ends_at
from serving.agents.relations import get
from serving.settlement.books.accrual import lock_orders
from serving.settlement.control.holds import Hold, holds_on, on_order, place_hold
from serving.settlement.plans.rules import RegionRule


@dataclass(frozen=True, slots=True)
class ProtectedRegion:
    """A region that belongs to one agent in `[protected_from, protected_to)`."""

    region_code: str
    agent_id: str
    protected_from: date
    protected_to: date


def protect(conn: psycopg.Connection[Any], tenant_id: str, region: ProtectedRegion) -> bool:
    """Protect a region for an agent; the same again changes nothing, another end replaces the end.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        region: With an end after its start.

    Returns:
        Whether anything changed.

    Raises:
        UnknownAgentError: There is no such agent.
        RegionTakenError: The region is protected in part of that time by another grant.

    Source: P9.
    """
    get(conn, region.agent_id)
    # Grants of a region are made one after the other, or two could overlap unseen.
    conn.execute(
        "select pg_advisory_xact_lock(hashtext('agents.protected_region'), hashtext(%s))",
        (f"{tenant_id}/{region.region_code}",),
    )
    values = {
        "tenant": tenant_id,
        "region": region.region_code,
        "agent": region.agent_id,
        "start": region.protected_from,
        "end": region.protected_to,
    }
    other = conn.execute(
        "select agent_id, protected_from, protected_to from agents.protected_region"
        " where tenant_id = %(tenant)s and region_code = %(region)s"
        " and protected_from < %(end)s and protected_to > %(start)s"
        " and (agent_id, protected_from) <> (%(agent)s, %(start)s)"
        " order by protected_from limit 1",
        values,
    ).fetchone()
    if other is not None:
        raise RegionTakenError(
            f"region {region.region_code} is protected for agent {other[0]} from {other[1]} to {other[2]}; "
            "choose a time that does not overlap"
        )
    return (
        conn.execute(
            "insert into agents.protected_region as r"
            " (tenant_id, region_code, agent_id, protected_from, protected_to)"
            " values (%(tenant)s, %(region)s, %(agent)s, %(start)s, %(end)s)"
            " on conflict (tenant_id, region_code, protected_from) do update"
            " set protected_to = excluded.protected_to where r.protected_to <> excluded.protected_to",
            values,
        ).rowcount
        == 1
    )


def regions_of(conn: psycopg.Connection[Any], tenant_id: str, agent_id: str) -> list[ProtectedRegion]:
    """Every region that is, was or will be protected for an agent."""
    with conn.cursor(row_factory=class_row(ProtectedRegion)) as cursor:
        return cursor.execute(
            "select region_code, agent_id, protected_from, protected_to from agents.protected_region"
            " where tenant_id = %s and agent_id = %s order by region_code, protected_from",
            (tenant_id, agent_id),
        ).fetchall()


def protected_zone_sales(
    conn: psycopg.Connection[Any], tenant_id: str, agent_id: str, start: datetime, end: datetime
) -> int:
    """Orders of an agent, paid in `[start, end)`, into regions that were another agent's protected ones."""
    row = conn.execute(
        "select count(*) from orders.customer_order o where o.tenant_id = %(tenant)s and o.agent_id = "
        "%(agent)s"
        " and o.paid_at >= %(start)s and o.paid_at < %(end)s"
        " and exists (select 1 from agents.protected_region r where r.tenant_id = o.tenant_id"
        " and r.region_code = o.region_code and r.agent_id <> o.agent_id"
        " and (o.paid_at at time zone 'UTC')::date >= r.protected_from"
        " and (o.paid_at at time zone 'UTC')::date < r.protected_to)",
        {"tenant": tenant_id, "agent": agent_id, "start": start, "end": end},
    ).fetchone()
    return int(row[0]) if row else 0


def hold_for_diversion(
    conn: psycopg.Connection[Any],
    tenant_id: str,
    order_id: str,
    assessment: Assessment,
    rule: RegionRule,
    now: datetime,
) -> Hold | None:
    """Hold an order's release when the score asks for it; once per order, so that 15 days stay 15 days.

    Returns:
        The hold; None when the score is too low, or the order was held for diversion before.

    Raises:
        HoldTargetError: Nothing of the order waits for release.

    Source: P9.
    """
    if not assessment.is_held:
        return None
    # The order's row is locked first, so that two scores do not both find no earlier hold.
    lock_orders(conn, tenant_id, [order_id])
    if any(hold.source == "diversion" for hold in holds_on(conn, tenant_id, on_order(order_id))):
        return None
    return place_hold(
        conn, tenant_id, on_order(order_id), "diversion", assessment.reason_code, now, hold_ends_at(now, rule)
    )
