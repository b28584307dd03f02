"""A bound on the full stated cost, splits and smallest orders included, computed without a solver.

The stock of the offers is priced at any v >= 0 and its limits are dropped between lines (a Lagrangian
relaxation); within one line they stay: no part above the offer's stock or below its smallest order, and each
part after the first pays the split penalty; only that two parts may be of one offer. What is left falls
apart into the lines, each the cheapest way to cut its quantity into parts:
sum over lines of min over cuts of (parts x (unit cost + v) + penalties) - sum over offers of stock x v.
It holds for every v >= 0. It is searched for per sku by subgradient steps: dearer where the lines ask for
more than the stock, cheaper where they leave some.

Source: M. Held and R. M. Karp, The traveling-salesman problem and minimum spanning trees: part II,
Mathematical Programming 1 (1971); step lengths after B. T. Polyak, Minimization of unsmooth functionals
(1969).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from serving.orders.routing.alike import AlikeLines
from serving.orders.routing.flow_network import Ints

MOST_UNITS_CUT = 6
"""Largest line whose cuts are looked at one by one. A larger one is bounded as if it could be cut for
nothing."""
ROUNDS = 80
"""Subgradient steps; on 50,000 lines the last twenty add less than 0.002% to the bound."""
PATIENCE = 5
"""Steps without a better bound of a sku before its step length is halved."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Penalties:
    """What stands beside the prices of units, in cents.

    Attributes:
        split_cents: For each part of a line after its first.
        overflow_cents: For each unit without a supplier.
    """

    split_cents: int
    overflow_cents: int

    def of_cut(self, cut: tuple[int, ...], qty: int) -> int:
        """What a cut of a line of `qty` units costs beside the prices of its units."""
        return self.split_cents * max(0, len(cut) - 1) + self.overflow_cents * (qty - sum(cut))


@lru_cache
def cuts(qty: int) -> tuple[tuple[int, ...], ...]:
    """Every way to cut a line into parts, larger part first; what is missing to `qty` is short.

    Args:
        qty: Units of the line.
    """

    def of(total: int, largest: int) -> list[tuple[int, ...]]:
        if not total:
            return [()]
        return [
            (part, *rest) for part in range(min(total, largest), 0, -1) for rest in of(total - part, part)
        ]

    return tuple(cut for total in range(qty, -1, -1) for cut in of(total, total))


