"""The alternative `transfer`: lines of a failed warehouse leave from another one of their supplier. Pure.

By the same exact assignment as ordering, with the other warehouses as what ships: each with the units that
lie there now, and with the lines' own units once they are brought there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from serving.orders.routing.assignment import route_batch
from serving.orders.routing.contracts import CostParameters, OfferStock
from serving.orders.routing.cost import allocations_of, zone
from serving.watch.alternatives.contracts import Move, Option
from serving.watch.alternatives.lines import ConcernedLine


@dataclass(frozen=True, slots=True)
class OtherHouse:
    """Another warehouse that could ship a sku.

    Attributes:
        warehouse_id: The warehouse.
        region_code: Its region.
        free_qty: Units that lie there and nothing keeps.
        days: Until what lies there is handed over; None: no room.
        brought_days: Until units of the failed warehouse are there; None: they need not, or cannot be moved.
        days_when_brought: Until those are handed over; None: no room.
        brought_cents: What bringing a unit costs, fen.
    """

    warehouse_id: str
    region_code: str
    free_qty: int
    days: int | None
    brought_days: int | None
    days_when_brought: int | None
    brought_cents: int


def transfer_option(
    lines: Sequence[ConcernedLine],
    offers: Mapping[str, OfferStock],
    houses: Mapping[str, Sequence[OtherHouse]],
    failed_region: str,
    today: date,
    days_late: float | None,
    parameters: CostParameters,
) -> Option | None:
    """Which lines leave from where; None where no line can.

    Args:
        lines: Lines of one supplier that wait at the failed warehouse.
        offers: Its offer by sku, as stated.
        houses: Its other warehouses by sku.
        failed_region: Region of the failed warehouse.
        today: Local day.
        days_late: How much later than usual the lines come where they stay; None: nobody knows.
        parameters: Penalties and ways, as ordering has them.
    """
    waiting = [line for line in lines if not line.has_left and line.demand.sku_id in offers]
    usable: list[OfferStock] = []
    of: dict[str, tuple[OtherHouse, bool]] = {}
    for sku, others in sorted(houses.items()):
        wanted = sum(line.demand.qty for line in waiting if line.demand.sku_id == sku)
        for house in others:
            lies = house.free_qty if house.days is not None else 0
            for is_brought, days, qty in (
                (False, house.days, lies),
                (True, house.days_when_brought, 0 if house.brought_days is None else wanted),
            ):
                if days is None or not qty:
                    continue
                name = f"{'brought' if is_brought else 'lies'} {house.warehouse_id}"
                of[name] = house, is_brought
                usable.append(_from(offers[sku], name, house, qty, days, is_brought=is_brought))
    plan = route_batch([line.demand for line in waiting], usable, parameters).plan
    by_key = {(offer.supplier_id, offer.sku_id): offer for offer in usable}
    units = {(line.demand.order_id, line.demand.line_no): line.demand.qty for line in waiting}
    whole = {
        (part.order_id, part.line_no): part.supplier_id
        for part in plan.allocations
        if part.qty == units[part.order_id, part.line_no]
    }
    moves = []
    for line in waiting:
        key = line.demand.order_id, line.demand.line_no
        # A split moves no line.
        if key not in whole:
            continue
        name = whole[key]
        house, is_brought = of[name]
        taker = by_key[name, line.demand.sku_id]
        stays_days = max(0, (line.ships_on - today).days) if line.ships_on else taker.lead_time_days
        stated = offers[line.demand.sku_id]
        stays = replace(stated, lead_time_days=stays_days, ship_from_region=failed_region)
        moves.append(
            Move(
                line.demand.order_id,
                line.demand.line_no,
                line.demand.sku_id,
                line.demand.qty,
                line.supplier_id,
                line.supplier_id,
                _cents(taker, line, parameters) - _cents(stays, line, parameters),
                None
                if days_late is None
                else _days(taker, line, parameters) - _days(stays, line, parameters) - days_late,
                house.warehouse_id,
                house.brought_days if is_brought else None,
            )
        )
    if not moves:
        return None
    later = [move.arrival_change_days * move.qty for move in moves if move.arrival_change_days is not None]
    return Option(
        "transfer",
        tuple(moves),
        len(lines),
        sum(move.cost_change_cents for move in moves),
        sum(later) / sum(move.qty for move in moves) if len(later) == len(moves) else None,
        True,
    )


def _from(
    offer: OfferStock, name: str, house: OtherHouse, qty: int, days: int, *, is_brought: bool
) -> OfferStock:
    """An offer as another warehouse would ship it."""
    return replace(
        offer,
        supplier_id=name,
        available_qty=qty,
        freight_cents=offer.freight_cents + (house.brought_cents if is_brought else 0),
        lead_time_days=days,
        ship_from_region=house.region_code,
    )


def _days(offer: OfferStock, line: ConcernedLine, parameters: CostParameters) -> int:
    way = zone(offer.ship_from_region, line.demand.to_region, parameters)
    return offer.lead_time_days + way.transit_days


def _cents(offer: OfferStock, line: ConcernedLine, parameters: CostParameters) -> int:
    parts = allocations_of(line.demand, [(offer, line.demand.qty)], parameters)
    return sum(part.cost_cents for part in parts)
