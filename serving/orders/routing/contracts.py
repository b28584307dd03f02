"""The words of routing: what is asked for, what is on offer, what was decided. Nothing is priced here.

Money is int cents, quantities are int units, days are whole days. Every record checks itself when it is made,
so the routers never meet a negative stock or a price that is not an integer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from serving.errors import ServingError

MAX_CENTS = 10**10
"""Largest amount of one unit or one penalty: 100 million yuan. Larger is a unit mistake, not a price."""
MAX_QTY = 10**7
"""Largest quantity of one line or one offer."""
MAX_STEPS = 9
"""Most grades that a supplier may stand below the best."""
MAX_DAYS = 3650
"""Longest time that a lead time, a transit or a promise may state."""


class RoutingError(ServingError):
    """Base of the errors of routing."""


class InvalidRoutingInputError(RoutingError):
    """A demand, an offer or a cost parameter is impossible; the message names it."""


class RoutingSolverError(RoutingError):
    """The solver refused the problem or answered with a flow that breaks the problem's own limits."""


def _require_text(whose: str, name: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise InvalidRoutingInputError(f"{whose}: {name} must be a non-empty string, got {value!r}")


def _require_int(whose: str, name: str, value: object, low: int, high: int) -> None:
    # bool is an int in Python; True units are a mistake of the caller.
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidRoutingInputError(
            f"{whose}: {name} must be an integer from {low} to {high}, got {value!r}"
        )


@dataclass(frozen=True, slots=True)
class Demand:
    """One order line that wants a supplier.

    Attributes:
        order_id: The order.
        line_no: Its line; (order_id, line_no) is unique in one call.
        sku_id: What is wanted.
        qty: Units, 1 or more.
        to_region: Region code of the receiver.

    Raises:
        InvalidRoutingInputError: A field is empty, of another type or out of range.
    """

    order_id: str
    line_no: int
    sku_id: str
    qty: int
    to_region: str

    def __post_init__(self) -> None:
        whose = f"demand {self.order_id!r} line {self.line_no!r}"
        texts = {"order_id": self.order_id, "sku_id": self.sku_id, "to_region": self.to_region}
        for name, text in texts.items():
            _require_text(whose, name, text)
        _require_int(whose, "line_no", self.line_no, 0, MAX_QTY)
        _require_int(whose, "qty", self.qty, 1, MAX_QTY)


@dataclass(frozen=True, slots=True)
class OfferStock:
    """What one supplier can ship of one sku now.

    Attributes:
        supplier_id: The supplier (a supplier with several warehouses is several ids here).
        sku_id: What it offers; (supplier_id, sku_id) is unique in one call.
        available_qty: Units that may be promised (on hand - reserved - buffer, cut at 0).
        supply_price_cents: Price of one unit.
        freight_cents: Freight of one unit inside the supplier's own region; zones add their surcharge.
        lead_time_days: Days until the supplier hands the parcel over; transit comes on top.
        ship_from_region: Region code of the warehouse.
        min_order_qty: Smallest quantity of one drop-shipped line; smaller parts are not allowed. Not the
            wholesale minimum of a refill: an offer that drop-ships single units has 1.
        grade_steps: Grades that the supplier stands below the best, 0 to `MAX_STEPS`.

    Raises:
        InvalidRoutingInputError: A field is empty, of another type or out of range.
    """

    supplier_id: str
    sku_id: str
    available_qty: int
    supply_price_cents: int
    freight_cents: int
    lead_time_days: int
    ship_from_region: str
    min_order_qty: int = 1
    grade_steps: int = 0

    def __post_init__(self) -> None:
        whose = f"offer of supplier {self.supplier_id!r} for sku {self.sku_id!r}"
        for name, text in (
            ("supplier_id", self.supplier_id),
            ("sku_id", self.sku_id),
            ("ship_from_region", self.ship_from_region),
        ):
            _require_text(whose, name, text)
        _require_int(whose, "available_qty", self.available_qty, 0, MAX_QTY)
        _require_int(whose, "supply_price_cents", self.supply_price_cents, 0, MAX_CENTS)
        _require_int(whose, "freight_cents", self.freight_cents, 0, MAX_CENTS)
        _require_int(whose, "lead_time_days", self.lead_time_days, 0, MAX_DAYS)
        _require_int(whose, "min_order_qty", self.min_order_qty, 1, MAX_QTY)
        _require_int(whose, "grade_steps", self.grade_steps, 0, MAX_STEPS)


@dataclass(frozen=True, slots=True)
class Zone:
    """What the way from one region to another adds.

    Attributes:
        surcharge_cents: Freight of one unit on top of the offer's own freight.
        transit_days: Days on the road.

    Raises:
        InvalidRoutingInputError: A field is of another type or out of range.
    """

    surcharge_cents: int
    transit_days: int

    def __post_init__(self) -> None:
        _require_int("zone", "surcharge_cents", self.surcharge_cents, 0, MAX_CENTS)
        _require_int("zone", "transit_days", self.transit_days, 0, MAX_DAYS)


@dataclass(frozen=True, slots=True)
class CostParameters:
    """The penalties and ways of the stated cost. Source of every default: assumed.

    Attributes:
        promised_days: Days within which a line should arrive (default 5).
        lateness_penalty_cents_per_day: For each unit and each day beyond the promise (default 1.00 yuan).
        split_penalty_cents: For each supplier of a line after its first: one more parcel to pack and to
            receive (default 6.00 yuan). Lines of one order with different suppliers cost nothing extra:
            drop-shipping means that every supplier sends its own parcel.
        same_region: The way inside a region (default no surcharge, 1 day).
        other_region: The way between two regions without an entry in `zones` (default 4.00 yuan, 3 days).
        zones: Ways by (ship_from_region, to_region); they go before the two defaults.
        grade_penalty_bps: For each unit and each grade below the best, of the supply price (default none).

    Raises:
        InvalidRoutingInputError: A field is of another type or out of range.
    """

    promised_days: int = 5
    lateness_penalty_cents_per_day: int = 100
    split_penalty_cents: int = 600
    same_region: Zone = Zone(0, 1)
    other_region: Zone = Zone(400, 3)
    zones: Mapping[tuple[str, str], Zone] = field(default_factory=dict)
    grade_penalty_bps: int = 0

    def __post_init__(self) -> None:
        whose = "cost parameters"
        _require_int(whose, "grade_penalty_bps", self.grade_penalty_bps, 0, 10_000)
        _require_int(whose, "promised_days", self.promised_days, 0, MAX_DAYS)
        penalty = self.lateness_penalty_cents_per_day
        _require_int(whose, "lateness_penalty_cents_per_day", penalty, 0, MAX_CENTS)
        _require_int(whose, "split_penalty_cents", self.split_penalty_cents, 0, MAX_CENTS)


DEFAULT_COST = CostParameters()
"""The penalties and ways where nobody set others."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """One supplier ships `qty` units of one line; the amounts are totals of this part.

    Attributes:
        order_id: The order.
        line_no: Its line.
        supplier_id: Who ships.
        qty: Units, 1 or more.
        supply_cents: Supply price x qty.
        freight_cents: Freight and zone surcharge x qty.
        lateness_cents: Lateness penalty x qty.
        split_cents: The split penalty; 0 on the first (largest) part of a line.
        grade_cents: Penalty of the supplier's grade x qty.
    """

    order_id: str
    line_no: int
    supplier_id: str
    qty: int
    supply_cents: int
    freight_cents: int
    lateness_cents: int
    split_cents: int
    grade_cents: int = 0

    @property
    def cost_cents(self) -> int:
        """The stated cost of this part: the sum of its five amounts."""
        amounts = self.supply_cents, self.freight_cents, self.lateness_cents, self.split_cents
        return sum(amounts) + self.grade_cents


class UnroutableReason(StrEnum):
    """Why units of a line have no supplier."""

    NO_OFFER = "no_offer"
    """No supplier offers the sku."""
    BELOW_MIN_ORDER = "below_min_order"
    """Stock is left, but only where the smallest order is larger than what is missing or than that stock."""
    SHORT_STOCK = "short_stock"
    """The suppliers of the sku have no stock left for it, or no warehouse with room to send it."""


@dataclass(frozen=True, slots=True)
class Unroutable:
    """Units of a line that got no supplier.

    Attributes:
        order_id: The order.
        line_no: Its line.
        short_qty: Units without a supplier; the rest of the line may be routed.
        reason: Why.
    """

    order_id: str
    line_no: int
    short_qty: int
    reason: UnroutableReason


@dataclass(frozen=True, slots=True)
class RoutingPlan:
    """Who ships what. For every line, the allocated quantities and the short quantity sum to its quantity.

    Attributes:
        allocations: By order, line, then the larger part first.
        unroutable: By order and line.
    """

    allocations: tuple[Allocation, ...]
    unroutable: tuple[Unroutable, ...]

    @property
    def cost_cents(self) -> int:
        """Stated cost of what is routed; two plans compare by it only when their `short_qty` is equal."""
        return sum(part.cost_cents for part in self.allocations)

    @property
    def routed_qty(self) -> int:
        """Units with a supplier."""
        return sum(part.qty for part in self.allocations)

    @property
    def short_qty(self) -> int:
        """Units without a supplier."""
        return sum(missing.short_qty for missing in self.unroutable)


def require_unique(demands: Sequence[Demand], offers: Sequence[OfferStock]) -> None:
    """Refuse a line or an offer that stands twice in one call.

    Raises:
        InvalidRoutingInputError: The same (order_id, line_no) or (supplier_id, sku_id) twice.
    """
    lines: set[tuple[str, int]] = set()
    for demand in demands:
        if (line := (demand.order_id, demand.line_no)) in lines:
            raise InvalidRoutingInputError(
                f"demand {demand.order_id!r} line {demand.line_no} stands twice; merge it into one demand"
            )
        lines.add(line)
    keys: set[tuple[str, str]] = set()
    for offer in offers:
        if (key := (offer.supplier_id, offer.sku_id)) in keys:
            raise InvalidRoutingInputError(
                f"offer of supplier {offer.supplier_id!r} for sku {offer.sku_id!r} stands twice; "
                "pass the version that is valid now"
            )
        keys.add(key)
