"""The other warehouses that could ship the lines of a failed one. Reading only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import psycopg

from models.supply.transfers.config import TransferConfig
from serving.orders.routing.contracts import CostParameters, OfferStock
from serving.orders.warehouses.calendar import Warehouse, departure
from serving.orders.warehouses.choosing import Warehouses
from serving.orders.warehouses.records import read_warehouses, warehouses_of
from serving.transfers.suggesting import way_between
from serving.watch.alternatives.lines import ConcernedLine
from serving.watch.alternatives.rehousing import OtherHouse

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Around:
    """What stands beside a failed warehouse.

    Attributes:
        failed_region: Its region.
        today: Local day.
        houses: Other warehouses by sku.
    """

    failed_region: str
    today: date
    houses: dict[str, list[OtherHouse]]


def houses_beside(
    conn: Connection,
    tenant_id: str,
    warehouse_id: str,
    lines: Sequence[ConcernedLine],
    offers: Sequence[OfferStock],
    now: datetime,
    cost: CostParameters,
) -> Around | None:
    """The warehouses beside a failed one; None where nobody states it any more.

    Units of a sku that is not counted by warehouse may leave from any of them; of one that is, only what lies
    there, or is brought there.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        warehouse_id: The failed warehouse.
        lines: Lines that wait there, of one supplier.
        offers: Its offers of their skus.
        now: Business time.
        cost: Parameters of the routing cost, as ordering has them.
    """
    skus = sorted({line.demand.sku_id for line in lines})
    warehouses = read_warehouses(conn, tenant_id, warehouses_of(conn, tenant_id, skus), skus, now)
    failed = next((house for house in warehouses.houses if house.warehouse_id == warehouse_id), None)
    if failed is None:
        return None
    today = now.astimezone(warehouses.zone).date()
    found: dict[str, list[OtherHouse]] = {}
    for offer in offers:
        sizes = [line.demand.qty for line in lines if line.demand.sku_id == offer.sku_id]
        found[offer.sku_id] = [
            _other(warehouses, failed, house, offer, sizes, today, cost)
            for house in warehouses.able(offer)
            if house.warehouse_id != warehouse_id
        ]
    return Around(failed.region_code, today, found)


def _other(
    warehouses: Warehouses,
    failed: Warehouse,
    house: Warehouse,
    offer: OfferStock,
    sizes: Sequence[int],
    today: date,
    cost: CostParameters,
) -> OtherHouse:
    held = warehouses.free.get((offer.supplier_id, offer.sku_id))
    way = way_between(failed.region_code, house.region_code, cost, TransferConfig())

    def leaves(after_days: int) -> int | None:
        moment = warehouses.now + timedelta(days=after_days)
        booked = warehouses.booked[house.warehouse_id]
        day = departure(house, moment, offer.lead_time_days, max(sizes), booked)
        return None if day is None else (day - today).days

    return OtherHouse(
        house.warehouse_id,
        house.region_code,
        sum(sizes) if held is None else held.get(house.warehouse_id, 0),
        leaves(0),
        None if held is None else way.days,
        None if held is None else leaves(way.days),
        way.cost_cents,
    )
