"""Who may be paid from an order, read when it is paid. The relations themselves: `serving.agents`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from serving.agents.order_parties import parties_of_order
from serving.db.calendar import local_day, zone_of
from serving.orders.records import Order
from serving.settlement.sharing.snapshot import Parties, Party

Connection = psycopg.Connection[Any]


def parties_at_payment(conn: Connection, tenant_id: str, order: Order, at: datetime) -> Parties:
    """The parties of an order, with the scene roles that its placing named.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        order: The order.
        at: Moment of payment.

    Raises:
        AgentsError: Its agent is unknown by now, or sells for another merchant.
    """
    return parties_of_order(
        conn,
        tenant_id,
        order.merchant_id,
        order.agent_id,
        order.consumer_id,
        placed_at=order.placed_at,
        order_id=order.order_id,
        region_code=order.region_code,
        on=local_day(at, zone_of(conn, tenant_id)),
        at=at,
        roles=_roles(conn, tenant_id, order.order_id, at),
    )


def _roles(conn: Connection, tenant_id: str, order_id: str, at: datetime) -> dict[str, Party]:
    rows = conn.execute(
        "select r.role, r.party_type, r.party_id, coalesce(a.tier, 'none'),"
        " coalesce(p.is_natural_person, r.party_type = 'agent'), coalesce(p.has_contract, false),"
        " coalesce(p.is_verified, false), coalesce(a.has_service_evidence, false), a.own_consumer_id"
        " from orders.order_role r left join parties.party p using (tenant_id, party_type, party_id)"
        " left join agents.agent a on a.tenant_id = r.tenant_id and a.agent_id = r.party_id"
        " and r.party_type = 'agent' where r.tenant_id = %(tenant)s and r.order_id = %(order)s"
        " and (coalesce(p.is_active, true) or p.ended_at > %(at)s) order by r.role",
        {"tenant": tenant_id, "order": order_id, "at": at},
    ).fetchall()
    return {role: Party(*values) for role, *values in rows}
