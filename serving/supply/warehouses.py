"""Warehouses as orders see them. What a day of one takes: `serving.orders.warehouses`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg

from serving.db import locks

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class StatedWarehouse:
    """A warehouse as a feed states it.

    Attributes:
        warehouse_id: Its id.
        supplier_id: Whose it is; None where the platform runs it.
        region_code: Its region.
        latitude: Decimal degrees, or None.
        longitude: Decimal degrees, or None.
        capacity_per_day: Units a day, or None.
        cut_off_minutes: Minutes after local midnight, or None.
        working_days: Digits of the days of the week.
        time_zone: IANA name, or None.
        closed_on: Days on which it is closed although it works on that day of the week.
    """

    warehouse_id: str
    supplier_id: str | None
    region_code: str
    latitude: float | None
    longitude: float | None
    capacity_per_day: int | None
    cut_off_minutes: int | None
    working_days: str
    time_zone: str | None
    closed_on: tuple[date, ...] = ()


def put_warehouses(conn: Connection, tenant_id: str, stated: Sequence[StatedWarehouse]) -> int:
    """Put the warehouses of the feeds into force, whole: what is not stated any more ships nothing.

    Args:
        conn: Of the database's owner, inside a transaction.
        tenant_id: The tenant.
        stated: At most one a warehouse.

    Returns:
        Warehouses and closed days that came, changed or went.
    """
    houses = sorted(stated, key=lambda one: one.warehouse_id)
    closures = [(one.warehouse_id, day) for one in houses for day in sorted(set(one.closed_on))]
    values: dict[str, Any] = {
        "tenant": tenant_id,
        "ids": [one.warehouse_id for one in houses],
        "suppliers": [one.supplier_id for one in houses],
        "regions": [one.region_code for one in houses],
        "latitudes": [one.latitude for one in houses],
        "longitudes": [one.longitude for one in houses],
        "capacities": [one.capacity_per_day for one in houses],
        "cut_offs": [one.cut_off_minutes for one in houses],
        "days": [one.working_days for one in houses],
        "zones": [one.time_zone for one in houses],
        "closed": [warehouse_id for warehouse_id, _ in closures],
        "closed_on": [day for _, day in closures],
    }
    # Orders lock those that they may leave from, in the same order.
    locks.every_warehouse(conn, tenant_id)
    changed = 0
    for statement in (
        "delete from supply.warehouse_closure c where c.tenant_id = %(tenant)s"
        " and (c.warehouse_id, c.closed_on) not in (select * from"
        "  unnest(%(closed)s::text[], %(closed_on)s::date[]))",
        "delete from supply.warehouse w where w.tenant_id = %(tenant)s and w.warehouse_id <> all(%(ids)s)",
        "insert into supply.warehouse as w (tenant_id, warehouse_id, supplier_id, region_code, latitude,"
        " longitude, capacity_per_day, cut_off_minutes, working_days, time_zone)"
        " select %(tenant)s, n.* from unnest(%(ids)s::text[], %(suppliers)s::text[], %(regions)s::text[],"
        " %(latitudes)s::float8[], %(longitudes)s::float8[], %(capacities)s::bigint[],"
        " %(cut_offs)s::integer[], %(days)s::text[], %(zones)s::text[]) as n"
        " on conflict (tenant_id, warehouse_id) do update set supplier_id = excluded.supplier_id,"
        " region_code = excluded.region_code, latitude = excluded.latitude, longitude = excluded.longitude,"
        " capacity_per_day = excluded.capacity_per_day, cut_off_minutes = excluded.cut_off_minutes,"
        " working_days = excluded.working_days, time_zone = excluded.time_zone"
        " where (w.supplier_id, w.region_code, w.latitude, w.longitude, w.capacity_per_day,"
        " w.cut_off_minutes, w.working_days, w.time_zone) is distinct from (excluded.supplier_id,"
        " excluded.region_code, excluded.latitude, excluded.longitude, excluded.capacity_per_day,"
        " excluded.cut_off_minutes, excluded.working_days, excluded.time_zone)",
        "insert into supply.warehouse_closure (tenant_id, warehouse_id, closed_on)"
        " select %(tenant)s, n.* from unnest(%(closed)s::text[], %(closed_on)s::date[]) as n"
        " on conflict do nothing",
    ):
        changed += conn.execute(statement, values).rowcount
    return changed
