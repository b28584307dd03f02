"""Groups whose time is over: they end once, and every order in them is cancelled or paid back, once.

First the group ends, in a transaction of its own that holds its row, so that no payment completes it later.
Then its orders end one by one, each line in a transaction of its own. A process that dies in between leaves
orders that the next round finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import psycopg

from serving.db import locks
from serving.db.isolation import Alarm, isolated, log_alarm
from serving.db.retries import ConnectionFactory, in_transaction
from serving.orders.placing.cancelling import cancel_units
from serving.orders.placing.placing import cancel_order
from serving.orders.records import find_order, lines_of
from serving.orders.states import OrderStatus
from serving.orders.webhooks import webhooks

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class GroupsEnded:
    """What a round did.

    Attributes:
        groups: Groups that ended without enough buyers.
        cancelled: Unpaid orders of such groups that were cancelled.
        refunded_cents: Paid back to buyers, fen, freight included.
    """

    groups: int
    cancelled: int
    refunded_cents: int

    def __str__(self) -> str:
        orders = f"{self.cancelled} orders cancelled, {self.refunded_cents} fen refunded"
        return f"{self.groups} groups ended, {orders}"


def end_groups_due(
    transactions: ConnectionFactory, tenant_id: str, now: datetime, alarm: Alarm = log_alarm
) -> GroupsEnded:
    """End groups whose time is over, and the orders of all that ended.

    A group that somebody holds at this moment (a payment may complete it) is left to the next round. An order
    that cannot be ended waits with an alarm, and is tried again each round; the others do not wait for it.

    Args:
        transactions: Opens a transaction of the tenant.
        tenant_id: The tenant.
        now: Business time.
        alarm: Is told of what is stopped.
    """
    groups = 0
    while in_transaction(transactions, partial(_end_one, tenant_id=tenant_id, now=now)):
        groups += 1
    cancelled = refunded = 0
    for order_id in in_transaction(transactions, partial(_orders_to_end, tenant_id=tenant_id)):
        while True:
            work = partial(_end_order, tenant_id=tenant_id, order_id=order_id, now=now)
            step = isolated(transactions, f"the end of order {order_id}", work, alarm)
            if step is None:
                break
            cancelled += step == _CANCELLED
            refunded += max(0, step)
    return GroupsEnded(groups, cancelled, refunded)


_CANCELLED = -1


def _end_one(conn: Connection, tenant_id: str, now: datetime) -> bool:
    row = conn.execute(
        "select group_id from promotions.buying_group where tenant_id = %s and status = 'open'"
        " and expires_at <= %s order by expires_at, group_id limit 1" + locks.CLAIMED,
        (tenant_id, now),
    ).fetchone()
    if row is None:
        return False
    conn.execute(
        "update promotions.buying_group set status = 'ended', closed_at = %s"
        " where tenant_id = %s and group_id = %s",
        (now, tenant_id, row[0]),
    )
    return True


def _orders_to_end(conn: Connection, tenant_id: str) -> list[str]:
    rows = conn.execute(
        "select c.order_id from promotions.buying_group g join promotions.claim c using (tenant_id, group_id)"
        " join orders.customer_order o using (tenant_id, order_id)"
        " where g.tenant_id = %s and g.status = 'ended' and c.state = 'taken'"
        " and o.status in ('placed', 'paid') order by 1",
        (tenant_id,),
    )
    return [order_id for (order_id,) in rows]


def _end_order(conn: Connection, tenant_id: str, order_id: str, now: datetime) -> int | None:
    """One step of ending an order: `_CANCELLED`, what a line gave back, or None when nothing is left."""
    order = find_order(conn, tenant_id, order_id, lock=True)
    if order.status == OrderStatus.PLACED:
        cancel_order(conn, tenant_id, order_id)
        webhooks.tell_merchant(conn, tenant_id, order.merchant_id, "order.expired", order_id)
        return _CANCELLED
    if order.status != OrderStatus.PAID:
        return None
    line = next((one for one in lines_of(conn, tenant_id, order_id) if one.reserved_qty), None)
    if line is None:
        return None
    done = cancel_units(conn, tenant_id, order_id, line.line_no, line.reserved_qty, now)
    return done.refund_cents + done.freight_cents
