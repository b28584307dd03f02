"""Where a sku lies near a place: stores and warehouses with units that can be sold, the nearest first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import psycopg

from serving.orders.assortment.orderable import AVAILABLE, IN_FORCE
from serving.orders.assortment.stock import ANYWHERE
from serving.orders.routing.contracts import OfferStock
from serving.orders.warehouses.calendar import Warehouse, departure
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
        available_qty: Units that its supplier may promise; of a sku that it counts by warehouse, from here.
        ships_on: Local day on which it would hand the units over.
    """

    warehouse_id: str
    supplier_id: str
    region_code: str
    distance_m: int
    available_qty: int
    ships_on: date


class WhyNot(StrEnum):
    """Why nothing is near: of a supplier, of one of its houses, or of the sku."""

    BELOW_MIN_ORDER = "below_min_order"
    """The smallest line of the offer has more units: ask for `min_order_qty`."""
    SHORT_STOCK = "short_stock"
    """Fewer units may be promised, or lie in the house: ask for no more than `available_qty`."""
    NO_ROOM = "no_room"
    """The house is closed or full for as long as is looked ahead."""
    NO_WAREHOUSE = "no_warehouse"
    """The supplier ships from nowhere in particular: the sku can be ordered, and is near to nothing."""
    NO_PLACE = "no_place"
    """Of every house that could ship it nobody stated where it stands."""
    SALE_STOPPED = "sale_stopped"
    """The quality brake stopped the sku."""
    NO_OFFER = "no_offer"
    """No supplier has an offer of it in force."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An offer, or a house of it, that cannot ship the units.

    Attributes:
        supplier_id: Whose offer.
        warehouse_id: The house; None where it is the offer itself.
        reason: Why.
        min_order_qty: Units that a line must have.
        available_qty: Units that may be promised, of the house where one is named.
    """

    supplier_id: str
    warehouse_id: str | None
    reason: WhyNot
    min_order_qty: int
    available_qty: int


@dataclass(frozen=True, slots=True)
class Around:
    """What is near a place.

    Attributes:
        stores: The nearest first.
        unplaced: Further ones of which nobody knows where they stand.
        left_out: What cannot ship the units, by supplier and house.
        reason: Why there is no store; None where there is one.
    """

    stores: Sequence[Nearby]
    unplaced: int
    left_out: Sequence[LeftOut]
    reason: WhyNot | None


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
) -> Around:
    """Stores that could ship units of a sku, the nearest first, and why others cannot.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        sku_id: The sku; one that the quality brake stopped lies nowhere.
        place: Latitude and longitude in degrees.
        qty: Units that are wanted.
        now: Business time, aware.
        limit: Most stores, and most of what is left out.
    """
    warehouses = read_warehouses(conn, tenant_id, warehouses_of(conn, tenant_id, [sku_id]), [sku_id], now)
    offers, is_stopped = _offers(conn, tenant_id, sku_id)
    if is_stopped:
        return Around((), 0, (), WhyNot.SALE_STOPPED)
    found: list[Nearby] = []
    left_out: list[LeftOut] = []
    unplaced = 0
    for offer in offers:
        refused = _refused(warehouses, offer, qty)
        if refused is not None:
            left_out.append(refused)
            continue
        # Where units lie; where every one is kept for a line or a transfer, each house says so.
        for store in warehouses.of(offer) or warehouses.able(offer):
            units = warehouses.units_in(store, offer)
            booked: Mapping[date, int] = warehouses.booked.get(store.warehouse_id, {})
            day = departure(store, now, offer.lead_time_days, qty, booked)
            if units < qty or day is None:
                why = WhyNot.SHORT_STOCK if units < qty else WhyNot.NO_ROOM
                left_out.append(
                    LeftOut(offer.supplier_id, store.warehouse_id, why, offer.min_order_qty, units)
                )
            elif store.place is None:
                unplaced += 1
            else:
                found.append(_near(store, offer, place, units, day))
    found.sort(key=lambda one: (one.distance_m, one.warehouse_id, one.supplier_id))
    left_out.sort(key=lambda one: (one.supplier_id, one.warehouse_id or ""))
    reason = None if found else _reason(offers, left_out, unplaced)
    return Around(found[:limit], unplaced, left_out[:limit], reason)


def _near(
    store: Warehouse, offer: OfferStock, place: tuple[float, float], units: int, ships_on: date
) -> Nearby:
    assert store.place is not None, "without a place nothing is near"
    metres = round(distance_m(place, store.place))
    return Nearby(store.warehouse_id, offer.supplier_id, store.region_code, metres, units, ships_on)


def _refused(warehouses: Warehouses, offer: OfferStock, qty: int) -> LeftOut | None:
    """Why an offer cannot be ordered so, whatever the house."""
    if qty < offer.min_order_qty:
        why = WhyNot.BELOW_MIN_ORDER
    elif offer.available_qty < qty:
        why = WhyNot.SHORT_STOCK
    elif not warehouses.able(offer):
        why = WhyNot.NO_WAREHOUSE
    else:
        return None
    return LeftOut(offer.supplier_id, None, why, offer.min_order_qty, offer.available_qty)


def _reason(offers: Sequence[OfferStock], left_out: Sequence[LeftOut], unplaced: int) -> WhyNot:
    """The reason that a caller can most easily do something about."""
    if not offers:
        return WhyNot.NO_OFFER
    if unplaced:
        return WhyNot.NO_PLACE
    told = [one.reason for one in left_out if one.available_qty >= one.min_order_qty]
    # By other units first; an offer without units is not helped by asking for more.
    for why in (WhyNot.BELOW_MIN_ORDER, WhyNot.SHORT_STOCK, WhyNot.NO_WAREHOUSE, WhyNot.NO_ROOM):
        if why in told:
            return why
    return WhyNot.SHORT_STOCK


def _offers(conn: Connection, tenant_id: str, sku_id: str) -> tuple[list[OfferStock], bool]:
    """Offers in force of a sku with what may be promised, and whether the quality brake stopped it."""
    rows = conn.execute(
        f"select s.supplier_id, s.sku_id, {AVAILABLE}, o.supply_price_cents, o.freight_cents,"
        f" o.lead_time_days, o.ship_from_region, o.min_order_qty, s.sku_id in ({STOPPED})"
        " from orders.stock s join orders.offer o using (tenant_id, supplier_id, sku_id)"
        f" where s.tenant_id = %(tenant)s and s.sku_id = %(sku)s and {IN_FORCE} order by s.supplier_id",
        {"tenant": tenant_id, "sku": sku_id},
    ).fetchall()
    offers = [
        OfferStock(supplier, sku, available, price, freight, days, region or ANYWHERE, smallest)
        for supplier, sku, available, price, freight, days, region, smallest, _ in rows
    ]
    return offers, any(row[-1] for row in rows)