class SplitRelaxation:
    """The relaxed problem of one batch: what lines cost when the stock has a price instead of a limit.

    Attributes:
        alike: The lines.
        penalties: Of splits and of units that are short.
    """

    def __init__(self, alike: AlikeLines, penalties: Penalties) -> None:
        self.alike = alike
        self.penalties = penalties
        self.largest = min(MOST_UNITS_CUT, int(alike.qty.max(initial=0)))
        self._count = alike.count
        self._kinds, self._starts = np.unique(alike.arc_kind, return_index=True)
        self._kinds_of_qty = {qty: np.flatnonzero(alike.qty == qty) for qty in np.unique(alike.qty).tolist()}
        # Size 0 stands for a unit of a line that may be cut freely.
        self.ships = [np.ones(len(alike.arc_kind), dtype=bool)] + [
            (alike.arc_least <= size) & (size <= alike.arc_most) for size in range(1, self.largest + 1)
        ]

    def unit_cents(self, price: npt.NDArray) -> npt.NDArray:
        """The lowest price of a unit in parts of each size, sizes x kinds; at most that of a unit short.

        A size that no offer ships costs as much as its units short, so no cut gains by it.

        Args:
            price: Price of a unit of stock of each offer, 0 or more; integers give an exact bound.
        """
        alike, short = self.alike, self.penalties.overflow_cents
        unit = alike.arc_cents + price[alike.arc_offer]
        lowest = np.full((len(self.ships), len(alike.qty)), short, dtype=price.dtype)
        if len(unit):
            for size, ships in enumerate(self.ships):
                offered = np.where(ships, unit, short)
                lowest[size, self._kinds] = np.minimum.reduceat(offered, self._starts)
        return np.minimum(lowest, short)

    def cut_cents(self, cut: tuple[int, ...], kinds: Ints, unit_cents: npt.NDArray) -> npt.NDArray:
        """What a line of each of `kinds`, all of one quantity, costs when it is cut like that."""
        cents = np.full(
            len(kinds), self.penalties.of_cut(cut, int(self.alike.qty[kinds[0]])), unit_cents.dtype
        )
        for size in cut:
            cents += size * unit_cents[size, kinds]
        return cents

    def kinds_to_cut(self) -> list[tuple[int, Ints]]:
        """Quantities up to `MOST_UNITS_CUT` and their kinds."""
        return [(qty, kinds) for qty, kinds in self._kinds_of_qty.items() if qty <= MOST_UNITS_CUT]

    def cheapest_cuts(self, unit_cents: npt.NDArray) -> tuple[npt.NDArray, npt.NDArray]:
        """The cheapest cut of a line of each kind.

        Returns:
            Its cents, and how many parts of each size it has, sizes x kinds.
        """
        best = np.zeros(len(self.alike.qty), dtype=unit_cents.dtype)
        parts = np.zeros((len(self.ships), len(self.alike.qty)), dtype=np.int64)
        for qty, kinds in self._kinds_of_qty.items():
            if qty > MOST_UNITS_CUT:
                best[kinds], parts[0, kinds] = qty * unit_cents[0, kinds], qty
                continue
            of = cuts(qty)
            prices = np.array([self.cut_cents(cut, kinds, unit_cents) for cut in of])
            chosen = prices.argmin(axis=0)
            best[kinds] = prices[chosen, np.arange(len(kinds))]
            sizes = np.array([[cut.count(size) for size in range(len(self.ships))] for cut in of])
            parts[:, kinds] = sizes[chosen].T
        return best, parts

    def bound(self, price: npt.NDArray) -> npt.NDArray:
        """Lower bound on the full stated cost of each sku, units short at the overflow price.

        Args:
            price: Price of a unit of stock of each offer.

        Raises:
            ValueError: A price is negative; the bound would not hold.
        """
        if (price < 0).any():
            raise ValueError("prices of stock must be 0 or more, else the bound does not hold")
        best, _ = self.cheapest_cuts(self.unit_cents(price))
        return self._by_sku(best, price)

    def raise_prices(self, price: Ints, known: Ints) -> Ints:
        """Look for prices with a higher bound.

        Args:
            price: Where to begin.
            known: Full cost of a plan of each sku: sets the step lengths, no bound can be above it.

        Returns:
            Prices in whole cents, 0 or more.
        """
        skus, offer_sku = self.alike.skus, self.alike.offer_sku
        now = price.astype(np.float64)
        best, best_bound = now.copy(), np.full(skus, -np.inf)
        length, idle = np.ones(skus), np.zeros(skus, dtype=np.int64)
        for _ in range(ROUNDS):
            unit_cents = self.unit_cents(now)
            lines, parts = self.cheapest_cuts(unit_cents)
            bound = self._by_sku(lines, now)
            better = bound > best_bound
            best_bound = np.maximum(bound, best_bound)
            best = np.where(np.append(better, False)[offer_sku], now, best)
            idle = np.where(better, 0, idle + 1)
            length = np.where(idle > PATIENCE, length / 2, length)
            idle[idle > PATIENCE] = 0
            excess = self._asked(parts, unit_cents, now) - self.alike.stock
            excess[(now <= 0) & (excess < 0)] = 0
            square = np.bincount(offer_sku, excess * excess, minlength=skus + 1)[:skus]
            step = np.divide(length * (known - bound), square, out=np.zeros(skus), where=square > 0)
            now = np.clip(now + np.append(step, 0)[offer_sku] * excess, 0, self.penalties.overflow_cents)
        return np.rint(best).astype(np.int64)

    def _asked(self, parts: Ints, unit_cents: Numbers, price: Numbers) -> Numbers:
        """Units that the lines ask of each offer at these prices; where offers tie, each gets its share."""
        alike = self.alike
        asked = np.zeros(len(alike.stock))
        unit = alike.arc_cents + price[alike.arc_offer]
        for size, ships in enumerate(self.ships):
            arcs = np.flatnonzero(
                ships & (unit <= unit_cents[size, alike.arc_kind]) & (parts[size, alike.arc_kind] > 0)
            )
            kinds = alike.arc_kind[arcs]
            ties = np.bincount(kinds, minlength=len(alike.qty))[kinds]
            units = (parts[size] * self._count * max(1, size))[kinds] / ties
            asked += np.bincount(alike.arc_offer[arcs], units, minlength=len(asked))
        return asked

    def _by_sku(self, lines: npt.NDArray, price: npt.NDArray) -> npt.NDArray:
        """Cents of one line of each kind and the price of the stock, as a bound for each sku."""
        bound = np.zeros(self.alike.skus + 1, dtype=price.dtype)
        np.add.at(bound, self.alike.sku, lines * self._count)
        np.subtract.at(bound, self.alike.offer_sku, self.alike.stock * price)
        return bound[:-1]
