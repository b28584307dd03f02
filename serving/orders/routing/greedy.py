"""The greedy router: one line after the other takes its cheapest offer. For single orders, and a baseline.

A line goes whole to the cheapest offer that has enough; only when none has enough it is split, cheapest offer
first. It never looks ahead: an early line may take the stock that a later line needs more (`assignment` does
look), and a split may strand a rest that is below the smallest order of every offer left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, MutableMapping, Sequence

from serving.orders.routing.contracts import (
    Allocation,
    CostParameters,
    Demand,
    OfferStock,
    RoutingPlan,
    Unroutable,
    UnroutableReason,
    require_unique,
)
from serving.orders.routing.cost import allocations_of, unit_cents

Key = tuple[str, str]
"""(supplier_id, sku_id) of an offer."""
Parts = list[tuple[OfferStock, int]]
"""Offers of one line with their units."""


def route_greedy(
    demands: Sequence[Demand], offers: Sequence[OfferStock], parameters: CostParameters | None = None
) -> RoutingPlan:
    """Route lines one by one, in the order (order_id, line_no); the order of the arguments does not matter.

    Args:
        demands: Lines to route.
        offers: Offers with the stock that may be promised. To re-route after a rejection, leave out the
            offers of the supplier that rejected.
        parameters: Penalties and ways; None takes the defaults.

    Returns:
        The plan; what no offer can ship stands in `unroutable`.

    Raises:
        InvalidRoutingInputError: A line or an offer stands twice.
    """
    parameters = parameters or CostParameters()
    require_unique(demands, offers)
    lines = sorted(demands, key=lambda line: (line.order_id, line.line_no))
    return plan_of(lines, greedy_parts(lines, offers, parameters), offers, parameters)


def greedy_parts(
    lines: Sequence[Demand], offers: Sequence[OfferStock], parameters: CostParameters
) -> list[Parts]:
    """The parts of each line, routed in the order given; fewer units than asked when stock is short."""
    by_sku = offers_by_sku(offers)
    stock = {(offer.supplier_id, offer.sku_id): offer.available_qty for offer in offers}
    ranks: dict[tuple[str, str], list[OfferStock]] = {}
    parts_of = []
    for line in lines:
        way = line.sku_id, line.to_region
        if way not in ranks:
            ranks[way] = cheapest_first(by_sku.get(line.sku_id, []), line.to_region, parameters)
        parts_of.append(route_line(line, ranks[way], stock))
    return parts_of


def plan_of(
    lines: Sequence[Demand],
    parts_of: Sequence[Parts],
    offers: Sequence[OfferStock],
    parameters: CostParameters,
) -> RoutingPlan:
    """Price the parts of every line and say why units are short.

    Args:
        lines: The lines.
        parts_of: Parts of each, together within the stock.
        offers: Every offer that was to be had.
        parameters: Penalties and ways.
    """
    by_sku = offers_by_sku(offers)
    left = {(offer.supplier_id, offer.sku_id): offer.available_qty for offer in offers}
    for parts in parts_of:
        for offer, units in parts:
            left[offer.supplier_id, offer.sku_id] -= units
    allocations: list[Allocation] = []
    unroutable: list[Unroutable] = []
    pairs = zip(lines, parts_of, strict=True)
    for line, parts in sorted(pairs, key=lambda pair: (pair[0].order_id, pair[0].line_no)):
        allocations.extend(allocations_of(line, parts, parameters))
        missing = shortage(line, parts, by_sku.get(line.sku_id, []), left)
        if missing is not None:
            unroutable.append(missing)
    return RoutingPlan(tuple(allocations), tuple(unroutable))


def offers_by_sku(offers: Sequence[OfferStock]) -> dict[str, list[OfferStock]]:
    """The offers of each sku, by supplier id."""
    found: dict[str, list[OfferStock]] = defaultdict(list)
    for offer in sorted(offers, key=lambda one: (one.sku_id, one.supplier_id)):
        found[offer.sku_id].append(offer)
    return dict(found)


def cheapest_first(
    candidates: Sequence[OfferStock], region: str, parameters: CostParameters
) -> list[OfferStock]:
    """The offers by what a unit costs that goes to `region`, ties by supplier id."""
    return sorted(
        candidates,
        key=lambda offer: (unit_cents(offer, region, parameters), offer.supplier_id),
    )


def route_line(demand: Demand, ranked: Sequence[OfferStock], stock: MutableMapping[Key, int]) -> Parts:
    """Choose the offers of one line and take their units out of `stock`.

    Args:
        demand: The line.
        ranked: Offers of its sku, the cheapest first for its region.
        stock: Units left of each offer; changed in place.

    Returns:
        The chosen parts; fewer units than asked when stock is short.
    """
    whole = next((offer for offer in ranked if _takes(offer, demand.qty, stock) == demand.qty), None)
    if whole is not None:
        stock[whole.supplier_id, whole.sku_id] -= demand.qty
        return [(whole, demand.qty)]
    parts: Parts = []
    missing = demand.qty
    for offer in ranked:
        taken = _takes(offer, missing, stock)
        if taken:
            stock[offer.supplier_id, offer.sku_id] -= taken
            parts.append((offer, taken))
            missing -= taken
    return parts


def shortage(
    demand: Demand, parts: Parts, candidates: Sequence[OfferStock], stock: Mapping[Key, int]
) -> Unroutable | None:
    """What of a line has no supplier and why; None when the line is complete."""
    missing = demand.qty - sum(qty for _, qty in parts)
    if not missing:
        return None
    if not candidates:
        reason = UnroutableReason.NO_OFFER
    elif any(stock[offer.supplier_id, offer.sku_id] for offer in candidates):
        reason = UnroutableReason.BELOW_MIN_ORDER
    else:
        reason = UnroutableReason.SHORT_STOCK
    return Unroutable(demand.order_id, demand.line_no, missing, reason)


def _takes(offer: OfferStock, wanted: int, stock: Mapping[Key, int]) -> int:
    """Units of `wanted` that the offer ships: what it has, or 0 below its smallest order."""
    possible = min(wanted, stock[offer.supplier_id, offer.sku_id])
    return possible if possible >= offer.min_order_qty else 0
