"""The order lines that an alarm concerns, and the offers that could take them. Reading only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg

from serving.orders.assortment.orderable import AVAILABLE, IN_FORCE
from serving.orders.assortment.stock import ANYWHERE
from serving.orders.routing.contracts import Demand, OfferStock
from serving.watch.alarms.records import Alarm

Connection = psycopg.Connection[Any]

MOST_LINES = 500
"""Lines of an alarm that are looked at, the oldest orders first."""


@dataclass(frozen=True, slots=True)
class ConcernedLine:
    """A line at the supplier that an alarm is about.

    Attributes:
        demand: The line.
        supplier_id: Who has it.
        has_left: Whether its goods are on the way: nobody else can ship it any more.
        category_ids: Of its sku, from the leaf to the root.
        ships_on: Local day on which it was to leave; None where that is not known.
    """

    demand: Demand
    supplier_id: str
    has_left: bool
    category_ids: tuple[str, ...]
    ships_on: date | None = None


def lines_concerned(conn: Connection, tenant_id: str, alarm: Alarm) -> list[ConcernedLine]:
    """Lines that a late parcel carries, or that wait at a supplier that can ship less; by order.

    A capacity of one warehouse or sku concerns the lines of those only.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        alarm: The alarm; one without a supplier concerns no line.
    """
    rows = conn.execute(
        "select l.order_id, l.line_no, l.sku_id, l.qty, coalesce(o.region_code, %(anywhere)s), l.supplier_id,"
        " p.status = 'shipped', coalesce(c.category_ids, '{}'), l.ships_on"
        " from orders.order_line l join orders.customer_order o using (tenant_id, order_id)"
        " join orders.sub_order p using (tenant_id, order_id, supplier_id)"
        " left join orders.product c using (tenant_id, sku_id)"
        " where l.tenant_id = %(tenant)s and l.supplier_id = %(supplier)s and l.refunded_cents = 0"
        " and ((p.status in ('pending', 'accepted') and l.reserved_qty = l.qty)"
        "  or (p.status = 'shipped' and %(order)s::text is not null))"
        " and (%(order)s::text is null or l.order_id = %(order)s)"
        " and (%(warehouse)s::text is null or l.warehouse_id = %(warehouse)s)"
        " and (%(sku)s::text is null or l.sku_id = %(sku)s)"
        " order by o.placed_at, l.order_id, l.line_no limit %(most)s",
        {
            "anywhere": ANYWHERE,
            "tenant": tenant_id,
            "supplier": alarm.supplier_id,
            "order": alarm.order_id,
            "warehouse": alarm.evidence.get("warehouse_id"),
            "sku": alarm.evidence.get("sku_id"),
            "most": MOST_LINES,
        },
    )
    return [
        ConcernedLine(Demand(*demand), supplier_id, has_left, tuple(path), ships_on)
        for *demand, supplier_id, has_left, path, ships_on in rows
    ]


def offers_of(conn: Connection, tenant_id: str, sku_ids: Iterable[str]) -> list[OfferStock]:
    """Offers in force of some skus with what may be promised, by supplier and sku. Nothing is locked."""
    rows = conn.execute(
        f"select s.supplier_id, s.sku_id, {AVAILABLE}, o.supply_price_cents, o.freight_cents,"
        " o.lead_time_days, coalesce(o.ship_from_region, %(anywhere)s), o.min_order_qty"
        " from orders.stock s join orders.offer o using (tenant_id, supplier_id, sku_id)"
        f" where s.tenant_id = %(tenant)s and s.sku_id = any(%(skus)s) and {IN_FORCE}"
        " order by s.supplier_id, s.sku_id",
        {"anywhere": ANYWHERE, "tenant": tenant_id, "skus": sorted(set(sku_ids))},
    )
    return [OfferStock(*row) for row in rows]
