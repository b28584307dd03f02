"""The warehouse that ships a line: the least stated cost to its region, then the earliest promise.

A supplier ships from its own warehouses; one that has none ships from those that the platform runs in the
region of its offer. Where there is neither, the offer's own lead time counts, and nothing limits a day. Of a
sku that the supplier counts by warehouse only those come into question in which enough units lie that no line
reserves; of any other sku all its warehouses draw on one stock.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from serving.orders.routing.contracts import MAX_DAYS, CostParameters, OfferStock
from serving.orders.routing.cost import unit_cost, zone
from serving.orders.warehouses.calendar import Warehouse, departure, most_units


@dataclass(frozen=True, slots=True)
class Departure:
    """How a line leaves.

    Attributes:
        warehouse_id: The warehouse; None where the supplier has none.
        ships_on: Local day on which it is handed over.
        promised_on: Local day on which it arrives at the latest.
    """

    warehouse_id: str | None
    ships_on: date
    promised_on: date


@dataclass(frozen=True)
class Warehouses:
    """The warehouses of the offers of an order, and what is booked; booking adds to it.

    Attributes:
        houses: The warehouses.
        booked: Units by warehouse and day that orders take.
        now: When the order comes in, aware.
        zone: The clock of the tenant.
        free: Units by warehouse that nothing reserves, by supplier and sku that are counted by warehouse.
    """

    houses: Sequence[Warehouse]
    booked: Mapping[str, Counter[date]]
    now: datetime
    zone: ZoneInfo
    free: Mapping[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    _own: dict[str, list[Warehouse]] = field(default_factory=lambda: defaultdict(list), init=False)
    _shared: dict[str, list[Warehouse]] = field(default_factory=lambda: defaultdict(list), init=False)

    def __post_init__(self) -> None:
        for house in self.houses:
            if house.supplier_id is None:
                self._shared[house.region_code].append(house)
            else:
                self._own[house.supplier_id].append(house)

    def of(self, offer: OfferStock) -> list[Warehouse]:
        """Where an offer may ship from; nowhere in particular where there is no warehouse."""
        if (held := self._held(offer)) is not None:
            return [house for house in self.houses if held.get(house.warehouse_id)]
        return self._own.get(offer.supplier_id) or self._shared.get(offer.ship_from_region, [])

    def able(self, offer: OfferStock) -> list[Warehouse]:
        """Where units of an offer can lie, whether any do; without warehouses none."""
        held = self._held(offer)
        if held is None:
            return self.of(offer)
        return [
            house
            for house in self.houses
            if house.supplier_id == offer.supplier_id or house.warehouse_id in held
        ]

    def leaving(
        self,
        offer: OfferStock,
        warehouse_id: str,
        qty: int,
        to_region: str,
        parameters: CostParameters,
        *,
        is_brought: bool,
    ) -> Departure | None:
        """How units leave from one warehouse; None where they do not lie there, or it has no room.

        Args:
            offer: With the supplier's own lead time.
            warehouse_id: The warehouse.
            qty: Units of the line.
            to_region: Where it goes.
            parameters: Ways.
            is_brought: They are brought there: what lies there is not asked.
        """
        house = next((one for one in self.able(offer) if one.warehouse_id == warehouse_id), None)
        held = self._held(offer)
        if house is None or (not is_brought and held is not None and held.get(warehouse_id, 0) < qty):
            return None
        day = departure(house, self.now, offer.lead_time_days, qty, self.booked[warehouse_id])
        if day is None:
            return None
        return Departure(warehouse_id, day, _arrives(house.region_code, to_region, day, parameters))

    def units_in(self, house: Warehouse, offer: OfferStock) -> int:
        """Units of an offer that may be promised from one of its warehouses, by what lies where."""
        held = self._held(offer)
        lie = offer.available_qty if held is None else held.get(house.warehouse_id, 0)
        return min(offer.available_qty, lie)

    def choose(
        self, offer: OfferStock, qty: int, to_region: str, parameters: CostParameters
    ) -> Departure | None:
        """How units of an offer leave.

        Args:
            offer: With the supplier's own lead time.
            qty: Units of the line.
            to_region: Where it goes.
            parameters: Penalties and ways.

        Returns:
            None where no warehouse has the units and room for them on one day within reach.
        """
        houses = self.of(offer)
        held = self._held(offer)
        if not houses and held is None:
            ships_on = self.now.astimezone(self.zone).date() + timedelta(days=offer.lead_time_days)
            return Departure(
                None, ships_on, _arrives(offer.ship_from_region, to_region, ships_on, parameters)
            )
        found = []
        for house in houses:
            if held is not None and held[house.warehouse_id] < qty:
                continue
            day = departure(house, self.now, offer.lead_time_days, qty, self.booked[house.warehouse_id])
            if day is None:
                continue
            leaves = Departure(
                house.warehouse_id, day, _arrives(house.region_code, to_region, day, parameters)
            )
            cost = unit_cost(self._from(offer, house.region_code, day), to_region, parameters).total_cents
            found.append((cost, leaves.promised_on, house.warehouse_id, leaves))
        return min(found)[-1] if found else None

    def as_shipped(
        self,
        offers: Iterable[OfferStock],
        wanted: Mapping[str, int],
        to_region: str,
        parameters: CostParameters,
    ) -> list[OfferStock]:
        """Offers as routing shall see them: the region and the days of the warehouse that would ship them.

        An offer has no more units than one of its warehouses has, and has room for on a day within reach.

        Args:
            offers: As stated, at most one a supplier and sku.
            wanted: Units by sku.
            to_region: Where they go.
            parameters: Penalties and ways.
        """
        return [self._as_shipped(offer, wanted[offer.sku_id], to_region, parameters) for offer in offers]

    def book(self, departure: Departure, offer: OfferStock, qty: int) -> None:
        """Count units of this very order, so that its next line sees them."""
        if departure.warehouse_id is not None:
            self.booked[departure.warehouse_id][departure.ships_on] += qty
            if (held := self._held(offer)) is not None:
                held[departure.warehouse_id] -= qty

    def _as_shipped(
        self, offer: OfferStock, wanted: int, to_region: str, parameters: CostParameters
    ) -> OfferStock:
        houses = self.of(offer)
        if not houses:
            return offer if self._held(offer) is None else replace(offer, available_qty=0)
        most = max(self._most(house, offer) for house in houses)
        leaves = self.choose(offer, max(1, min(wanted, most)), to_region, parameters)
        if leaves is None:
            return replace(offer, available_qty=0)
        region = next(house.region_code for house in houses if house.warehouse_id == leaves.warehouse_id)
        return replace(self._from(offer, region, leaves.ships_on), available_qty=most)

    def _most(self, house: Warehouse, offer: OfferStock) -> int:
        room = most_units(house, self.now, offer.lead_time_days, self.booked[house.warehouse_id])
        units = self.units_in(house, offer)
        return units if room is None else min(units, room)

    def _held(self, offer: OfferStock) -> dict[str, int] | None:
        return self.free.get((offer.supplier_id, offer.sku_id))

    def _from(self, offer: OfferStock, region: str, ships_on: date) -> OfferStock:
        days = (ships_on - self.now.astimezone(self.zone).date()).days
        return replace(offer, ship_from_region=region, lead_time_days=min(MAX_DAYS, max(0, days)))


def _arrives(from_region: str, to_region: str, ships_on: date, parameters: CostParameters) -> date:
    return ships_on + timedelta(days=zone(from_region, to_region, parameters).transit_days)
