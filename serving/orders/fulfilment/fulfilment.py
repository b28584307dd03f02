"""What suppliers say about their part of an order: taken, not taken, short, on its way.

What a supplier does not ship goes to another one as a whole line; when nobody has it, a paid line is refunded
and an unpaid order is cancelled. The buyer never pays more: price and freight move with the line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from serving.db import locks
from serving.orders.after_sales import gifts
from serving.orders.after_sales.refunding import give_back, part_of, settle_status
from serving.orders.assortment import stock
from serving.orders.assortment.losses import DEFAULT_RULES, LossRules
from serving.orders.errors import DuplicateKeyError, ImpossibleMoveError, InvalidRequestError
from serving.orders.fulfilment.refusals import keep_refusals
from serving.orders.fulfilment.rerouting import freight_shares, move_line, open_freight_shares
from serving.orders.placing.placing import cancel_order
from serving.orders.promotions.groups import is_waiting
from serving.orders.records import (
    Order,
    OrderLine,
    find_order,
    find_sub_order,
    follow_sub_orders,
    lines_of,
    set_sub_order,
)
from serving.orders.routing.contracts import DEFAULT_COST, CostParameters
from serving.orders.settling import refund_line
from serving.orders.states import SUB_ORDER, UNSHIPPED, OrderStatus, SubOrderStatus
from serving.orders.warehouses.records import warehouses_of
from serving.orders.webhooks import webhooks

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Outcome:
    """What became of the lines that a supplier does not ship.

    Attributes:
        status: The sub-order's state.
        order_status: The order's state.
        moved: Line number to its new supplier.
        refunded: Line number to what was given back, fen, without freight.
    """

    status: str
    order_status: str
    moved: Mapping[int, str]
    refunded: Mapping[int, int]


@dataclass(frozen=True)
class Parcel:
    """A parcel on its way."""

    shipment_id: str
    promised_at: datetime
    shipped_at: datetime
    carrier: str | None = None
    tracking_no: str | None = None


def accept(
    conn: Connection,
    tenant_id: str,
    order_id: str,
    supplier_id: str,
    short: Mapping[int, int],
    now: datetime,
    rules: LossRules = DEFAULT_RULES,
    cost: CostParameters = DEFAULT_COST,
) -> Outcome:
    """A supplier takes its part; what it has too little of goes elsewhere or is refunded.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        order_id: The order.
        supplier_id: The supplier.
        short: Line number to the units that the supplier can ship, fewer than ordered.
        now: Business time.
        rules: How a loss by another supplier is reckoned.
        cost: Parameters of the routing cost.

    Raises:
        NotFoundError: The supplier has no part of the order.
        ImpossibleMoveError: The part is not waiting to be taken.
        InvalidRequestError: A short line is none of the supplier's, or is not short.
    """
    order = find_order(conn, tenant_id, order_id, lock=True)
    sub_order = find_sub_order(conn, tenant_id, order_id, supplier_id)
    status = SUB_ORDER.move(f"{order_id}/{supplier_id}", sub_order.status, "accept")
    lines = _live_lines(conn, tenant_id, order_id, supplier_id)
    known = {line.line_no: line for line in lines}
    for line_no, available in short.items():
        if line_no not in known or available >= known[line_no].reserved_qty:
            raise InvalidRequestError("short", f"line {line_no} is no line of this part, or is not short")
    set_sub_order(conn, tenant_id, order_id, supplier_id, status, accepted_at=now)
    keep_refusals(conn, tenant_id, order_id, lines, short, now)
    outcome = _go_elsewhere(conn, tenant_id, order, supplier_id, lines, short, now, rules, cost)
    webhooks.tell_merchant(conn, tenant_id, order.merchant_id, "sub_order.accepted", order_id, supplier_id)
    return outcome


def reject(
    conn: Connection,
    tenant_id: str,
    order_id: str,
    supplier_id: str,
    reason_code: str,
    now: datetime,
    rules: LossRules = DEFAULT_RULES,
    cost: CostParameters = DEFAULT_COST,
) -> Outcome:
    """A supplier does not take its part: every line goes elsewhere or is refunded.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        order_id: The order.
        supplier_id: The supplier.
        reason_code: Told to the merchant.
        now: Business time.
        rules: How a loss by another supplier is reckoned.
        cost: Parameters of the routing cost.

    Raises:
        NotFoundError: The supplier has no part of the order.
        ImpossibleMoveError: The part was shipped, or has ended.
    """
    order = find_order(conn, tenant_id, order_id, lock=True)
    sub_order = find_sub_order(conn, tenant_id, order_id, supplier_id)
    status = SUB_ORDER.move(f"{order_id}/{supplier_id}", sub_order.status, "reject")
    set_sub_order(conn, tenant_id, order_id, supplier_id, status)
    lines = _live_lines(conn, tenant_id, order_id, supplier_id)
    nothing = {line.line_no: 0 for line in lines}
    keep_refusals(conn, tenant_id, order_id, lines, nothing, now)
    outcome = _go_elsewhere(conn, tenant_id, order, supplier_id, lines, nothing, now, rules, cost)
    event = "sub_order.rejected"
    webhooks.tell_merchant(
        conn, tenant_id, order.merchant_id, event, order_id, supplier_id, reason_code=reason_code
    )
    return outcome


def reroute(
    conn: Connection,
    tenant_id: str,
    order_id: str,
    supplier_id: str,
    takers: Mapping[int, str],
    now: datetime,
    rules: LossRules = DEFAULT_RULES,
    cost: CostParameters = DEFAULT_COST,
) -> dict[int, str]:
    """Give lines that a supplier has not shipped to the suppliers named; what those cannot take stays.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        order_id: The order.
        supplier_id: Whose lines.
        takers: Line number to its new supplier; lines that are not there any more are left out.
        now: Business time.
        rules: How a loss by another supplier is reckoned.
        cost: Parameters of the routing cost.

    Returns:
        Line number to the new supplier, of the lines that went.

    Raises:
        NotFoundError: The supplier has no part of the order.
    """
    order = find_order(conn, tenant_id, order_id, lock=True)
    if find_sub_order(conn, tenant_id, order_id, supplier_id).status not in UNSHIPPED:
        return {}
    lines = _live_lines(conn, tenant_id, order_id, supplier_id)
    moved = _move_lines(conn, tenant_id, order, supplier_id, lines, takers, now, rules, cost)
    if moved:
        _end_if_empty(conn, tenant_id, order, supplier_id, now)
        settle_status(conn, tenant_id, order_id)
        cause = webhooks.once_more("rerouted")
        webhooks.tell_supplier_ended(conn, tenant_id, order_id, supplier_id, cause)
    return moved


def ship(
    conn: Connection,
    tenant_id: str,
    order_id: str,
    supplier_id: str,
    parcel: Parcel,
    now: datetime | None = None,
) -> str:
    """A parcel left: the first one of a part takes its goods off the shelf.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        order_id: The order.
        supplier_id: Who sends it.
        parcel: The parcel; the same notice may come again.
        now: Business time of the notice: the automatic receipt counts from it, so that a notice that comes
            late does not shorten the buyer's time. None: from when the parcel left, as a replay knows it.

    Returns:
        The order's status.

    Raises:
        NotFoundError: The supplier has no part of the order.
        ImpossibleMoveError: The order is not paid or waits for its group, or the part was not accepted.
        DuplicateKeyError: The shipment id was used with another body.
        InvalidRequestError: It is said to have left before the order was paid.
    """
    order = find_order(conn, tenant_id, order_id, lock=True)
    sub_order = find_sub_order(conn, tenant_id, order_id, supplier_id)
    if _is_known(conn, tenant_id, order_id, supplier_id, parcel):
        return order.status
    if order.paid_at is None:
        raise ImpossibleMoveError("order", order_id, order.status, "ship", ["pay", "cancel"])
    if is_waiting(conn, tenant_id, order_id):
        raise ImpossibleMoveError("order", order_id, "waiting for its group of buyers", "ship", [])
    if parcel.shipped_at < order.paid_at:
        raise InvalidRequestError(
            "shipped_at",
            f"{parcel.shipped_at.isoformat()} is before the payment at {order.paid_at.isoformat()}",
        )
    status = SUB_ORDER.move(f"{order_id}/{supplier_id}", sub_order.status, "ship")
    if sub_order.status != SubOrderStatus.SHIPPED:
        leaving: Counter[stock.PlacedKey] = Counter()
        for line in _live_lines(conn, tenant_id, order_id, supplier_id):
            leaving[supplier_id, line.sku_id, line.warehouse_id] += line.reserved_qty
        stock.ship(conn, tenant_id, order_id, leaving, parcel.shipped_at)
        conn.execute(
            "update orders.order_line set sent_qty = reserved_qty, reserved_qty = 0"
            " where tenant_id = %(tenant)s and order_id = %(order)s and supplier_id = %(supplier)s",
            {"tenant": tenant_id, "order": order_id, "supplier": supplier_id},
        )
    set_sub_order(conn, tenant_id, order_id, supplier_id, status, shipped_at=now or parcel.shipped_at)
    conn.execute(
        "insert into orders.shipment (tenant_id, shipment_id, order_id, supplier_id, carrier, tracking_no,"
        " from_region, to_region, promised_at, shipped_at) values (%(tenant)s, %(shipment)s, %(order)s,"
        " %(supplier)s, %(carrier)s, %(tracking)s, (select min(o.ship_from_region) from orders.offer o"
        " join orders.order_line l using (tenant_id, supplier_id, sku_id) where l.tenant_id = %(tenant)s"
        " and l.order_id = %(order)s and l.supplier_id = %(supplier)s), %(region)s, %(promised)s,"
        " %(shipped)s)",
        {
            "tenant": tenant_id,
            "shipment": parcel.shipment_id,
            "order": order_id,
            "supplier": supplier_id,
            "carrier": parcel.carrier,
            "tracking": parcel.tracking_no,
            "region": order.region_code,
            "promised": parcel.promised_at,
            "shipped": parcel.shipped_at,
        },
    )
    part = f"{supplier_id}:{parcel.shipment_id}"
    webhooks.tell_merchant(conn, tenant_id, order.merchant_id, "sub_order.shipped", order_id, part)
    return follow_sub_orders(conn, tenant_id, order)


def _live_lines(conn: Connection, tenant_id: str, order_id: str, supplier_id: str) -> list[OrderLine]:
    return [line for line in lines_of(conn, tenant_id, order_id, supplier_id) if line.reserved_qty]


def _go_elsewhere(
    conn: Connection,
    tenant_id: str,
    order: Order,
    supplier_id: str,
    lines: list[OrderLine],
    left: Mapping[int, int],
    now: datetime,
    rules: LossRules,
    cost: CostParameters,
) -> Outcome:
    """Bring the lines of `left` elsewhere; `left` is the units that stay with the supplier otherwise.

    Lines that move come first: a freight that was partly refunded does not move any more.
    """
    order_id = order.order_id
    gift = gifts.stake(conn, tenant_id, order_id) if order.paid_at is not None else None
    anybody = dict.fromkeys(left, None)
    also = [sku_id for _, sku_id in gift.stock_keys] if gift else []
    moved = _move_lines(conn, tenant_id, order, supplier_id, lines, anybody, now, rules, cost, also)
    stay = {line.line_no: line for line in lines if line.line_no in left and line.line_no not in moved}
    if stay and order.status == OrderStatus.PLACED:
        cancel_order(conn, tenant_id, order_id)
        return Outcome(find_sub_order(conn, tenant_id, order_id, supplier_id).status, "cancelled", moved, {})
    refunded: dict[int, int] = {}
    rest_lines = _live_lines(conn, tenant_id, order_id, supplier_id)
    freight = open_freight_shares(conn, tenant_id, order_id, supplier_id, rest_lines)
    for line in stay.values():
        kept = left[line.line_no]
        give = part_of(line, freight[line.line_no], kept)
        # Accepted short, rejected later: what is kept gets less each time, so it names the refund.
        refund_id = f"{order_id}:{line.line_no}:short:{supplier_id}:{kept}"
        give_back(conn, tenant_id, order, line, give, refund_id, now)
        refunded[line.line_no] = give.refund_cents
    if left:
        _end_if_empty(conn, tenant_id, order, supplier_id, now)
    gifts.follow(conn, tenant_id, order, gift, now, is_asked=False)
    status = settle_status(conn, tenant_id, order_id)
    return Outcome(find_sub_order(conn, tenant_id, order_id, supplier_id).status, status, moved, refunded)


def _move_lines(
    conn: Connection,
    tenant_id: str,
    order: Order,
    supplier_id: str,
    lines: list[OrderLine],
    takers: Mapping[int, str | None],
    now: datetime,
    rules: LossRules,
    cost: CostParameters,
    also: Sequence[str] = (),
) -> dict[int, str]:
    """Move lines of a part to the suppliers named, or to any; who took which.

    The stock of the skus `also` is locked as well, for what follows.
    """
    rules = rules.under_contracts(conn, tenant_id)
    suppliers = locks.stock_of_skus(conn, tenant_id, [*(line.sku_id for line in lines), *also])
    locks.brake_stays(conn, tenant_id)
    locks.warehouses(conn, tenant_id, warehouses_of(conn, tenant_id, [line.sku_id for line in lines]))
    if order.paid_at is not None:
        locks.balances_of_orders(conn, tenant_id, [order.order_id], suppliers)
    freight = freight_shares(conn, tenant_id, order.order_id, supplier_id, lines)
    moved: dict[int, str] = {}
    for line in lines:
        if line.line_no in takers:
            only = takers[line.line_no]
            taker = move_line(conn, tenant_id, order, line, freight[line.line_no], rules, now, cost, only)
            if taker is not None:
                moved[line.line_no] = taker
    return moved


def _end_if_empty(conn: Connection, tenant_id: str, order: Order, supplier_id: str, now: datetime) -> None:
    """A part without lines is not shipped; what is left of its freight goes back."""
    order_id = order.order_id
    if _live_lines(conn, tenant_id, order_id, supplier_id):
        return
    set_sub_order(conn, tenant_id, order_id, supplier_id, SubOrderStatus.REJECTED)
    rest = find_sub_order(conn, tenant_id, order_id, supplier_id).open_freight_cents
    if rest and order.paid_at is not None:
        refund_id = f"{order_id}:0:short:{supplier_id}"
        refund_line(conn, tenant_id, refund_id, order_id, 0, supplier_id, rest, now)


def _is_known(conn: Connection, tenant_id: str, order_id: str, supplier_id: str, parcel: Parcel) -> bool:
    locks.parcel(conn, tenant_id, parcel.shipment_id)
    row = conn.execute(
        "select order_id, supplier_id, carrier, tracking_no, promised_at from orders.shipment"
        " where tenant_id = %(tenant)s and shipment_id = %(shipment)s",
        {"tenant": tenant_id, "shipment": parcel.shipment_id},
    ).fetchone()
    if row is None:
        return False
    if row != (order_id, supplier_id, parcel.carrier, parcel.tracking_no, parcel.promised_at):
        raise DuplicateKeyError("a shipment", parcel.shipment_id)
    return True
