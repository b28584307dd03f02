"""Transfers of one sku between warehouses of its supplier: the min-cost flow from spare units to shortages.

A warehouse spares what it has beyond `keep_days` of its own demand. Another one can sell, within the horizon,
what its demand asks for beyond what it has; of that, units that come later can serve only what is left then:
a shortage is a chain of caps by arrival, and the whole a flow whose vertices are whole units. A unit earns
what it saves against being sent to the buyers there from where it lies, less what its way costs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.errors import ModelError
from models.supply.transfers.config import TransferConfig


@dataclass(frozen=True, slots=True)
class Shelf:
    """Units of a sku in a warehouse.

    Attributes:
        warehouse_id: The warehouse.
        free_qty: Units that nothing reserves.
        inbound_qty: Units on their way to it.
        units_per_day: Demand that it is the nearest warehouse to.
    """

    warehouse_id: str
    free_qty: int
    inbound_qty: int
    units_per_day: float

    @property
    def cover_days(self) -> float | None:
        """Days that its units last; None where nobody asks for any."""
        return (self.free_qty + self.inbound_qty) / self.units_per_day if self.units_per_day else None


@dataclass(frozen=True, slots=True)
class Way:
    """From one warehouse to another.

    Attributes:
        days: Until units that leave now can be sold there.
        cost_cents: Of a unit, fen.
        saved_cents: What a unit that is sold there costs less than one sent to its buyer from here, fen.
    """

    days: int
    cost_cents: int
    saved_cents: int

    @property
    def gain_cents(self) -> int:
        """What moving a unit is worth, fen."""
        return self.saved_cents - self.cost_cents


@dataclass(frozen=True, slots=True)
class Transfer:
    """Units that should go to another warehouse.

    Attributes:
        from_warehouse_id: Where they lie.
        to_warehouse_id: Where they are missing.
        qty: Units.
        days: Of the way.
        cost_cents: What it costs, fen.
        saved_cents: What it saves, fen.
    """

    from_warehouse_id: str
    to_warehouse_id: str
    qty: int
    days: int
    cost_cents: int
    saved_cents: int


def spare_of(shelf: Shelf, config: TransferConfig) -> int:
    """Units that a warehouse can give away.

    >>> spare_of(Shelf("w", 100, 50, 2.5), TransferConfig(keep_days=14))
    65
    """
    return max(0, shelf.free_qty - math.ceil(shelf.units_per_day * config.keep_days))


def useful_of(shelf: Shelf, days: int, config: TransferConfig) -> int:
    """Units that a warehouse can still sell within the horizon of those that come after so many days.

    >>> thin = Shelf("w", 10, 0, 2.0)  # lasts 5 days
    >>> [useful_of(thin, days, TransferConfig(horizon_days=14)) for days in (0, 5, 8, 14)]
    [18, 18, 12, 0]
    """
    covered = max(shelf.free_qty + shelf.inbound_qty, shelf.units_per_day * days)
    return max(0, math.floor(shelf.units_per_day * config.horizon_days - covered + 1e-9))


def suggest(
    shelves: Sequence[Shelf], ways: Mapping[tuple[str, str], Way], config: TransferConfig
) -> list[Transfer]:
    """The transfers that are worth most together; those that do not pay their trip are left out.

    Args:
        shelves: Warehouses of one sku of one supplier, each once.
        ways: By (from, to); what has no way, or no gain by it, is not moved.
        config: Settings.

    Returns:
        By warehouses.

    Raises:
        ModelError: The solver did not end with a plan.
    """
    by_id = {shelf.warehouse_id: shelf for shelf in shelves}
    arcs = [
        (pair, way)
        for pair, way in sorted(ways.items())
        if way.gain_cents > 0
        and pair[0] != pair[1]
        and spare_of(by_id[pair[0]], config)
        and useful_of(by_id[pair[1]], way.days, config)
    ]
    units = _flow(by_id, arcs, config)
    found = [
        Transfer(*pair, qty, way.days, qty * way.cost_cents, qty * way.saved_cents)
        for (pair, way), qty in zip(arcs, units, strict=True)
        if qty
    ]
    return [one for one in found if one.saved_cents - one.cost_cents >= config.least_cents]


def _flow(
    by_id: Mapping[str, Shelf], arcs: Sequence[tuple[tuple[str, str], Way]], config: TransferConfig
) -> list[int]:
    """Units of each arc in the flow of the largest gain."""
    from ortools.graph.python.min_cost_flow import SimpleMinCostFlow

    if not arcs:
        return []
    flow = SimpleMinCostFlow()
    source, sink = 0, 1
    givers = {name: n for n, name in enumerate(sorted({pair[0] for pair, _ in arcs}), start=2)}
    # A node for each warehouse and arrival: what comes later flows through the caps of what comes sooner.
    arrivals = sorted({(pair[1], way.days) for pair, way in arcs})
    takers = {arrival: n for n, arrival in enumerate(arrivals, start=2 + len(givers))}
    total = 0
    for name, node in givers.items():
        spare = spare_of(by_id[name], config)
        total += spare
        flow.add_arc_with_capacity_and_unit_cost(source, node, spare, 0)
    for before, (name, days) in zip([None, *arrivals[:-1]], arrivals, strict=True):
        sooner = sink if before is None or before[0] != name else takers[before]
        cap = useful_of(by_id[name], days, config)
        flow.add_arc_with_capacity_and_unit_cost(takers[name, days], sooner, cap, 0)
    moves = [
        flow.add_arc_with_capacity_and_unit_cost(
            givers[pair[0]],
            takers[pair[1], way.days],
            min(spare_of(by_id[pair[0]], config), useful_of(by_id[pair[1]], way.days, config)),
            -way.gain_cents,
        )
        for pair, way in arcs
    ]
    # Units that go nowhere.
    flow.add_arc_with_capacity_and_unit_cost(source, sink, total, 0)
    flow.set_node_supply(source, total)
    flow.set_node_supply(sink, -total)
    status = flow.solve()
    if status != flow.OPTIMAL:
        raise ModelError(f"the flow of transfers ended with {status}")
    return [int(flow.flow(arc)) for arc in moves]
