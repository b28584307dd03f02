"""Lines that nobody has shipped leave from another warehouse of their supplier; price and money stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import psycopg

from serving.db import locks
from serving.db.calendar import local_day, zone_of
from serving.orders.assortment.stock import ANYWHERE
from serving.orders.errors import OrdersError
from serving.orders.records import Order, OrderLine, find_order, find_sub_order, lines_of, touch
from serving.orders.routing.contracts import DEFAULT_COST, CostParameters, OfferStock
from serving.orders.states import UNSHIPPED
from serving.orders.warehouses.choosing import Departure
from serving.orders.warehouses.records import read_warehouses, warehouses_of
from serving.orders.webhooks import webhooks

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Berth:
    """Where a line shall leave.

    Attributes:
        warehouse_id: The warehouse.
        brought_days: Days until its units are brought there; None: they lie there already.
    """

    warehouse_id: str
    brought_days: int | None = None


Bring = Callable[[OrderLine, str, date], None]
"""Has the units of a line, which left its old warehouse, brought to a warehouse by a day.

Raises an `OrdersError` where they do not lie where the line was."""


def rehouse(
    conn: Connection,
    tenant_id: str,
    order_id: str,
    supplier_id: str,
    from_warehouse_id: str,
    wanted: Mapping[int, Berth],
    bring: Bring,
    now: datetime,
    cost: CostParameters = DEFAULT_COST,
) -> dict[int, str]:
    """Let lines leave from the warehouses named; what cannot stays.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        order_id: The order.
        supplier_id: Whose lines.
        from_warehouse_id: Where they leave; a line that leaves elsewhere by now stays as it is.
        wanted: Where to, by line number; lines that are not there any more are left out.
        bring: See `Bring`.
        now: Business time.
        cost: Parameters of the routing cost: how long ways take.

    Returns:
        Line number to the new warehouse, of the lines that went.

    Raises:
        NotFoundError: The supplier has no part of the order.
    """
    order = find_order(conn, tenant_id, order_id, lock=True)
    if find_sub_order(conn, tenant_id, order_id, supplier_id).status not in UNSHIPPED:
        return {}
    lines = [
        line
        for line in lines_of(conn, tenant_id, order_id, supplier_id)
        if line.line_no in wanted and line.reserved_qty == line.qty and line.warehouse_id == from_warehouse_id
    ]
    skus = [line.sku_id for line in lines]
    locks.stock_of_skus(conn, tenant_id, skus)
    locks.warehouses(conn, tenant_id, warehouses_of(conn, tenant_id, skus))
    today = local_day(now, zone_of(conn, tenant_id))
    moved: dict[int, str] = {}
    for line in lines:
        berth = wanted[line.line_no]
        try:
            with conn.transaction():
                leaves = _leaves(conn, tenant_id, order, line, berth, now, cost)
                if leaves is None:
                    continue
                _move(conn, tenant_id, order_id, line, leaves)
                if berth.brought_days is not None:
                    bring(line, berth.warehouse_id, today + timedelta(days=berth.brought_days))
        except OrdersError:
            continue
        moved[line.line_no] = berth.warehouse_id
    if moved:
        touch(conn, tenant_id, order_id)
        if order.paid_at is not None:
            webhooks.tell_supplier(conn, tenant_id, order_id, supplier_id, webhooks.once_more("rehoused"))
    return moved


def _leaves(
    conn: Connection,
    tenant_id: str,
    order: Order,
    line: OrderLine,
    berth: Berth,
    now: datetime,
    cost: CostParameters,
) -> Departure | None:
    """How a line leaves its new warehouse; None where it cannot."""
    ids = warehouses_of(conn, tenant_id, [line.sku_id])
    moment = now + timedelta(days=berth.brought_days or 0)
    houses = read_warehouses(conn, tenant_id, ids, [line.sku_id], moment, (order.order_id, line.line_no))
    row = conn.execute(
        "select freight_cents, lead_time_days, coalesce(ship_from_region, %s), min_order_qty"
        " from orders.offer where tenant_id = %s and supplier_id = %s and sku_id = %s",
        (ANYWHERE, tenant_id, line.supplier_id, line.sku_id),
    ).fetchone()
    if row is None or line.warehouse_id == berth.warehouse_id:
        return None
    freight, days, region, smallest = row
    offer = OfferStock(line.supplier_id, line.sku_id, line.qty, 0, freight, days, region, smallest)
    to_region = order.region_code or ANYWHERE
    return houses.leaving(
        offer, berth.warehouse_id, line.qty, to_region, cost, is_brought=berth.brought_days is not None
    )


def _move(conn: Connection, tenant_id: str, order_id: str, line: OrderLine, leaves: Departure) -> None:
    conn.execute(
        "update orders.order_line set warehouse_id = %s, ships_on = %s, promised_on = %s"
        " where tenant_id = %s and order_id = %s and line_no = %s",
        (leaves.warehouse_id, leaves.ships_on, leaves.promised_on, tenant_id, order_id, line.line_no),
    )
