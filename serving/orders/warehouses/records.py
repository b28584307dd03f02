"""The warehouses of some offers in the database, and the units that orders take of their days."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from serving.db import locks
from serving.db.calendar import zone_of
from serving.orders.assortment.shelves import free_of
from serving.orders.warehouses.calendar import Warehouse
from serving.orders.warehouses.choosing import Warehouses

Connection = psycopg.Connection[Any]


def warehouses_of(conn: Connection, tenant_id: str, sku_ids: Iterable[str]) -> list[str]:
    """Ids of the warehouses that may ship some skus.

    Those of whoever offers one, the platform's in its region, and every one in which such goods lie.
    """
    rows = conn.execute(
        "select w.warehouse_id from supply.warehouse w where w.tenant_id = %(tenant)s"
        " and exists (select from orders.offer o where o.tenant_id = w.tenant_id and o.sku_id = any(%(skus)s)"
        "  and (o.supplier_id = w.supplier_id"
        "   or (w.supplier_id is null and o.ship_from_region = w.region_code)))"
        " union select n.warehouse_id from orders.warehouse_stock n join supply.warehouse h"
        "  using (tenant_id, warehouse_id) where n.tenant_id = %(tenant)s and n.sku_id = any(%(skus)s)"
        " order by 1",
        {"tenant": tenant_id, "skus": sorted(set(sku_ids))},
    )
    return [warehouse_id for (warehouse_id,) in rows]


def lock_warehouses(
    conn: Connection,
    tenant_id: str,
    sku_ids: Iterable[str],
    now: datetime,
    moving: tuple[str, int] | None = None,
) -> Warehouses:
    """The warehouses that may ship some skus; those with a limit stay locked until the transaction ends.

    So what is free of a day is free until commit.

    Args:
        conn: Inside a transaction of the tenant that holds the stock.
        tenant_id: The tenant.
        sku_ids: What is ordered.
        now: Business time, aware.
        moving: Order and number of a line that leaves its day: that is free for it.
    """
    ids = warehouses_of(conn, tenant_id, sku_ids)
    locks.warehouses(conn, tenant_id, ids)
    return read_warehouses(conn, tenant_id, ids, sku_ids, now, moving)


def read_warehouses(
    conn: Connection,
    tenant_id: str,
    ids: Sequence[str],
    sku_ids: Iterable[str],
    now: datetime,
    moving: tuple[str, int] | None = None,
) -> Warehouses:
    """Warehouses as they stand, and what orders take of their days.

    A unit counts for its day as long as it is reserved there or left from there; what is cancelled, refunded
    before it ships or moved elsewhere counts no more.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        ids: The warehouses.
        sku_ids: What would leave from them.
        now: Business time, aware.
        moving: Order and number of a line that is not counted.
    """
    zone = zone_of(conn, tenant_id)
    free = free_of(conn, tenant_id, sku_ids, moving)
    if not ids:
        return Warehouses((), {}, now, zone, free)
    # A local day may be one behind or ahead of another.
    since = now.astimezone(zone).date() - timedelta(days=1)
    order_id, line_no = moving or (None, None)
    values = {
        "tenant": tenant_id,
        "ids": list(ids),
        "since": since,
        "moving_order": order_id,
        "moving_line": line_no,
    }
    rows = conn.execute(
        "select w.warehouse_id, w.supplier_id, w.region_code, w.capacity_per_day, w.cut_off_minutes,"
        " w.working_days, w.time_zone, w.latitude, w.longitude,"
        " array(select c.closed_on from supply.warehouse_closure c where c.tenant_id = w.tenant_id"
        "  and c.warehouse_id = w.warehouse_id and c.closed_on >= %(since)s)"
        " from supply.warehouse w where w.tenant_id = %(tenant)s and w.warehouse_id = any(%(ids)s)"
        " order by w.warehouse_id",
        values,
    ).fetchall()
    houses = [
        Warehouse(
            warehouse_id=warehouse_id,
            supplier_id=supplier_id,
            region_code=region,
            capacity_per_day=capacity,
            cut_off_minutes=cut_off,
            working_days=working_days,
            closed_on=frozenset(closed_on),
            zone=ZoneInfo(name) if name else zone,
            place=None if latitude is None else (latitude, longitude),
        )
        for (
            warehouse_id,
            supplier_id,
            region,
            capacity,
            cut_off,
            working_days,
            name,
            latitude,
            longitude,
            closed_on,
        ) in rows
    ]
    booked: dict[str, Counter[date]] = defaultdict(Counter)
    for warehouse_id, day, units in conn.execute(
        "select l.warehouse_id, l.ships_on, sum(case when s.status in ('rejected', 'cancelled') then 0"
        " when s.status in ('pending', 'accepted') then l.reserved_qty else l.qty end)::bigint"
        " from orders.order_line l join orders.sub_order s using (tenant_id, order_id, supplier_id)"
        " where l.tenant_id = %(tenant)s and l.warehouse_id = any(%(ids)s) and l.ships_on >= %(since)s"
        " and (l.order_id, l.line_no) is distinct from (%(moving_order)s::text, %(moving_line)s::integer)"
        " group by 1, 2",
        values,
    ):
        booked[warehouse_id][day] = units
    return Warehouses(houses, booked, now, zone, free)
