"""Where a sku lies near a place: stores and warehouses with units that can be sold, the nearest first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg

from serving.orders.assortment.orderable import AVAILABLE, IN_FORCE
from serving.orders.assortment.stock import ANYWHERE
from serving.orders.routing.contracts import OfferStock
from serving.orders.warehouses.calendar import departure
from serving.orders.warehouses.choosing import Warehouses
from serving.orders.warehouses.records import read_warehouses, warehouses_of
from serving.quality.levels import STOPPED

Connection = psycopg.Connection[Any]

EARTH_M = 6_371_008.8
"""Mean radius of the earth, metres (IUGG)."""


@dataclass(frozen=True, slots=True)
class Nearby:
    """A store near a place.

    Attributes:
        warehouse_id: The store or warehouse.
        supplier_id: Whose goods lie there.
        region_code: Its region.
        distance_m: Great-circle distance, whole metres.
        available_qty: Units that its supplier may promise; what of them lies in this house is not known.
        ships_on: Local day on which it would hand the units over.
    """

    warehouse_id: str
    supplier_id: str
    region_code: str
    distance_m: int
    available_qty: int
    ships_on: date


def distance_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Great-circle distance of two places (latitude, longitude in degrees), metres, by the haversine."""
    (lat, lon), (to_lat, to_lon) = (map(math.radians, place) for place in (one, other))
    chord = (
        math.sin((to_lat - lat) / 2) ** 2
        + math.cos(lat) * math.cos(to_lat) * math.sin((to_lon - lon) / 2) ** 2
    )
    return 2 * EARTH_M * math.asin(math.sqrt(min(1.0, chord)))


def nearby(
    conn: Connection,
    tenant_id: str,
    sku_id: str,
    place: tuple[float, float],
    qty: int,
    now: datetime,
    limit: int,
) -> tuple[list[Nearby], int]:
    """Stores that could ship units of a sku, the nearest first.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        sku_id: The sku; one that the quality brake stopped lies nowhere.
        place: Latitude and longitude in degrees.
        qty: Units that are wanted.
        now: Business time, aware.
        limit: Most stores.

    Returns:
        The stores, and how many more could ship it of which nobody knows where they stand.
    """
    warehouses = read_warehouses(conn, tenant_id, warehouses_of(conn, tenant_id, [sku_id]), now)
    found, unplaced = [], 0
    for offer in _offers(conn, tenant_id, sku_id, qty):
        for store, ships_on in _open(warehouses, offer, qty, now):
            if store.place is None:
                unplaced += 1
                continue
            metres = round(distance_m(place, store.place))
            units = offer.available_qty
            found.append(
                Nearby(store.warehouse_id, offer.supplier_id, store.region_code, metres, units, ships_on)
            )
    found.sort(key=lambda one: (one.distance_m, one.warehouse_id, one.supplier_id))
    return found[:limit], unplaced


def _open(warehouses: Warehouses, offer: OfferStock, qty: int, now: datetime) -> Sequence[tuple[Any, date]]:
    days = [
        (
            store,
            departure(store, now, offer.lead_time_days, qty, warehouses.booked.get(store.warehouse_id, {})),
        )
        for store in warehouses.of(offer)
    ]
    return [(store, day) for store, day in days if day is not None]


def _offers(conn: Connection, tenant_id: str, sku_id: str, qty: int) -> list[OfferStock]:
    rows = conn.execute(
        f"select s.supplier_id, s.sku_id, {AVAILABLE}, o.supply_price_cents, o.freight_cents,"
        " o.lead_time_days, o.ship_from_region, o.min_order_qty"
        " from orders.stock s join orders.offer o using (tenant_id, supplier_id, sku_id)"
        f" where s.tenant_id = %(tenant)s and s.sku_id = %(sku)s and {IN_FORCE} and {AVAILABLE} >= %(qty)s"
        f" and o.min_order_qty <= %(qty)s and s.sku_id not in ({STOPPED}) order by s.supplier_id",
        {"tenant": tenant_id, "sku": sku_id, "qty": qty},
    )
    return [
        OfferStock(supplier, sku, available, price, freight, days, region or ANYWHERE, smallest)
        for supplier, sku, available, price, freight, days, region, smallest in rows
    ]
