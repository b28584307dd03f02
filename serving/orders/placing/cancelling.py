"""What ends before it is shipped: unpaid orders by time, paid lines by units. By will: `placing`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import psycopg

from serving.db import locks
from serving.db.retries import ConnectionFactory, in_transaction
from serving.orders.after_sales import gifts
from serving.orders.after_sales.refunding import end_empty_part, give_back, part_of, settle_status
from serving.orders.errors import ImpossibleMoveError, InvalidRequestError, NotFoundError
from serving.orders.fulfilment.rerouting import open_freight_shares
from serving.orders.placing.placing import cancel_order
from serving.orders.records import find_order, find_sub_order, lines_of
from serving.orders.states import ORDER, SUB_ORDER, UNSHIPPED
from serving.orders.webhooks import webhooks

Connection = psycopg.Connection[Any]

PATIENCE = timedelta(minutes=30)
"""How long an order may wait for its payment where nothing else is set."""


@dataclass(frozen=True)
class UnitsCancelled:
    """Units of a paid line that are not shipped any more.

    Attributes:
        left_qty: Units that are still to be shipped.
        refund_cents: Given back of the line, fen.
        freight_cents: Given back of the freight, fen.
        order_status: The order's state.
    """

    left_qty: int
    refund_cents: int
    freight_cents: int
    order_status: str


def cancel_units(
    conn: Connection, tenant_id: str, order_id: str, line_no: int, qty: int, now: datetime
) -> UnitsCancelled:
    """Cancel units of a paid line that is not shipped: their money and freight go back, the supplier is told.

    A gift that was not sent goes as well, where what is left does not earn it.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        order_id: A paid order.
        line_no: The line.
        qty: Units, 1 or more.
        now: Business time.

    Raises:
        NotFoundError: There is no such order or line.
        ImpossibleMoveError: The order is not paid, or the supplier's part was shipped or has ended.
        InvalidRequestError: More units than are still to be shipped.
        GiftKeptError: The buyer has a gift that what is left does not earn.
    """
    order = find_order(conn, tenant_id, order_id, lock=True)
    if order.paid_at is None:
        possible = ORDER.possible(order.status)
        raise ImpossibleMoveError("order", order_id, order.status, "cancel units", possible)
    found = [line for line in lines_of(conn, tenant_id, order_id) if line.line_no == line_no]
    if not found:
        raise NotFoundError("order-line", f"{order_id}/{line_no}")
    supplier_id = found[0].supplier_id
    part = find_sub_order(conn, tenant_id, order_id, supplier_id)
    if part.status not in UNSHIPPED:
        name = f"{order_id}/{supplier_id}"
        possible = SUB_ORDER.possible(part.status)
        raise ImpossibleMoveError("sub-order", name, part.status, "cancel units", possible)
    line = found[0]
    if not 1 <= qty <= line.reserved_qty:
        raise InvalidRequestError("qty", f"{qty} units; {line.reserved_qty} of the line are to be shipped")
    gift = gifts.stake(conn, tenant_id, order_id)
    locks.stock(conn, tenant_id, [(supplier_id, line.sku_id), *(gift.stock_keys if gift else ())])
    lines = [one for one in lines_of(conn, tenant_id, order_id, supplier_id) if one.reserved_qty]
    freight = open_freight_shares(conn, tenant_id, order_id, supplier_id, lines)
    kept = line.reserved_qty - qty
    give = part_of(line, freight[line_no], kept)
    # What is kept gets less each time, so it names the refund.
    refund_id = f"{order_id}:{line_no}:cancel:{supplier_id}:{kept}"
    give_back(conn, tenant_id, order, line, give, refund_id, now)
    end_empty_part(conn, tenant_id, order, supplier_id, f"{refund_id}:end", now)
    gifts.follow(conn, tenant_id, order, gift, now)
    if find_sub_order(conn, tenant_id, order_id, supplier_id).status in UNSHIPPED:
        webhooks.tell_supplier(conn, tenant_id, order_id, supplier_id, f"line-{line_no}-left-{kept}")
    event = "order_line.cancelled"
    webhooks.tell_merchant(conn, tenant_id, order.merchant_id, event, order_id, f"{line_no}:{kept}")
    status = settle_status(conn, tenant_id, order_id)
    return UnitsCancelled(kept, give.refund_cents, give.freight_cents, status)


def expire_unpaid(
    transactions: ConnectionFactory, tenant_id: str, now: datetime, patience: timedelta = PATIENCE
) -> int:
    """Cancel orders that nobody paid in time, and free their stock; the merchant is told.

    An order a transaction, so that none waits for the stock of another. One that is being paid at this moment
    is left to its payment.

    Args:
        transactions: Opens a transaction of the tenant.
        tenant_id: The tenant.
        now: Business time (UTC).
        patience: How long an order may wait.

    Returns:
        Orders that were cancelled.
    """
    expired = 0
    while in_transaction(transactions, partial(_expire_one, tenant_id=tenant_id, before=now - patience)):
        expired += 1
    return expired


def _expire_one(conn: Connection, tenant_id: str, before: datetime) -> bool:
    row = conn.execute(
        "select order_id, merchant_id from orders.customer_order"
        " where tenant_id = %s and status = 'placed' and placed_at <= %s order by placed_at limit 1"
        + locks.CLAIMED,
        (tenant_id, before),
    ).fetchone()
    if row is None:
        return False
    order_id, merchant_id = row
    cancel_order(conn, tenant_id, order_id)
    webhooks.tell_merchant(conn, tenant_id, merchant_id, "order.expired", order_id)
    return True
