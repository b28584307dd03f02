"""The exact router of batches: min-cost flow, its proof, and the full stated cost of what comes out.

What the flow prices exactly: supply price, freight and lateness, which are linear in the units. What it does
not: the split penalty (a fixed amount for each further supplier of a line) and the smallest order of a part
of a split line. Both make the problem NP-hard. So the flow is solved without them, then split lines are put
together again where that pays or where a part is too small, and the outcome states how far the plan's full
stated cost is from the flow's bound, below which no plan that routes as many units can be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serving.orders.routing.certificate import dual_bound, flow_cost, shadow_prices
from serving.orders.routing.consolidation import Consolidation
from serving.orders.routing.contracts import (
    Allocation,
    CostParameters,
    Demand,
    OfferStock,
    RoutingPlan,
    Unroutable,
    require_unique,
)
from serving.orders.routing.cost import allocations_of
from serving.orders.routing.flow_network import Flow, FlowNetwork, build_network, solve
from serving.orders.routing.greedy import Key, Parts, offers_by_sku, route_greedy, shortage


@dataclass(frozen=True, slots=True)
class Assignment:
    """A routed batch and how good it is.

    Attributes:
        plan: Who ships what, at full stated cost.
        is_optimal: The solver calls the flow optimal.
        is_proven_optimal: The flow's cost equals the dual bound, checked in integers without the solver: no
            plan routes more units, and none that routes as many has a lower linear cost. It says nothing of
            splits; that is `gap_cents`.
        flow_cost_cents: Linear cost of the flow with overflow.
        dual_bound_cents: The bound that it is checked against.
        lower_bound_cents: No plan with as few units short as `plan` has a lower stated cost.
    """

    plan: RoutingPlan
    is_optimal: bool
    is_proven_optimal: bool
    flow_cost_cents: int
    dual_bound_cents: int
    lower_bound_cents: int

    @property
    def gap_cents(self) -> int:
        """Full stated cost above the lower bound; 0 proves the plan itself optimal, splits included."""
        return self.plan.cost_cents - self.lower_bound_cents


def route_batch(
    demands: Sequence[Demand], offers: Sequence[OfferStock], parameters: CostParameters | None = None
) -> Assignment:
    """Route a batch together: as many units as can be, at the lowest linear cost.

    Args:
        demands: Lines to route, in any order.
        offers: Offers with the stock that may be promised.
        parameters: Penalties and ways; None takes the defaults.

    Returns:
        The plan, the same for the same input, and its proof. It never routes fewer units than the greedy
        router, and never costs more for as many.

    Raises:
        InvalidRoutingInputError: A line or an offer stands twice, or the amounts leave exact arithmetic.
        RoutingSolverError: The solver failed or answered with an impossible flow.
    """
    parameters = parameters or CostParameters()
    require_unique(demands, offers)
    network = build_network(demands, offers, parameters)
    flow = solve(network)
    cost = flow_cost(network, flow)
    bound = dual_bound(network, shadow_prices(network, flow))
    plan = _plan(network, flow, offers, parameters)
    if plan.cost_cents + network.overflow_cents * plan.short_qty > bound:
        # Splits and smallest orders are outside the flow: where they decide, greedy can be the better one.
        greedy = route_greedy(demands, offers, parameters)
        plan = min(plan, greedy, key=lambda one: (one.short_qty, one.cost_cents))
    return Assignment(
        plan=plan,
        is_optimal=flow.is_optimal,
        is_proven_optimal=cost == bound,
        flow_cost_cents=cost,
        dual_bound_cents=bound,
        lower_bound_cents=max(0, bound - network.overflow_cents * plan.short_qty),
    )


def _plan(
    network: FlowNetwork, flow: Flow, offers: Sequence[OfferStock], parameters: CostParameters
) -> RoutingPlan:
    """The flow as allocations, split lines put together where that pays."""
    by_sku = offers_by_sku(offers)
    stock: dict[Key, int] = {(offer.supplier_id, offer.sku_id): offer.available_qty for offer in offers}
    parts_of: list[Parts] = [[] for _ in network.lines]
    for arc in np.flatnonzero(flow.units).tolist():
        offer, units = network.offers[network.arc_offer[arc]], int(flow.units[arc])
        stock[offer.supplier_id, offer.sku_id] -= units
        parts_of[network.arc_line[arc]].append((offer, units))
    lines_of: dict[str, list[int]] = defaultdict(list)
    for place, line in enumerate(network.lines):
        lines_of[line.sku_id].append(place)
    for sku, places in lines_of.items():
        lines = {place: network.lines[place] for place in places}
        parts = {place: parts_of[place] for place in places}
        consolidation = Consolidation(lines, parts, by_sku.get(sku, []), stock, parameters)
        consolidation.run()
        for place, final in consolidation.parts_of.items():
            parts_of[place] = final
    allocations: list[Allocation] = []
    unroutable: list[Unroutable] = []
    pairs = zip(network.lines, parts_of, strict=True)
    for demand, final in sorted(pairs, key=lambda pair: (pair[0].order_id, pair[0].line_no)):
        allocations.extend(allocations_of(demand, final, parameters))
        missing = shortage(demand, final, by_sku.get(demand.sku_id, []), stock)
        if missing is not None:
            unroutable.append(missing)
    return RoutingPlan(tuple(allocations), tuple(unroutable))
