"""What lies where, and how much is asked for near it: the input of suggested transfers. Reading only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from serving.orders.assortment import shelves
from serving.orders.assortment.orderable import IN_FORCE
from serving.orders.routing.contracts import CostParameters
from serving.orders.routing.cost import zone
from serving.quality.levels import STOPPED

Connection = psycopg.Connection[Any]
Houses = dict[str, str]
"""Region by warehouse."""


@dataclass(frozen=True, slots=True)
class Goods:
    """A sku of a supplier that it counts by warehouse.

    Attributes:
        supplier_id: The supplier.
        sku_id: The sku.
        supply_price_cents: Of a unit, fen.
        houses: Where units of it can lie: region by warehouse.
        free: Units that nothing keeps, by warehouse.
        inbound: Units of open transfers, by warehouse that they go to; not those that lines wait for.
        units_per_day: By the warehouse that is nearest to whoever asked for them.
    """

    supplier_id: str
    sku_id: str
    supply_price_cents: int
    houses: Houses
    free: dict[str, int]
    inbound: dict[str, int]
    units_per_day: dict[str, float]


def nearest(houses: Houses, to_region: str, left: str | None, cost: CostParameters) -> str:
    """The warehouse that demand of a region is near to: the cheapest way, then the shortest.

    Where several are as near, the one that the units left is; else the first.

    >>> nearest({"e": "east", "w": "west"}, "west", "e", CostParameters())
    'w'
    >>> nearest({"e": "east", "w": "west"}, "north", "w", CostParameters())
    'w'
    """

    def rank(house: str) -> tuple[int, int, bool, str]:
        way = zone(houses[house], to_region, cost)
        return way.surcharge_cents, way.transit_days, house != left, house

    return min(houses, key=rank)


def goods_by_warehouse(
    conn: Connection,
    tenant_id: str,
    now: datetime,
    demand_days: int,
    cost: CostParameters,
    of: tuple[str, str] | None = None,
) -> list[Goods]:
    """Skus on sale that their suppliers count by warehouse, with two warehouses or more, by supplier and sku.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        now: Business time.
        demand_days: Days of the past whose lines tell the demand; what was cancelled or refunded counts not.
        cost: Parameters of the routing cost: which warehouse is near to a region.
        of: Only of this supplier and sku.
    """
    rows = conn.execute(
        "select s.supplier_id, s.sku_id, o.supply_price_cents, array(select array[w.warehouse_id,"
        "  w.region_code] from supply.warehouse w where w.tenant_id = s.tenant_id"
        "  and (w.supplier_id = s.supplier_id or (w.supplier_id is null and exists (select"
        "   from orders.warehouse_stock n where (n.tenant_id, n.supplier_id, n.sku_id, n.warehouse_id)"
        "    = (s.tenant_id, s.supplier_id, s.sku_id, w.warehouse_id)))))"
        " from orders.stock s join orders.offer o using (tenant_id, supplier_id, sku_id)"
        " where s.tenant_id = %(tenant)s and s.is_by_warehouse"
        "  and (%(supplier)s::text is null or (s.supplier_id, s.sku_id) = (%(supplier)s, %(sku)s))"
        f" and {IN_FORCE} and s.sku_id not in ({STOPPED}) order by 1, 2",
        {
            "tenant": tenant_id,
            "supplier": None if of is None else of[0],
            "sku": None if of is None else of[1],
        },
    ).fetchall()
    found = [(*row[:3], dict(row[3])) for row in rows if len(row[3]) > 1]
    skus = sorted({sku for _, sku, *_ in found})
    free = shelves.free_of(conn, tenant_id, skus)
    inbound = _inbound(conn, tenant_id, skus)
    asked = _asked(conn, tenant_id, skus, now - timedelta(days=demand_days), now)
    goods = []
    for supplier, sku, price, houses in found:
        demand: dict[str, float] = defaultdict(float)
        for region, left, units in asked[supplier, sku]:
            demand[nearest(houses, region, left, cost)] += units / demand_days
        key = supplier, sku
        goods.append(Goods(*key, price, houses, free.get(key, {}), inbound[key], dict(demand)))
    return goods


def _inbound(conn: Connection, tenant_id: str, skus: Sequence[str]) -> dict[tuple[str, str], dict[str, int]]:
    units: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for supplier, sku, house, qty in conn.execute(
        "select supplier_id, sku_id, to_warehouse_id,"
        " sum(case status when 'planned' then planned_qty else shipped_qty end)::bigint"
        " from transfers.transfer where tenant_id = %s and sku_id = any(%s)"
        " and status in ('planned', 'shipped') and cause <> 'alarm' group by 1, 2, 3",
        (tenant_id, list(skus)),
    ):
        units[supplier, sku][house] = qty
    return units


def _asked(
    conn: Connection, tenant_id: str, skus: Sequence[str], since: datetime, now: datetime
) -> dict[tuple[str, str], list[tuple[str, str | None, int]]]:
    """Units that were ordered: region, warehouse that they leave and units, by supplier and sku."""
    asked: dict[tuple[str, str], list[tuple[str, str | None, int]]] = defaultdict(list)
    for supplier, sku, region, house, units in conn.execute(
        "select l.supplier_id, l.sku_id, coalesce(o.region_code, '-'), l.warehouse_id, sum(l.qty)::bigint"
        " from orders.order_line l join orders.customer_order o using (tenant_id, order_id)"
        " join orders.sub_order p using (tenant_id, order_id, supplier_id)"
        " where l.tenant_id = %s and l.sku_id = any(%s) and o.placed_at > %s and o.placed_at <= %s"
        " and p.status not in ('rejected', 'cancelled') and l.refunded_cents = 0"
        " group by 1, 2, 3, 4 order by 1, 2, 3, 4",
        (tenant_id, list(skus), since, now),
    ):
        asked[supplier, sku].append((region, house, units))
    return asked
