"""The exact router of batches: min-cost flow, then splits, then a proof of the full stated cost.

What the flow prices exactly: supply price, freight and lateness, which are linear in the units. What it does
not: the split penalty (a fixed amount for each further supplier of a line) and the smallest order of a part
of a split line. Both make the problem NP-hard. So the flow is solved without them and split lines are put
together where that pays. A bound that knows splits then says how far each sku can be from its best plan, and
the skus farthest from theirs are solved anew, splits included, until the batch is close enough.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from serving.orders.routing.alike import alike_lines
from serving.orders.routing.certificate import dual_bound, flow_cost, shadow_prices
from serving.orders.routing.consolidation import Consolidation
from serving.orders.routing.contracts import (
    CostParameters,
    Demand,
    OfferStock,
    RoutingPlan,
    require_unique,
)
from serving.orders.routing.cost import parts_cost
from serving.orders.routing.flow_network import Flow, FlowNetwork, Ints, build_network, solve
from serving.orders.routing.greedy import Key, Parts, greedy_parts, offers_by_sku, plan_of
from serving.orders.routing.split_bound import MOST_UNITS_CUT, Penalties, SplitRelaxation
from serving.orders.routing.together import best_lines, choices

CLOSE_ENOUGH = 0.0025
"""Share of its bound that a batch may cost above it before the search for better plans ends. Assumed."""


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
        lower_bound_cents: No plan with as few units short as `plan` has a lower stated cost, splits and
            smallest orders included; computed in integers without a solver.
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

    @property
    def gap_to_bound(self) -> float:
        """`gap_cents` as a share of the bound; 0 where both are 0."""
        return (
            self.gap_cents / self.lower_bound_cents if self.lower_bound_cents else float(self.gap_cents > 0)
        )


def route_batch(
    demands: Sequence[Demand],
    offers: Sequence[OfferStock],
    parameters: CostParameters | None = None,
    *,
    close_enough: float = CLOSE_ENOUGH,
) -> Assignment:
    """Route a batch together: as many units as can be, at the lowest full stated cost that is found.

    Args:
        demands: Lines to route, in any order.
        offers: Offers with the stock that may be promised.
        parameters: Penalties and ways; None takes the defaults.
        close_enough: Share above the bound at which the search for better plans ends; 0 searches on until
            every sku is solved.

    Returns:
        The plan, the same for the same input, and its proof. For no sku does it route fewer units than the
        greedy router, nor cost more for as many.

    Raises:
        InvalidRoutingInputError: A line or an offer stands twice, or the amounts leave exact arithmetic.
        RoutingSolverError: The solver failed or answered with an impossible flow.
    """
    parameters = parameters or CostParameters()
    require_unique(demands, offers)
    network = build_network(demands, offers, parameters)
    flow = solve(network)
    price = shadow_prices(network, flow)
    batch = _Batch(network, parameters, _consolidated(network, flow, offers, parameters))
    bound = batch.relaxation.bound(price)
    batch.take_where_better(greedy_parts(network.lines, offers, parameters))
    bound = batch.improve(price, bound, close_enough)
    plan = plan_of(network.lines, batch.parts_of, offers, parameters)
    return Assignment(
        plan=plan,
        is_optimal=flow.is_optimal,
        is_proven_optimal=flow_cost(network, flow) == dual_bound(network, price),
        flow_cost_cents=flow_cost(network, flow),
        dual_bound_cents=dual_bound(network, price),
        lower_bound_cents=max(0, int(bound.sum()) - network.overflow_cents * plan.short_qty),
    )


class _Batch:
    """The plan as it stands, by sku; only ever replaced by a better one.

    Attributes:
        parts_of: Parts of each line of the network.
        relaxation: The bound of its skus.
    """

    def __init__(self, network: FlowNetwork, parameters: CostParameters, parts_of: list[Parts]) -> None:
        self.parts_of = parts_of
        self._network, self._parameters = network, parameters
        alike = alike_lines(network)
        self.relaxation = SplitRelaxation(
            alike, Penalties(parameters.split_penalty_cents, network.overflow_cents)
        )
        self._lines_of: list[list[int]] = [[] for _ in range(alike.skus)]
        for sku, places in zip(alike.sku.tolist(), alike.members, strict=True):
            self._lines_of[sku] += places
        self._merits = [self._merit((place, parts_of[place]) for place in own) for own in self._lines_of]

    def take_where_better(self, parts_of: Sequence[Parts]) -> None:
        """Take the plan of each sku that has fewer units short, or costs less with as many."""
        for sku, own in enumerate(self._lines_of):
            self._take(sku, {place: parts_of[place] for place in own})

    def improve(self, price: Ints, bound: Ints, close_enough: float) -> Ints:
        """Raise the bound of the skus that are above theirs, then solve the farthest anew.

        Args:
            price: Prices of stock to begin with.
            bound: Their bound of each sku.
            close_enough: Share above the bound at which to end.

        Returns:
            The raised bound of each sku.
        """
        if self._is_close(bound, close_enough):
            return bound
        alike = self.relaxation.alike
        few = SplitRelaxation(alike.of(self._costs() > bound), self.relaxation.penalties)
        raised = few.raise_prices(price, self._costs())
        higher = np.append(self.relaxation.bound(raised) > bound, False)
        price = np.where(higher[alike.offer_sku], raised, price)
        bound = self.relaxation.bound(price)
        if self._is_close(bound, close_enough):
            return bound
        room = self._costs() - bound
        farthest = [sku for sku in np.argsort(-room, kind="stable").tolist() if room[sku] > 0]
        stock, known = self._for_small_lines()
        found = choices(few, price, room)
        for sku, lines in best_lines(few, found, stock, {sku: known[sku] for sku in farthest}):
            if lines is not None:
                offers = self._network.offers
                self._take(
                    sku,
                    {
                        place: [(offers[offer], units) for offer, units in parts]
                        for place, parts in lines.items()
                    },
                )
            if self._is_close(bound, close_enough):
                break
        return bound

    def _for_small_lines(self) -> tuple[Ints, list[int]]:
        """Stock beside the lines that are too large to be cut anew, and what the others cost, by sku."""
        number = {(offer.supplier_id, offer.sku_id): at for at, offer in enumerate(self._network.offers)}
        stock = self._network.stock.copy()
        known = self._costs().tolist()
        for sku, own in enumerate(self._lines_of):
            large = [place for place in own if self._network.lines[place].qty > MOST_UNITS_CUT]
            for offer, units in (part for place in large for part in self.parts_of[place]):
                stock[number[offer.supplier_id, offer.sku_id]] -= units
            known[sku] -= self._cost(self._merit((place, self.parts_of[place]) for place in large))
        return stock, known

    def _take(self, sku: int, parts_of: dict[int, Parts]) -> None:
        """Take these lines of a sku if the sku is better off with them; its other lines stay."""
        merit = self._merit(
            (place, parts_of.get(place, self.parts_of[place])) for place in self._lines_of[sku]
        )
        if merit < self._merits[sku]:
            self._merits[sku] = merit
            for place, parts in parts_of.items():
                self.parts_of[place] = parts

    def _merit(self, lines: Iterable[tuple[int, Parts]]) -> tuple[int, int]:
        """Units short, then full stated cost; smaller is better."""
        short = cost = 0
        for place, parts in lines:
            line = self._network.lines[place]
            short += line.qty - sum(units for _, units in parts)
            cost += parts_cost(line, parts, self._parameters)
        return short, cost

    def _cost(self, merit: tuple[int, int]) -> int:
        """Cost with units short at the overflow price."""
        short, cost = merit
        return cost + self._network.overflow_cents * short

    def _costs(self) -> Ints:
        return np.array([self._cost(merit) for merit in self._merits], dtype=np.int64)

    def _is_close(self, bound: Ints, close_enough: float) -> bool:
        total = int(bound.sum())
        return sum(map(self._cost, self._merits)) - total <= close_enough * total


def _consolidated(
    network: FlowNetwork, flow: Flow, offers: Sequence[OfferStock], parameters: CostParameters
) -> list[Parts]:
    """The flow as parts of each line, split lines put together where that pays."""
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
    return parts_of
