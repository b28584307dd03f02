"""The greedy router: one line after the other takes its cheapest offer. For single orders, and a baseline.

A line goes whole to the cheapest offer that has enough; only when none has enough it is split, cheapest offer
first. It never looks ahead: an early line may take the stock that a later line needs more (`assignment` does
look), and a split may strand a rest that is below the smallest order of every offer left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, MutableMapping, Sequence

from serving.orders.routing.contracts import (
    CostParameters,
    Demand,
    OfferStock,
    RoutingPlan,
    Unroutable,
    UnroutableReason,
    require_unique,
)
from serving.orders.routing.cost import allocations_of, unit_cost

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
    by_sku = offers_by_sku(offers)
    stock = {(offer.supplier_id, offer.sku_id): offer.available_qty for offer in offers}
    allocations = []
    unroutable = []
    for demand in sorted(demands, key=lambda line: (line.order_id, line.line_no)):
        candidates = by_sku.get(demand.sku_id, [])
        parts = route_line(demand, candidates, stock, parameters)
        allocations.extend(allocations_of(demand, parts, parameters))
        missing = shortage(demand, parts, candidates, stock)
        if missing is not None:
            unroutable.append(missing)
    return RoutingPlan(tuple(allocations), tuple(unroutable))


def offers_by_sku(offers: Sequence[OfferStock]) -> dict[str, list[OfferStock]]:
    """The offers of each sku, by supplier id."""
    found: dict[str, list[OfferStock]] = defaultdict(list)
    for offer in sorted(offers, key=lambda one: (one.sku_id, one.supplier_id)):
        found[offer.sku_id].append(offer)
    return dict(found)


def route_line(
    demand: Demand,
    candidates: Sequence[OfferStock],
    stock: MutableMapping[Key, int],
    parameters: CostParameters,
) -> Parts:
    """Choose the offers of one line and take their units out of `stock`.

    Args:
        demand: The line.
        candidates: Offers of its sku.
        stock: Units left of each offer; changed in place.
        parameters: Penalties and ways.

    Returns:
        The chosen parts; fewer units than asked when stock is short.
    """
    ranked = sorted(
        candidates,
        key=lambda offer: (unit_cost(offer, demand.to_region, parameters).total_cents, offer.supplier_id),
    )
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
