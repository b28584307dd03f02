"""The best plan of one sku, splits and smallest orders included, as a small integer program.

Only what a better plan could contain is in it: a part or a cut whose reduced cost alone lifts the bound to
the cost of the known plan cannot be in a plan that is better (reduced-cost fixing). What is left is small: a
few dozen variables.

Source: G. L. Nemhauser and L. A. Wolsey, Integer and Combinatorial Optimization (1988), section II.5.2.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from serving.orders.routing.flow_network import Ints
from serving.orders.routing.split_bound import SplitRelaxation, cuts

MOST_NODES = 2_000
"""Nodes of the search of one sku; a count and no clock, so that the same batch gives the same plan."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What may stand in a better plan.

    Attributes:
        kind: Kind of lines of each choice.
        offer: Offer that ships the part; -1 where the choice is a cut.
        size: Units of the part; of a cut its number among `cuts`.
        cents: Cost of the part at its offer, or the penalties of the cut.
        sku: Sku of each choice, ascending.
    """

    kind: Ints
    offer: Ints
    size: Ints
    cents: Ints
    sku: Ints


def choices(relaxation: SplitRelaxation, price: Ints, room: Ints) -> Choices:
    """The parts and cuts that a better plan could contain, and those of the known plan.

    Args:
        relaxation: The lines.
        price: Prices of stock whose bound is used.
        room: For each sku, cost of the known plan above the bound at these prices, in cents.
    """
    alike = relaxation.alike
    unit_cents = relaxation.unit_cents(price)
    best, _ = relaxation.cheapest_cuts(unit_cents)
    kind_room = room[alike.sku] + best
    # The cheapest cut of each kind that has a part of each size, without that part.
    beyond = relaxation.penalties.overflow_cents * (alike.qty.max(initial=0) + 1) + room.max(initial=0)
    rest = np.full((len(relaxation.ships), len(alike.qty)), beyond, dtype=np.int64)
    found: list[tuple[Ints, ...]] = []
    for qty, kinds in relaxation.kinds_to_cut():
        for number, cut in enumerate(cuts(qty)):
            price_of_cut = relaxation.cut_cents(cut, kinds, unit_cents)
            for size in set(cut):
                rest[size, kinds] = np.minimum(
                    rest[size, kinds], price_of_cut - size * unit_cents[size, kinds]
                )
            kept = kinds[price_of_cut <= kind_room[kinds]]
            fixed = relaxation.penalties.of_cut(cut, qty)
            found.append(
                (kept, np.full_like(kept, -1), np.full_like(kept, number), np.full_like(kept, fixed))
            )
    stocked = alike.arc_cents + price[alike.arc_offer]
    for size in range(1, len(relaxation.ships)):
        fits = size * stocked + rest[size, alike.arc_kind] <= kind_room[alike.arc_kind]
        arcs = np.flatnonzero(relaxation.ships[size] & fits)
        found.append(
            (
                alike.arc_kind[arcs],
                alike.arc_offer[arcs],
                np.full_like(arcs, size),
                size * alike.arc_cents[arcs],
            )
        )
    columns = [np.concatenate(column) for column in zip(*found, strict=True)]
    by_sku = np.argsort(alike.sku[columns[0]], kind="stable")
    kind, offer, units, cents = (column[by_sku] for column in columns)
    return Choices(kind, offer, units, cents, alike.sku[kind])


def best_lines(
    relaxation: SplitRelaxation, choices: Choices, stock: Ints, known: Mapping[int, int]
) -> Iterator[tuple[int, dict[int, list[tuple[int, int]]] | None]]:
    """Solve one sku after the other.

    Args:
        relaxation: The lines.
        choices: What may stand in a better plan.
        stock: Units of each offer that these lines may use.
        known: Skus in the order to solve, and what the known plan of their lines costs, to be beaten.

    Yields:
        Sku and, where a better plan was found, offer and units of each part by the place of the line in the
        network.
    """
    begins = np.searchsorted(choices.sku, list(known))
    ends = np.searchsorted(choices.sku, list(known), side="right")
    for sku, begin, end in zip(known, begins.tolist(), ends.tolist(), strict=True):
        own = slice(begin, end)
        program = _Program(
            relaxation, choices.kind[own], choices.offer[own], choices.size[own], choices.cents[own]
        )
        chosen = program.solve(stock, known[sku])
        yield sku, None if chosen is None else program.lines(chosen)


class _Program:
    """The integer program of one sku: how many lines of a kind are cut how, how many parts an offer ships."""

    def __init__(self, relaxation: SplitRelaxation, kind: Ints, offer: Ints, size: Ints, cents: Ints) -> None:
        self._alike, self._largest = relaxation.alike, relaxation.largest
        self._kind, self._offer, self._size, self._cents = kind, offer, size, cents
        self._is_cut = offer < 0

    def solve(self, stock: Ints, known: int) -> Ints | None:
        """How often each choice is taken in the plan found; None if it does not cost less than `known`."""
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array

        if not len(self._kind):
            return None
        rows, columns, values, low, high = self._limits(stock)
        answer = milp(
            self._cents,
            constraints=LinearConstraint(
                csr_array((values, (rows, columns)), shape=(len(low), len(self._kind))), low, high
            ),
            integrality=np.ones(len(self._kind)),
            bounds=Bounds(0, np.inf),
            options={"node_limit": MOST_NODES, "mip_rel_gap": 0},
        )
        if answer.x is None:
            return None
        chosen = np.rint(answer.x).astype(np.int64)
        sums = np.zeros(len(low), dtype=np.int64)
        np.add.at(sums, rows, values * chosen[columns])
        holds = ((low <= sums) & (sums <= high)).all() and (chosen >= 0).all()
        return chosen if holds and int(self._cents @ chosen) < known else None

    def _limits(self, stock: Ints) -> tuple[Ints, Ints, Ints, npt.NDArray, npt.NDArray]:
        """Rows, columns and values of the limits, and the least and most of each row."""
        alike = self._alike
        cut_at, part_at = np.flatnonzero(self._is_cut), np.flatnonzero(~self._is_cut)
        offers, stock_row = np.unique(self._offer[part_at], return_inverse=True)
        kinds, kind_row = np.unique(self._kind, return_inverse=True)
        # One row a kind: each line has one cut. One row a kind and size: as many parts as its cuts need.
        first_kind = len(offers)
        first_size = first_kind + len(kinds)
        needs = [
            (place, size, count)
            for place in cut_at.tolist()
            for size, count in _sizes(int(alike.qty[self._kind[place]]), int(self._size[place]))
        ]
        need_at, need_size, need_count = np.array(needs, dtype=np.int64).reshape(-1, 3).T
        rows = [
            stock_row,
            first_kind + kind_row[cut_at],
            first_size + kind_row[part_at] * self._largest + self._size[part_at] - 1,
            first_size + kind_row[need_at] * self._largest + need_size - 1,
        ]
        columns = [part_at, cut_at, part_at, need_at]
        values = [self._size[part_at], np.ones_like(cut_at), np.ones_like(part_at), -need_count]
        lines = np.array([len(alike.members[kind]) for kind in kinds.tolist()], dtype=np.int64)
        none = np.zeros(len(kinds) * self._largest, dtype=np.int64)
        low = np.concatenate([np.zeros(len(offers), dtype=np.int64), lines, none])
        high = np.concatenate([stock[offers], lines, none])
        return np.concatenate(rows), np.concatenate(columns), np.concatenate(values), low, high

    def lines(self, chosen: Ints) -> dict[int, list[tuple[int, int]]]:
        """The parts of each line; two parts of one line from one offer become one, which only saves."""
        parts: dict[tuple[int, int], list[int]] = defaultdict(list)
        taken = np.flatnonzero((chosen > 0) & ~self._is_cut).tolist()
        for place in taken:
            key = int(self._kind[place]), int(self._size[place])
            parts[key] += [int(self._offer[place])] * int(chosen[place])
        lines: dict[int, list[tuple[int, int]]] = {}
        waiting = {kind: list(reversed(self._alike.members[kind])) for kind in set(self._kind.tolist())}
        for place in np.flatnonzero((chosen > 0) & self._is_cut).tolist():
            kind = int(self._kind[place])
            sizes = cuts(int(self._alike.qty[kind]))[int(self._size[place])]
            for _ in range(int(chosen[place])):
                units: Counter[int] = Counter()
                for size in sizes:
                    units[parts[kind, size].pop()] += size
                lines[waiting[kind].pop()] = sorted(units.items())
        return lines


@lru_cache
def _sizes(qty: int, number: int) -> tuple[tuple[int, int], ...]:
    """Sizes of the parts of a cut and how many there are of each."""
    return tuple(sorted(Counter(cuts(qty)[number]).items()))
