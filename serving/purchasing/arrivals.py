"""Units of purchase orders on their way and on the shelf; what is received is stock in the same moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import psycopg

from serving.orders.assortment import stock
from serving.orders.errors import InvalidRequestError
from serving.purchasing.records import PurchaseLine, PurchaseOrder, find_purchase, move_purchase
from serving.purchasing.states import MACHINE

Connection = psycopg.Connection[Any]


def ship_purchase(
    conn: Connection,
    tenant_id: str,
    supplier_id: str,
    purchase_order_id: str,
    shipped: Mapping[str, int],
    now: datetime,
) -> None:
    """The supplier's notice that units are on their way; an order may be shipped in parts.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        supplier_id: Who ships.
        purchase_order_id: The order.
        shipped: Units by sku.
        now: Business time.

    Raises:
        NotFoundError: The supplier has no such order.
        ImpossibleMoveError: It is not confirmed, or at an end.
        InvalidRequestError: A sku is not of the order, or more than confirmed is shipped.
    """
    order = find_purchase(conn, tenant_id, purchase_order_id, supplier_id=supplier_id, lock=True)
    MACHINE.move(purchase_order_id, order.status, "ship")
    _check(order, shipped, lambda line: line.due_qty, "confirmed and not shipped")
    move_purchase(conn, tenant_id, order, "ship", shipped_at=order.shipped_at or now)
    _add(conn, tenant_id, purchase_order_id, "shipped_qty", shipped)


def receive_purchase(
    conn: Connection,
    tenant_id: str,
    purchase_order_id: str,
    received: Mapping[str, int],
    now: datetime,
    warehouse_id: str | None = None,
) -> bool:
    """Units arrived: they are stock of the supplier's offers from this moment on.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        purchase_order_id: The order.
        received: Units by sku, as counted.
        now: Business time.
        warehouse_id: Where; None: not said, see `stock.bring_in`.

    Returns:
        Whether everything that was confirmed is here, and the order closed.

    Raises:
        NotFoundError: There is no such order.
        ImpossibleMoveError: Nothing of it was shipped, or it is at an end.
        InvalidRequestError: A sku is not of the order, more is received than was shipped, or goods of the
            supplier cannot lie in that warehouse.
    """
    order = find_purchase(conn, tenant_id, purchase_order_id, lock=True)
    if warehouse_id is not None:
        stock.require_house(conn, tenant_id, order.supplier_id, [warehouse_id], "warehouse_id")
    MACHINE.move(purchase_order_id, order.status, "receive_part")
    _check(order, received, lambda line: line.shipped_qty - line.received_qty, "on their way")
    is_whole = all(
        line.received_qty + received.get(line.sku_id, 0) == (line.confirmed_qty or 0) for line in order.lines
    )
    if is_whole:
        move_purchase(conn, tenant_id, order, "receive_rest", closed_at=now)
    else:
        move_purchase(conn, tenant_id, order, "receive_part")
    _add(conn, tenant_id, purchase_order_id, "received_qty", received)
    arrived = {(order.supplier_id, sku_id): qty for sku_id, qty in received.items()}
    stock.bring_in(conn, tenant_id, purchase_order_id, arrived, now, warehouse_id)
    return is_whole


def close_short(
    conn: Connection, tenant_id: str, purchase_order_id: str, reason_code: str, now: datetime
) -> None:
    """Wait no longer for the rest of an order.

    Raises:
        NotFoundError: There is no such order.
        ImpossibleMoveError: Nothing of it was shipped, or it is at an end.
    """
    order = find_purchase(conn, tenant_id, purchase_order_id, lock=True)
    move_purchase(conn, tenant_id, order, "close_short", closed_at=now, reason_code=reason_code)


def _check(
    order: PurchaseOrder, units: Mapping[str, int], room: Callable[[PurchaseLine], int], what: str
) -> None:
    for sku_id, qty in sorted(units.items()):
        line = order.line(sku_id)
        if line is None:
            raise InvalidRequestError("lines", f"sku {sku_id!r} is not of this order")
        if qty > room(line):
            raise InvalidRequestError(
                "lines", f"{qty} of sku {sku_id!r} are more than the {room(line)} that are {what}"
            )


def _add(
    conn: Connection, tenant_id: str, purchase_order_id: str, column: str, units: Mapping[str, int]
) -> None:
    conn.execute(
        f"update purchasing.purchase_line l set {column} = l.{column} + n.qty"
        " from unnest(%s::text[], %s::bigint[]) as n (sku_id, qty)"
        " where l.tenant_id = %s and l.purchase_order_id = %s and l.sku_id = n.sku_id".encode(),
        (list(units), list(units.values()), tenant_id, purchase_order_id),
    )
