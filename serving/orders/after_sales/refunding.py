"""Money back on a line: the booking, the stock that it frees, and the states that follow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from serving.orders.assortment import stock
from serving.orders.coupons.redeeming import give_back as give_back_coupons
from serving.orders.promotions import claims
from serving.orders.records import (
    Order,
    OrderLine,
    find_order,
    find_sub_order,
    follow_sub_orders,
    lines_of,
    move_order,
    set_sub_order,
    sub_orders_of,
    touch,
)
from serving.orders.settling import refund_line
from serving.orders.states import ENDED, SUB_ORDER, UNSHIPPED, OrderStatus
from serving.orders.webhooks import webhooks
from serving.settlement.books.refunds import is_owed_for

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Give:
    """What is given back on a line.

    Attributes:
        line_no: The line.
        supplier_id: Who was to ship it.
        refund_cents: Of the line, fen.
        freight_cents: Of the supplier's freight, fen.
        kept_qty: Units of an unshipped line that are still to be shipped.
        back_qty: Units of a line that cost nothing which were sent and came back.
    """

    line_no: int
    supplier_id: str
    refund_cents: int
    freight_cents: int
    kept_qty: int
    back_qty: int = 0


def part_of(line: OrderLine, freight_cents: int, kept_qty: int) -> Give:
    """What the units of an unshipped line that are not kept are worth, of it and of its share of the freight.

    What earlier refunds took stays taken: of 10 units with 5.00 freight each of which one is kept, 45.00 go
    back.
    """

    def gone(cents: int) -> int:
        return cents - cents * kept_qty // line.reserved_qty

    return Give(line.line_no, line.supplier_id, gone(line.open_cents), gone(freight_cents), kept_qty)


def give_back(
    conn: Connection,
    tenant_id: str,
    order: Order,
    line: OrderLine,
    give: Give,
    refund_id: str,
    now: datetime,
    case_id: str | None = None,
) -> None:
    """Refund a line, one that cost nothing by its units, and free those that are not shipped any more.

    Args:
        conn: Inside a transaction of the tenant; the order is locked.
        tenant_id: The tenant.
        order: The order.
        line: The line as it is.
        give: What is given back.
        refund_id: Names the refund.
        now: Business time.
        case_id: The after-sale case, if one.
    """
    units_gone = 0
    if line.net_paid_cents == 0 and is_owed_for(
        conn, tenant_id, order.order_id, give.line_no, give.supplier_id
    ):
        units_gone = line.gone_qty + line.reserved_qty - give.kept_qty + give.back_qty
    if give.refund_cents or units_gone:
        refund_line(
            conn,
            tenant_id,
            refund_id,
            order.order_id,
            give.line_no,
            give.supplier_id,
            give.refund_cents,
            now,
            case_id,
            units_gone=units_gone,
        )
    if give.back_qty:
        conn.execute(
            "update orders.order_line set back_qty = back_qty + %(back)s"
            " where tenant_id = %(tenant)s and order_id = %(order)s and line_no = %(line)s",
            {"tenant": tenant_id, "order": order.order_id, "line": give.line_no, "back": give.back_qty},
        )
        touch(conn, tenant_id, order.order_id)
    if give.freight_cents:
        freight_id = f"{refund_id}:freight"
        refund_line(
            conn,
            tenant_id,
            freight_id,
            order.order_id,
            0,
            give.supplier_id,
            give.freight_cents,
            now,
            case_id,
        )
    free_units(conn, tenant_id, order.order_id, line, give.kept_qty)


def free_units(conn: Connection, tenant_id: str, order_id: str, line: OrderLine, kept_qty: int) -> None:
    """Give back the reserved units of a line beyond those that are still to be shipped."""
    freed = line.reserved_qty - kept_qty
    if freed > 0:
        stock.release(conn, tenant_id, {(line.supplier_id, line.sku_id): freed})
        conn.execute(
            "update orders.order_line set reserved_qty = %(kept)s"
            " where tenant_id = %(tenant)s and order_id = %(order)s and line_no = %(line)s",
            {"tenant": tenant_id, "order": order_id, "line": line.line_no, "kept": kept_qty},
        )


def end_empty_part(
    conn: Connection, tenant_id: str, order: Order, supplier_id: str, refund_id: str, now: datetime
) -> None:
    """Cancel a part of an order that has nothing left to ship, and give its freight back."""
    sub_order = find_sub_order(conn, tenant_id, order.order_id, supplier_id)
    lines = lines_of(conn, tenant_id, order.order_id, supplier_id)
    if sub_order.status not in UNSHIPPED or any(line.reserved_qty for line in lines):
        return
    status = SUB_ORDER.move(f"{order.order_id}/{supplier_id}", sub_order.status, "cancel")
    set_sub_order(conn, tenant_id, order.order_id, supplier_id, status)
    if sub_order.open_freight_cents:
        freight = sub_order.open_freight_cents
        freight_id = f"{refund_id}:freight"
        refund_line(conn, tenant_id, freight_id, order.order_id, 0, supplier_id, freight, now)
    webhooks.tell_supplier_ended(conn, tenant_id, order.order_id, supplier_id, refund_id)


def settle_status(conn: Connection, tenant_id: str, order_id: str) -> str:
    """Let the status of an order follow its refunds and its sub-orders; coupons end with a full refund.

    Where the buyer keeps a line that cost nothing, the coupon bought it at its funder's cost and stays used.

    Returns:
        `refunded` once the last fen is back; else what follows from the sub-orders.
    """
    order = find_order(conn, tenant_id, order_id)
    if order.status in (OrderStatus.PLACED, OrderStatus.CANCELLED):
        return order.status
    if order.status == OrderStatus.REFUNDED:
        _end_coupons(conn, tenant_id, order_id)
        return order.status
    has_ended = all(part.status in ENDED for part in sub_orders_of(conn, tenant_id, order_id))
    if order.refunded_cents == order.captured_cents and (order.captured_cents or has_ended):
        _end_coupons(conn, tenant_id, order_id)
        claims.give_back_refunded(conn, tenant_id, order_id)
        return move_order(conn, tenant_id, order, "refund")
    return follow_sub_orders(conn, tenant_id, order)


def _end_coupons(conn: Connection, tenant_id: str, order_id: str) -> None:
    keeps_free_line = any(
        line.net_paid_cents == 0
        and line.coupon_discount_cents > 0
        and is_owed_for(conn, tenant_id, order_id, line.line_no, line.supplier_id)
        for line in lines_of(conn, tenant_id, order_id)
    )
    if not keeps_free_line:
        give_back_coupons(conn, tenant_id, order_id, "refund")
