"""Rows of orders as the rooms of the order flow read, lock and change them. No rule here.

`customer_order.xact_id` is of the last change of an order, its lines or its sub-orders: whatever changes one
of them calls `touch`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from serving.db import locks
from serving.orders.errors import NotFoundError
from serving.orders.states import ORDER, follow

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Order:
    """A row of `orders.customer_order`."""

    order_id: str
    merchant_id: str
    consumer_id: str
    agent_id: str | None
    channel: str
    region_code: str | None
    status: str
    placed_at: datetime
    paid_at: datetime | None
    coupon_discount_cents: int
    freight_cents: int
    payable_cents: int
    captured_cents: int
    refunded_cents: int


@dataclass(frozen=True)
class OrderLine:
    """A row of `orders.order_line`; `open_cents` is what may still be refunded.

    `back_qty` are units of a line that cost nothing which were sent and came back.

    From which warehouse it leaves and when is of the clock of the warehouse; without one, of the tenant.
    """

    line_no: int
    sku_id: str
    supplier_id: str
    qty: int
    list_price_cents: int
    promo_discount_cents: int
    coupon_discount_cents: int
    net_paid_cents: int
    supply_price_cents: int
    refunded_cents: int
    reserved_qty: int
    sent_qty: int
    back_qty: int
    warehouse_id: str | None
    ships_on: date | None
    promised_on: date | None

    @property
    def open_cents(self) -> int:
        """What was paid for the line and not refunded, fen."""
        return self.net_paid_cents - self.refunded_cents

    @property
    def gone_qty(self) -> int:
        """Units of a line that cost nothing which the buyer neither has nor is going to have."""
        return self.qty - self.reserved_qty - self.sent_qty + self.back_qty


@dataclass(frozen=True)
class SubOrder:
    """A row of `orders.sub_order`."""

    supplier_id: str
    status: str
    freight_cents: int
    refunded_freight_cents: int
    accepted_at: datetime | None
    shipped_at: datetime | None
    received_at: datetime | None
    release_due_at: datetime | None

    @property
    def open_freight_cents(self) -> int:
        """Freight that was paid and not refunded, fen."""
        return self.freight_cents - self.refunded_freight_cents


def _columns(kind: type) -> str:
    return ", ".join(kind.__dataclass_fields__)  # type: ignore[attr-defined]


_ORDER = _columns(Order)
_LINE = _columns(OrderLine)
_SUB_ORDER = _columns(SubOrder)
_WHERE = " where tenant_id = %(tenant)s and order_id = %(order)s"


def find_order(conn: Connection, tenant_id: str, order_id: str, *, lock: bool = False) -> Order:
    """An order; locked first of all rows when it is going to change.

    Raises:
        NotFoundError: There is no such order.
    """
    if lock:
        locks.orders(conn, tenant_id, [order_id])
    query = f"select {_ORDER} from orders.customer_order{_WHERE}"
    with conn.cursor(row_factory=class_row(Order)) as cursor:
        found = cursor.execute(query.encode(), {"tenant": tenant_id, "order": order_id}).fetchone()
    if found is None:
        raise NotFoundError("order", order_id)
    return found


def lines_of(
    conn: Connection, tenant_id: str, order_id: str, supplier_id: str | None = None
) -> list[OrderLine]:
    """Lines of an order by number; of one supplier when it is named."""
    query = (
        f"select {_LINE} from orders.order_line{_WHERE}"
        " and (%(supplier)s::text is null or supplier_id = %(supplier)s) order by line_no"
    )
    with conn.cursor(row_factory=class_row(OrderLine)) as cursor:
        values = {"tenant": tenant_id, "order": order_id, "supplier": supplier_id}
        return cursor.execute(query.encode(), values).fetchall()


def sub_orders_of(conn: Connection, tenant_id: str, order_id: str, *, lock: bool = False) -> list[SubOrder]:
    """Sub-orders of an order by supplier."""
    if lock:
        locks.sub_orders(conn, tenant_id, order_id)
    query = f"select {_SUB_ORDER} from orders.sub_order{_WHERE} order by supplier_id"
    with conn.cursor(row_factory=class_row(SubOrder)) as cursor:
        return cursor.execute(query.encode(), {"tenant": tenant_id, "order": order_id}).fetchall()


def find_sub_order(conn: Connection, tenant_id: str, order_id: str, supplier_id: str) -> SubOrder:
    """One sub-order, locked; its order is locked already.

    Raises:
        NotFoundError: The supplier has no part of the order.
    """
    for sub_order in sub_orders_of(conn, tenant_id, order_id, lock=True):
        if sub_order.supplier_id == supplier_id:
            return sub_order
    raise NotFoundError("sub-order", f"{order_id}/{supplier_id}")


def touch(conn: Connection, tenant_id: str, order_id: str) -> None:
    """Note that an order, its lines or its sub-orders changed."""
    conn.execute(
        f"update orders.customer_order set xact_id = pg_current_xact_id(){_WHERE}".encode(),
        {"tenant": tenant_id, "order": order_id},
    )


def move_order(conn: Connection, tenant_id: str, order: Order, event: str) -> str:
    """Move an order, and note the change.

    Raises:
        ImpossibleMoveError: There is no such move.
    """
    status = ORDER.move(order.order_id, order.status, event)
    _set_status(conn, tenant_id, order.order_id, status)
    return status


def follow_sub_orders(conn: Connection, tenant_id: str, order: Order) -> str:
    """Let the status of an order follow its sub-orders, and note the change."""
    states = [sub_order.status for sub_order in sub_orders_of(conn, tenant_id, order.order_id)]
    status = follow(order.order_id, order.status, states)
    _set_status(conn, tenant_id, order.order_id, status)
    return status


def set_sub_order(
    conn: Connection,
    tenant_id: str,
    order_id: str,
    supplier_id: str,
    status: str,
    **times: datetime,
) -> None:
    """Write the state of a sub-order.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        order_id: The order.
        supplier_id: Whose part.
        status: The state after a move.
        **times: `accepted_at`, `shipped_at`, `received_at`, `release_due_at`; what is not given stays.
    """
    conn.execute(
        "update orders.sub_order set status = %(status)s,"
        " accepted_at = coalesce(%(accepted_at)s, accepted_at),"
        " shipped_at = coalesce(shipped_at, %(shipped_at)s),"
        " received_at = coalesce(%(received_at)s, received_at),"
        " release_due_at = coalesce(%(release_due_at)s, release_due_at)"
        " where tenant_id = %(tenant)s and order_id = %(order)s and supplier_id = %(supplier)s",
        {
            "tenant": tenant_id,
            "order": order_id,
            "supplier": supplier_id,
            "status": status,
            **dict.fromkeys(("accepted_at", "shipped_at", "received_at", "release_due_at")),
            **times,
        },
    )


def _set_status(conn: Connection, tenant_id: str, order_id: str, status: str) -> None:
    conn.execute(
        (
            "update orders.customer_order set status = %(status)s, xact_id = pg_current_xact_id()" + _WHERE
        ).encode(),
        {"tenant": tenant_id, "order": order_id, "status": status},
    )
