"""The min-cost flow of routing as arrays, and its solution by OR-Tools. Splits are not known here.

Line nodes send their units over arcs to the offers of their sku, offers send them to the sink up to their
stock, and a priced overflow node takes what has no supplier. The price of an arc is the linear stated cost of
one unit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from serving.orders.routing.contracts import (
    CostParameters,
    Demand,
    InvalidRoutingInputError,
    OfferStock,
    RoutingSolverError,
)
from serving.orders.routing.cost import unit_cents

Ints = npt.NDArray[np.int64]

LARGEST_TOTAL = 2**61
"""Bound on units x price x offers of a sku of a batch, so that no int64 sum overflows."""


@dataclass(frozen=True, slots=True)
class FlowNetwork:
    """Lines against offers.

    Attributes:
        lines: The demands, by sku, order and line; row numbers below are places in it.
        offers: The offers that can ship anything, by sku and supplier; likewise.
        arc_line: Line of each arc, ascending.
        arc_offer: Offer of each arc.
        arc_cents: Linear stated cost of one unit over each arc.
        qty: Units of each line.
        stock: Units of each offer.
        overflow_cents: Price of a unit without a supplier: so high that routing a unit always pays.
        widest: Largest number of offers of one sku.
    """

    lines: Sequence[Demand]
    offers: Sequence[OfferStock]
    arc_line: Ints
    arc_offer: Ints
    arc_cents: Ints
    qty: Ints
    stock: Ints
    overflow_cents: int
    widest: int


@dataclass(frozen=True, slots=True)
class Flow:
    """A solution of a network.

    Attributes:
        units: Units over each arc.
        overflow: Units of each line without a supplier.
        is_optimal: The solver says that the flow is optimal.
    """

    units: Ints
    overflow: Ints
    is_optimal: bool


def build_network(
    demands: Sequence[Demand], offers: Sequence[OfferStock], parameters: CostParameters
) -> FlowNetwork:
    """Lay out the arcs of a batch; a line has no arc to an offer whose smallest order is above its quantity.

    Raises:
        InvalidRoutingInputError: Units x prices of the batch leave the range of exact arithmetic.
    """
    lines = sorted(demands, key=lambda line: (line.sku_id, line.order_id, line.line_no))
    useful = sorted(
        (offer for offer in offers if offer.available_qty >= offer.min_order_qty),
        key=lambda offer: (offer.sku_id, offer.supplier_id),
    )
    offers_of: dict[str, list[int]] = defaultdict(list)
    for place, offer in enumerate(useful):
        offers_of[offer.sku_id].append(place)
    lines_of: dict[str, list[int]] = defaultdict(list)
    for place, line in enumerate(lines):
        lines_of[line.sku_id].append(place)
    qty = np.array([line.qty for line in lines], dtype=np.int64)
    stock = np.array([offer.available_qty for offer in useful], dtype=np.int64)
    smallest = np.array([offer.min_order_qty for offer in useful], dtype=np.int64)
    blocks = []
    for sku, line_places in lines_of.items():
        if sku not in offers_of:
            continue
        rows, columns = np.array(line_places, dtype=np.int64), np.array(offers_of[sku], dtype=np.int64)
        cents = _sku_costs([lines[place] for place in line_places], [useful[c] for c in columns], parameters)
        allowed = qty[rows][:, None] >= smallest[columns][None, :]
        row, column = np.nonzero(allowed)
        blocks.append((rows[row], columns[column], cents[row, column]))
    empty = np.zeros(0, dtype=np.int64)
    arc_line, arc_offer, arc_cents = (
        (np.concatenate(parts) for parts in zip(*blocks, strict=True)) if blocks else (empty, empty, empty)
    )
    widest = max((len(places) for places in offers_of.values()), default=0)
    # Routing one unit more moves at most one unit at each offer of its sku, so it adds at most widest x
    # dearest, and may split as many lines.
    overflow_cents = widest * (int(arc_cents.max(initial=0)) + parameters.split_penalty_cents) + 1
    if sum(line.qty for line in lines) * overflow_cents * max(1, widest) > LARGEST_TOTAL:
        raise InvalidRoutingInputError(
            f"a batch of {len(lines)} lines at an overflow price of {overflow_cents} cents leaves the range "
            "of exact arithmetic; route fewer lines at once or check the unit of the prices"
        )
    return FlowNetwork(lines, useful, arc_line, arc_offer, arc_cents, qty, stock, overflow_cents, widest)


def _sku_costs(lines: Sequence[Demand], offers: Sequence[OfferStock], parameters: CostParameters) -> Ints:
    """Unit costs, lines x offers; each region is priced once."""
    regions = {region: row for row, region in enumerate(dict.fromkeys(line.to_region for line in lines))}
    prices = np.array(
        [[unit_cents(offer, region, parameters) for offer in offers] for region in regions],
        dtype=np.int64,
    )
    return prices[[regions[line.to_region] for line in lines]]


def solve(network: FlowNetwork) -> Flow:
    """Solve the network with OR-Tools' cost-scaling min-cost flow.

    Raises:
        RoutingSolverError: The solver ends with another status than optimal or feasible, or its flow breaks a
            limit.
    """
    # Only batches need the solver; a process that routes single orders does not load it.
    from ortools.graph.python.min_cost_flow import SimpleMinCostFlow

    lines, offers, arcs = len(network.qty), len(network.stock), len(network.arc_cents)
    overflow, sink = lines + offers, lines + offers + 1
    total = int(network.qty.sum())
    line_nodes, offer_nodes = np.arange(lines), lines + np.arange(offers)
    tails = np.concatenate([network.arc_line, line_nodes, offer_nodes, [overflow]])
    heads = np.concatenate([lines + network.arc_offer, np.full(lines, overflow), np.full(offers + 1, sink)])
    capacities = np.concatenate([network.qty[network.arc_line], network.qty, network.stock, [total]])
    cents = np.concatenate(
        [network.arc_cents, np.full(lines, network.overflow_cents), np.zeros(offers + 1, dtype=np.int64)]
    )
    solver = SimpleMinCostFlow()
    solver.add_arcs_with_capacity_and_unit_cost(
        tails.astype(np.int32), heads.astype(np.int32), capacities.astype(np.int64), cents.astype(np.int64)
    )
    nodes = np.append(line_nodes, sink).astype(np.int32)
    solver.set_nodes_supplies(nodes, np.append(network.qty, -total).astype(np.int64))
    status = solver.solve()
    if status not in (solver.OPTIMAL, solver.FEASIBLE):
        raise RoutingSolverError(
            f"min-cost flow of {lines} lines and {offers} offers ended as {status.name}; "
            "route fewer lines at once"
        )
    flows = np.asarray(solver.flows(np.arange(arcs + lines, dtype=np.int32)), dtype=np.int64)
    flow = Flow(flows[:arcs], flows[arcs:], status == solver.OPTIMAL)
    require_feasible(network, flow)
    return flow


def require_feasible(network: FlowNetwork, flow: Flow) -> None:
    """Check a flow against the network without trusting the solver.

    Raises:
        RoutingSolverError: Negative units, a line that gets more or less than it asks, an offer beyond its
            stock.
    """
    if (flow.units < 0).any() or (flow.overflow < 0).any():
        raise RoutingSolverError("the flow has negative units")
    shipped = np.zeros_like(network.qty)
    np.add.at(shipped, network.arc_line, flow.units)
    wrong = np.flatnonzero(shipped + flow.overflow != network.qty)
    if wrong.size:
        line = network.lines[int(wrong[0])]
        raise RoutingSolverError(f"the flow does not add up at order {line.order_id!r} line {line.line_no}")
    taken = np.zeros_like(network.stock)
    np.add.at(taken, network.arc_offer, flow.units)
    over = np.flatnonzero(taken > network.stock)
    if over.size:
        offer = network.offers[int(over[0])]
        raise RoutingSolverError(
            f"the flow oversells supplier {offer.supplier_id!r} for sku {offer.sku_id!r}: "
            f"{taken[over[0]]} of {network.stock[over[0]]} units"
        )
