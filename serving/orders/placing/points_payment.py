"""Paying part of a line with points, and giving them back when the line is cancelled or refunded.

How points move is the affair of `settlement.beside.points`; here the order's amounts follow them. Points are
taken when the buyer asks; merchants settle with each other for them when the order is paid, and not before.

Source: P16.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import psycopg

from serving.db.retries import ConnectionFactory, in_transaction
from serving.orders.errors import DuplicateKeyError, ImpossibleMoveError, NotFoundError, PointsRefusedError
from serving.orders.records import find_order, lines_of, touch
from serving.settlement.beside.points import burn_points, burnt, give_back_points
from serving.settlement.errors import PointsError
from serving.settlement.plans.store import plan_in_force

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class PaidWithPoints:
    """What a line and its order cost after points paid for a part, fen."""

    order_id: str
    line_no: int
    points: int
    net_paid_cents: int
    payable_cents: int
    is_new: bool


def pay_with_points(
    conn: Connection, tenant_id: str, order_id: str, line_no: int, points: int, now: datetime
) -> PaidWithPoints:
    """Let the buyer's points pay part of a line of an order that is not paid yet; once per line.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        order_id: The order.
        line_no: The line.
        points: How many, 1 PT = 1 fen.
        now: Business time (UTC).

    Raises:
        NotFoundError: There is no such order or line.
        ImpossibleMoveError: The order is paid or ended.
        DuplicateKeyError: Other points pay for the line already.
        PointsRefusedError: More than the consumer has or the plan allows, or an agent's sale.
        PlanNotInForceError: The merchant has no plan.
    """
    order = find_order(conn, tenant_id, order_id, lock=True)
    line = next((one for one in lines_of(conn, tenant_id, order_id) if one.line_no == line_no), None)
    if line is None:
        raise NotFoundError("order-line", f"{order_id}/{line_no}")
    burn_id = f"{order_id}:{line_no}"
    known = burnt(conn, tenant_id, burn_id, order_id)
    if known:
        if known != points:
            raise DuplicateKeyError("points on a line", burn_id)
        return PaidWithPoints(order_id, line_no, points, line.net_paid_cents, order.payable_cents, False)
    if order.status != "placed":
        raise ImpossibleMoveError("order", order_id, order.status, "pay with points", ())
    if order.agent_id is not None:
        # Points are the merchant's discount, which comes off the seller's leg; here the seller is the agent.
        raise PointsRefusedError(f"Order {order_id!r} is a sale of an agent, who takes no points.")
    plan = plan_in_force(conn, tenant_id, order.merchant_id, now)
    try:
        burn_points(
            conn,
            tenant_id,
            burn_id,
            plan,
            order.consumer_id,
            order.merchant_id,
            line.net_paid_cents,
            points,
            now,
            order_id,
        )
    except PointsError as error:
        raise PointsRefusedError(str(error)) from error
    conn.execute(
        "update orders.order_line set promo_discount_cents = promo_discount_cents + %(points)s,"
        " net_paid_cents = net_paid_cents - %(points)s"
        " where tenant_id = %(tenant)s and order_id = %(order)s and line_no = %(line)s",
        {"points": points, "tenant": tenant_id, "order": order_id, "line": line_no},
    )
    conn.execute(
        "update orders.customer_order set payable_cents = payable_cents - %(points)s"
        " where tenant_id = %(tenant)s and order_id = %(order)s",
        {"points": points, "tenant": tenant_id, "order": order_id},
    )
    touch(conn, tenant_id, order_id)
    return PaidWithPoints(
        order_id, line_no, points, line.net_paid_cents - points, order.payable_cents - points, True
    )


def give_back_due(transactions: ConnectionFactory, tenant_id: str, now: datetime) -> int:
    """Give back the points of lines that were cancelled or refunded; points given back.

    A line that is refunded in part gives them back in proportion, floored; one that cost no money does by its
    units. The last refund gives back the rest. A transaction per order.
    """
    given = 0
    for order_id in in_transaction(transactions, partial(_orders_with_points, tenant_id=tenant_id)):
        given += in_transaction(
            transactions, partial(_give_back_order, tenant_id=tenant_id, order_id=order_id, now=now)
        )
    return given


def _orders_with_points(conn: Connection, tenant_id: str) -> list[str]:
    """Orders with burnt points that are cancelled or refunded, at least in part."""
    rows = conn.execute(
        "select distinct t.order_id from ledger.transaction t join orders.customer_order o"
        " on o.tenant_id = t.tenant_id and o.order_id = t.order_id"
        " where t.tenant_id = %s and t.kind = 'points_burn' and t.order_id is not null"
        " and (o.status = 'cancelled' or exists (select from settlement.refund r"
        "  where r.tenant_id = o.tenant_id and r.order_id = o.order_id)) order by 1",
        (tenant_id,),
    )
    return [order_id for (order_id,) in rows]


def _give_back_order(conn: Connection, tenant_id: str, order_id: str, now: datetime) -> int:
    order = find_order(conn, tenant_id, order_id, lock=True)
    given = 0
    for line in lines_of(conn, tenant_id, order_id):
        burn_id = f"{order_id}:{line.line_no}"
        row = conn.execute(
            "select (select sum(d.value::bigint) from jsonb_each_text(details -> 'drawn') d)::bigint"
            " from ledger.transaction where tenant_id = %s and idempotency_key = %s",
            (tenant_id, f"points_burn:{burn_id}"),
        ).fetchone()
        if row is None:
            continue
        points = int(row[0])
        left = 0
        if order.status != "cancelled":
            gone, whole = line.refunded_cents, line.net_paid_cents
            if whole == 0:
                gone, whole = line.gone_qty, line.qty
            left = points - points * gone // whole
        given += give_back_points(conn, tenant_id, burn_id, order_id, order.consumer_id, left, now)
    return given
