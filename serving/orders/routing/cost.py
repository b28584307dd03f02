"""The stated cost of routing: supply price, freight, lateness, grade, split. Nothing is chosen here.

All but the last are linear in the quantity (an amount for each unit); the split penalty is a fixed amount for
each supplier of a line after its first. Integers only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from serving.orders.routing.contracts import Allocation, CostParameters, Demand, OfferStock, Zone

FULL_BPS: Final = 10_000


@dataclass(frozen=True, slots=True)
class UnitCost:
    """Cost of one unit from one offer to one region, in cents.

    Attributes:
        supply_cents: Supply price.
        freight_cents: The offer's freight and the zone's surcharge.
        lateness_cents: Penalty of the days beyond the promise.
        grade_cents: Penalty of the grades below the best.
    """

    supply_cents: int
    freight_cents: int
    lateness_cents: int
    grade_cents: int = 0

    @property
    def total_cents(self) -> int:
        """Sum of the four."""
        return self.supply_cents + self.freight_cents + self.lateness_cents + self.grade_cents


def zone(from_region: str, to_region: str, parameters: CostParameters) -> Zone:
    """The way between two regions: its own entry, else the default for the same or another region."""
    entry = parameters.zones.get((from_region, to_region))
    if entry is not None:
        return entry
    return parameters.same_region if from_region == to_region else parameters.other_region


def unit_cost(offer: OfferStock, to_region: str, parameters: CostParameters) -> UnitCost:
    """Cost of one unit of `offer` sent to `to_region`; linear in the quantity."""
    return UnitCost(*_amounts(offer, to_region, parameters))


def unit_cents(offer: OfferStock, to_region: str, parameters: CostParameters) -> int:
    """Total of `unit_cost`; a batch asks for hundreds of thousands of them."""
    return sum(_amounts(offer, to_region, parameters))


def _amounts(offer: OfferStock, to_region: str, parameters: CostParameters) -> tuple[int, int, int, int]:
    """Supply price, freight, lateness and grade of one unit."""
    way = zone(offer.ship_from_region, to_region, parameters)
    days_late = max(0, offer.lead_time_days + way.transit_days - parameters.promised_days)
    return (
        offer.supply_price_cents,
        offer.freight_cents + way.surcharge_cents,
        days_late * parameters.lateness_penalty_cents_per_day,
        offer.supply_price_cents * offer.grade_steps * parameters.grade_penalty_bps // FULL_BPS,
    )


def parts_cost(demand: Demand, parts: Sequence[tuple[OfferStock, int]], parameters: CostParameters) -> int:
    """Full stated cost of the parts of one line, in cents."""
    split = parameters.split_penalty_cents * max(0, len(parts) - 1)
    return split + sum(unit_cents(offer, demand.to_region, parameters) * units for offer, units in parts)


def allocations_of(
    demand: Demand, parts: Sequence[tuple[OfferStock, int]], parameters: CostParameters
) -> list[Allocation]:
    """Price the parts of one line with the full stated cost.

    Args:
        demand: The line.
        parts: Offers and their units, 1 or more each.
        parameters: Penalties and ways.

    Returns:
        One allocation a part, the larger part first (ties by supplier id); every part after the first carries
        the split penalty.
    """
    priced = []
    for place, (offer, qty) in enumerate(sorted(parts, key=lambda part: (-part[1], part[0].supplier_id))):
        unit = unit_cost(offer, demand.to_region, parameters)
        priced.append(
            Allocation(
                order_id=demand.order_id,
                line_no=demand.line_no,
                supplier_id=offer.supplier_id,
                qty=qty,
                supply_cents=unit.supply_cents * qty,
                freight_cents=unit.freight_cents * qty,
                lateness_cents=unit.lateness_cents * qty,
                split_cents=parameters.split_penalty_cents if place else 0,
                grade_cents=unit.grade_cents * qty,
            )
        )
    return priced
