"""Protected regions in the database, sales into them, and the hold that a diversion score places.

Scores are made in `regions`; who is compensated is frozen by `order_parties`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
from psycopg.rows import class_row

from serving.agents.errors import RegionTakenError
from serving.agents.regions import Assessment, Observations, assess, hold_ends_at
from serving.agents.relations import Agent, get
from serving.agents.rules import rule_for
from serving.db import locks
from serving.db.retries import ConnectionFactory, in_transaction
from serving.settlement.books.accrual import lock_orders
from serving.settlement.control.holds import Hold, holds_on, on_order, place_hold
from serving.settlement.plans.rules import RegionRule

_DIVERTED = (
    "exists (select 1 from agents.protected_region r where r.tenant_id = o.tenant_id"
    " and r.region_code = o.region_code and r.agent_id <> o.agent_id"
    " and (o.paid_at at time zone ops.local_zone())::date >= r.protected_from"
    " and (o.paid_at at time zone ops.local_zone())::date < r.protected_to)"
)
REVIEWED = timedelta(days=30)
"""How far back a review of diversion looks."""


@dataclass(frozen=True, slots=True)
class FieldCounts:
    """What an inspector counted of one agent outside the database; see `Observations`."""

    scans: int = 0
    scans_elsewhere: int = 0
    orders_to_top_address: int = 0
    listings: int = 0
    listings_below_floor: int = 0


@dataclass(frozen=True, slots=True)
class DiversionReview:
    """A score and the orders that it holds."""

    assessment: Assessment
    held_order_ids: tuple[str, ...]


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
    locks.region(conn, tenant_id, region.region_code)
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
        f" and {_DIVERTED}",
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


def review_diversion(
    conn: psycopg.Connection[Any],
    tenant_id: str,
    agent: Agent,
    field: FieldCounts,
    rule: RegionRule,
    now: datetime,
) -> DiversionReview:
    """Score an agent's last 30 days and hold what waits of his orders into others' protected regions.

    Orders and sales into protected regions are counted here, the rest is what an inspector found.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        agent: Whose sales.
        field: What was found outside the database.
        rule: P9 of the plan.
        now: End of the 30 days, and begin of the holds.

    Raises:
        ValueError: The counts contradict each other.

    Source: P9.
    """
    start = now - REVIEWED
    row = conn.execute(
        "select count(*) from orders.customer_order where tenant_id = %s and agent_id = %s"
        " and paid_at >= %s and paid_at < %s",
        (tenant_id, agent.agent_id, start, now),
    ).fetchone()
    assessment = assess(
        Observations(
            scans=field.scans,
            scans_elsewhere=field.scans_elsewhere,
            orders=int(row[0]) if row else 0,
            orders_to_top_address=field.orders_to_top_address,
            listings=field.listings,
            listings_below_floor=field.listings_below_floor,
            protected_zone_sales=protected_zone_sales(conn, tenant_id, agent.agent_id, start, now),
        ),
        rule,
    )
    held = [
        order_id
        for order_id in _waiting_diverted(conn, tenant_id, agent.agent_id, start, now)
        if hold_for_diversion(conn, tenant_id, order_id, assessment, rule, now) is not None
    ]
    return DiversionReview(assessment, tuple(held))


def review_diversions(transactions: ConnectionFactory, tenant_id: str, now: datetime) -> int:
    """Review every agent who sold into another's protected region in the last 30 days; orders held.

    Agents of plans without the rule are left out.
    """
    held = 0
    start = now - REVIEWED
    for agent_id in in_transaction(transactions, lambda conn: _diverting(conn, tenant_id, start, now)):
        work = partial(_review_one, tenant_id=tenant_id, agent_id=agent_id, now=now)
        held += in_transaction(transactions, work)
    return held


def _diverting(conn: psycopg.Connection[Any], tenant_id: str, start: datetime, end: datetime) -> list[str]:
    rows = conn.execute(
        "select distinct o.agent_id from orders.customer_order o"
        " join agents.agent a on a.tenant_id = o.tenant_id and a.agent_id = o.agent_id"
        " where o.tenant_id = %(tenant)s and o.paid_at >= %(start)s and o.paid_at < %(end)s"
        f" and {_DIVERTED} order by 1",
        {"tenant": tenant_id, "start": start, "end": end},
    )
    return [agent_id for (agent_id,) in rows]


def _review_one(conn: psycopg.Connection[Any], tenant_id: str, agent_id: str, now: datetime) -> int:
    agent = get(conn, agent_id)
    rule = rule_for(conn, tenant_id, agent, RegionRule, now)
    if rule is None:
        return 0
    return len(review_diversion(conn, tenant_id, agent, FieldCounts(), rule, now).held_order_ids)


def _waiting_diverted(
    conn: psycopg.Connection[Any], tenant_id: str, agent_id: str, start: datetime, end: datetime
) -> list[str]:
    """Orders of an agent into others' protected regions of which something waits for its release."""
    rows = conn.execute(
        "select o.order_id from orders.customer_order o where o.tenant_id = %(tenant)s"
        f" and o.agent_id = %(agent)s and o.paid_at >= %(start)s and o.paid_at < %(end)s and {_DIVERTED}"
        " and exists (select 1 from settlement.leg l where l.tenant_id = o.tenant_id"
        " and l.order_id = o.order_id and l.state = 'pending' and not l.is_replaced) order by o.order_id",
        {"tenant": tenant_id, "agent": agent_id, "start": start, "end": end},
    )
    return [order_id for (order_id,) in rows]
