"""Receipt of goods, as the buyer's shop tells it. Receipt by time and release of money: `settlement.release`.

Source: common rules, release; L11.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import psycopg

from serving.orders import webhooks
from serving.orders.errors import ImpossibleMoveError, NotFoundError
from serving.orders.records import Order, find_order, follow_sub_orders, set_sub_order, sub_orders_of
from serving.orders.states import ORDER, SUB_ORDER, SubOrderStatus
from serving.settlement.plans.rules import ReleaseRule
from serving.settlement.plans.store import plan_version

Connection = psycopg.Connection[Any]

WAIT_DAYS = 7
"""Days between receipt and release where the plan says nothing else."""


def confirm_receipt(
    conn: Connection, tenant_id: str, order_id: str, supplier_id: str | None, now: datetime
) -> str:
    """The buyer has the goods of one supplier, or of all that shipped.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        order_id: The order.
        supplier_id: Whose parcels; None for all that are on their way.
        now: Business time; the release of money counts from it.

    Returns:
        The order's status.

    Raises:
        NotFoundError: There is no such order, or the supplier has no part of it.
        ImpossibleMoveError: Nothing of it is on its way.
    """
    order = find_order(conn, tenant_id, order_id, lock=True)
    parts = sub_orders_of(conn, tenant_id, order_id, lock=True)
    if supplier_id is not None:
        parts = [part for part in parts if part.supplier_id == supplier_id]
        if not parts:
            raise NotFoundError("sub-order", f"{order_id}/{supplier_id}")
    else:
        parts = [part for part in parts if part.status == SubOrderStatus.SHIPPED]
        if not parts:
            raise ImpossibleMoveError(
                "order", order_id, order.status, "receive", ORDER.possible(order.status)
            )
    due_at = now + timedelta(days=_wait_days(conn, tenant_id, order))
    for part in parts:
        status = SUB_ORDER.move(f"{order_id}/{part.supplier_id}", part.status, "receive")
        set_sub_order(
            conn, tenant_id, order_id, part.supplier_id, status, received_at=now, release_due_at=due_at
        )
        conn.execute(
            "update orders.shipment set delivered_at = %(now)s, xact_id = pg_current_xact_id()"
            " where tenant_id = %(tenant)s and order_id = %(order)s and supplier_id = %(supplier)s"
            " and delivered_at is null",
            {"tenant": tenant_id, "order": order_id, "supplier": part.supplier_id, "now": now},
        )
        event = "sub_order.received"
        webhooks.tell_merchant(conn, tenant_id, order.merchant_id, event, order_id, part.supplier_id)
    return follow_sub_orders(conn, tenant_id, order)


def _wait_days(conn: Connection, tenant_id: str, order: Order) -> int:
    row = conn.execute(
        "select plan_id, plan_version from orders.customer_order"
        " where tenant_id = %(tenant)s and order_id = %(order)s and plan_id is not null",
        {"tenant": tenant_id, "order": order.order_id},
    ).fetchone()
    rule = plan_version(conn, tenant_id, row[0], row[1]).only(ReleaseRule) if row else None
    return rule.wait_days_after_receipt if rule else WAIT_DAYS
