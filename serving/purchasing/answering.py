"""What becomes of a purchase order before anything is shipped: the supplier's answer, and our word on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg

from serving.orders.errors import InvalidRequestError
from serving.orders.webhooks import webhooks
from serving.purchasing.records import PurchaseOrder, find_purchase, move_purchase

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Promise:
    """What a supplier says it brings of a sku: units, 0 for none, and by which day."""

    qty: int
    promised_on: date


def answer_purchase(
    conn: Connection,
    tenant_id: str,
    supplier_id: str,
    purchase_order_id: str,
    promises: Mapping[str, Promise],
    now: datetime,
) -> str:
    """Take a supplier's answer: as ordered it is confirmed, fewer units or a later day wait for our word.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        supplier_id: Who answers.
        purchase_order_id: The order.
        promises: By sku; a sku that is not named is brought as ordered.
        now: Business time.

    Returns:
        `confirm` or `change`.

    Raises:
        NotFoundError: The supplier has no such order.
        ImpossibleMoveError: It was answered before.
        InvalidRequestError: A sku is not of the order, more than ordered is promised, nothing at all is, or
            the day has passed.
    """
    order = find_purchase(conn, tenant_id, purchase_order_id, supplier_id=supplier_id, lock=True)
    unknown = sorted(promises.keys() - {line.sku_id for line in order.lines})
    if unknown:
        raise InvalidRequestError("lines", f"sku {', '.join(map(repr, unknown))} is not of this order")
    said = {
        line.sku_id: promises.get(line.sku_id, Promise(line.ordered_qty, order.expected_on))
        for line in order.lines
    }
    for line in order.lines:
        promise = said[line.sku_id]
        if promise.qty > line.ordered_qty:
            raise InvalidRequestError(
                "lines", f"{promise.qty} of sku {line.sku_id!r} are more than the {line.ordered_qty} ordered"
            )
        if promise.qty and promise.promised_on < order.placed_at.date():
            raise InvalidRequestError("lines", f"{promise.promised_on} lies before the order was placed")
    if not any(promise.qty for promise in said.values()):
        raise InvalidRequestError("lines", "nothing is promised: decline the order instead")
    is_as_ordered = all(
        said[line.sku_id].qty == line.ordered_qty and said[line.sku_id].promised_on <= order.expected_on
        for line in order.lines
    )
    event = "confirm" if is_as_ordered else "change"
    move_purchase(conn, tenant_id, order, event, answered_at=now)
    conn.execute(
        "update purchasing.purchase_line l set confirmed_qty = n.qty, promised_on = n.promised_on"
        " from unnest(%s::text[], %s::bigint[], %s::date[]) as n (sku_id, qty, promised_on)"
        " where l.tenant_id = %s and l.purchase_order_id = %s and l.sku_id = n.sku_id",
        (
            list(said),
            [promise.qty for promise in said.values()],
            [promise.promised_on if promise.qty else None for promise in said.values()],
            tenant_id,
            purchase_order_id,
        ),
    )
    return event


def decline_purchase(
    conn: Connection,
    tenant_id: str,
    supplier_id: str,
    purchase_order_id: str,
    reason_code: str,
    now: datetime,
) -> None:
    """The supplier brings nothing of it; the next run may order elsewhere.

    Raises:
        NotFoundError: The supplier has no such order.
        ImpossibleMoveError: It was answered before.
    """
    order = find_purchase(conn, tenant_id, purchase_order_id, supplier_id=supplier_id, lock=True)
    move_purchase(conn, tenant_id, order, "decline", answered_at=now, closed_at=now, reason_code=reason_code)


def agree_purchase(conn: Connection, tenant_id: str, purchase_order_id: str) -> None:
    """Take what the supplier changed.

    Raises:
        NotFoundError: There is no such order.
        ImpossibleMoveError: Nothing was changed that waits.
    """
    order = find_purchase(conn, tenant_id, purchase_order_id, lock=True)
    move_purchase(conn, tenant_id, order, "agree")
    _tell(conn, tenant_id, order, "agreed")


def cancel_purchase(
    conn: Connection, tenant_id: str, purchase_order_id: str, reason_code: str, now: datetime
) -> None:
    """Take an order back of which nothing was shipped.

    Raises:
        NotFoundError: There is no such order.
        ImpossibleMoveError: It is on its way, or at an end.
    """
    order = find_purchase(conn, tenant_id, purchase_order_id, lock=True)
    move_purchase(conn, tenant_id, order, "cancel", closed_at=now, reason_code=reason_code)
    _tell(conn, tenant_id, order, "cancelled")


def _tell(conn: Connection, tenant_id: str, order: PurchaseOrder, event: str) -> None:
    webhooks.tell_supplier_of_purchase(conn, tenant_id, order.purchase_order_id, order.supplier_id, event)
