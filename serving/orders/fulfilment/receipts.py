"""Receipt of goods: as the buyer's shop tells it, or by time. Release of money: `settlement.books.release`.

Source: common rules, release; L11.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from functools import partial
from typing import Any

import psycopg

from serving.db import locks
from serving.db.isolation import Alarm, isolated, log_alarm
from serving.db.retries import ConnectionFactory, in_transaction
from serving.orders.errors import ImpossibleMoveError, NotFoundError
from serving.orders.records import (
    Order,
    SubOrder,
    find_order,
    follow_sub_orders,
    set_sub_order,
    sub_orders_of,
)
from serving.orders.states import ORDER, SUB_ORDER, SubOrderStatus
from serving.orders.webhooks import webhooks
from serving.settlement.plans.store import plan_version
from serving.settlement.plans.windows import STANDARD, Windows, windows_of

Connection = psycopg.Connection[Any]

_Plan = tuple[str | None, int | None]
"""Plan and version that an order was paid under."""


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
    wait = _windows(conn, tenant_id, *_plan_of(conn, tenant_id, order)).wait
    for part in parts:
        _receive(conn, tenant_id, order, part, now, now + wait)
    return follow_sub_orders(conn, tenant_id, order)


def confirm_receipts_due(
    transactions: ConnectionFactory,
    tenant_id: str,
    now: datetime,
    batch: int = 200,
    alarm: Alarm = log_alarm,
) -> int:
    """Receive what was shipped long enough ago, exactly as if the buyer's shop had told it.

    How long is what the plan says that an order was paid under. The receipt counts from the day it was due,
    however late the job comes. Any number of runs may work at once. Orders of a plan
    that fails, such as one that cannot be read, wait with an alarm; those of other plans do not.

    Args:
        transactions: Opens a transaction of the tenant.
        tenant_id: The tenant.
        now: Business time (UTC).
        batch: Sub-orders in a transaction.
        alarm: Is told of what is stopped.

    Returns:
        Sub-orders that were received.
    """
    received = 0
    for plan in in_transaction(transactions, lambda conn: _plans_of_parcels(conn, tenant_id, now)):
        done = batch
        while done == batch:
            work = partial(_receive_batch, tenant_id=tenant_id, now=now, plan=plan, batch=batch)
            subject = f"the receipts under plan {plan[0]} {plan[1]}"
            done = isolated(transactions, subject, work, alarm) or 0
            received += done
    return received


def _receive_batch(conn: Connection, tenant_id: str, now: datetime, plan: _Plan, batch: int) -> int:
    windows = _windows(conn, tenant_id, *plan)
    rows = conn.execute(
        "select s.order_id, s.supplier_id from orders.sub_order s"
        " join orders.customer_order o on o.tenant_id = s.tenant_id and o.order_id = s.order_id"
        " where s.tenant_id = %s and s.status = 'shipped' and s.shipped_at <= %s"
        " and (o.plan_id, o.plan_version) is not distinct from (%s, %s::integer)"
        " order by s.shipped_at limit %s" + locks.CLAIMED_ORDERS,
        (tenant_id, now - windows.auto_receipt, *plan, batch),
    ).fetchall()
    suppliers: dict[str, set[str]] = defaultdict(set)
    for order_id, supplier_id in rows:
        suppliers[order_id].add(supplier_id)
    for order_id, due in suppliers.items():
        order = find_order(conn, tenant_id, order_id)
        for part in sub_orders_of(conn, tenant_id, order_id):
            if part.supplier_id in due and part.shipped_at is not None:
                at = part.shipped_at + windows.auto_receipt
                _receive(conn, tenant_id, order, part, at, at + windows.wait)
        follow_sub_orders(conn, tenant_id, order)
    return len(rows)


def _receive(
    conn: Connection, tenant_id: str, order: Order, part: SubOrder, at: datetime, release_due_at: datetime
) -> None:
    order_id, supplier = order.order_id, part.supplier_id
    status = SUB_ORDER.move(f"{order_id}/{supplier}", part.status, "receive")
    times = {"received_at": at, "release_due_at": release_due_at}
    set_sub_order(conn, tenant_id, order_id, supplier, status, **times)
    conn.execute(
        "update orders.shipment set delivered_at = %(at)s, xact_id = pg_current_xact_id()"
        " where tenant_id = %(tenant)s and order_id = %(order)s and supplier_id = %(supplier)s"
        " and delivered_at is null",
        {"tenant": tenant_id, "order": order_id, "supplier": supplier, "at": at},
    )
    webhooks.tell_merchant(conn, tenant_id, order.merchant_id, "sub_order.received", order_id, supplier)


def _plans_of_parcels(conn: Connection, tenant_id: str, now: datetime) -> list[_Plan]:
    """Plan versions of orders of which something is on its way."""
    return conn.execute(
        "select distinct o.plan_id, o.plan_version from orders.sub_order s"
        " join orders.customer_order o on o.tenant_id = s.tenant_id and o.order_id = s.order_id"
        " where s.tenant_id = %s and s.status = 'shipped' and s.shipped_at <= %s order by 1, 2",
        (tenant_id, now),
    ).fetchall()


def _plan_of(conn: Connection, tenant_id: str, order: Order) -> _Plan:
    row = conn.execute(
        "select plan_id, plan_version from orders.customer_order"
        " where tenant_id = %(tenant)s and order_id = %(order)s",
        {"tenant": tenant_id, "order": order.order_id},
    ).fetchone()
    return row if row is not None else (None, None)


def _windows(conn: Connection, tenant_id: str, plan_id: str | None, version: int | None) -> Windows:
    if plan_id is None or version is None:
        return STANDARD
    return windows_of(plan_version(conn, tenant_id, plan_id, version))
