"""Puts split lines together again, which the flow cannot price. Nothing else of a plan changes.

A line gets fewer units by it only where a part is below its supplier's smallest order and no other stock is
left. Two moves, each taken only when the full stated cost of the lines that it touches falls:
route the line anew against the stock that is left, or swap: the line takes all its units from one of its
offers, and whole lines of that offer go to the offer that it leaves. At an optimal flow such a swap often
costs nothing but the split penalty that it saves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from serving.orders.routing.contracts import CostParameters, Demand, OfferStock
from serving.orders.routing.cost import parts_cost, unit_cents
from serving.orders.routing.greedy import Key, Parts, cheapest_first, route_line


class Consolidation:
    """The parts of every line of one sku, and the stock left; changed in place by its moves.

    Attributes:
        parts_of: Parts of each line, by place.
    """

    def __init__(
        self,
        lines: Mapping[int, Demand],
        parts_of: dict[int, Parts],
        candidates: Sequence[OfferStock],
        stock: dict[Key, int],
        parameters: CostParameters,
    ) -> None:
        self.parts_of = parts_of
        self._lines = lines
        self._candidates = candidates
        self._stock = stock
        self._parameters = parameters
        self._whole_at: dict[str, set[int]] = defaultdict(set)
        for place, parts in parts_of.items():
            self._note(place, parts)

    def run(self) -> None:
        """Try every line that is split or has a part below its supplier's smallest order, once."""
        todo = [place for place, parts in self.parts_of.items() if len(parts) > 1 or not _ships(parts)]
        # Parts that no supplier would ship go first: their lines must find other stock, the others may.
        for place in sorted(todo, key=lambda at: (_ships(self.parts_of[at]), at)):
            self._route_anew(place)
            if len(self.parts_of[place]) > 1:
                self._swap(place)

    def _route_anew(self, place: int) -> None:
        demand, parts = self._lines[place], self.parts_of[place]
        _give_back(self._stock, parts)
        fresh = route_line(
            demand, cheapest_first(self._candidates, demand.to_region, self._parameters), self._stock
        )
        if _ships(parts) and self._merit(demand, fresh) >= self._merit(demand, parts):
            _give_back(self._stock, fresh)
            for offer, units in parts:
                self._stock[offer.supplier_id, offer.sku_id] -= units
        else:
            self._replace(place, fresh)

    def _swap(self, place: int) -> None:
        """Move the whole line to one of its offers where the lines that make room lose less than it wins."""
        demand, parts = self._lines[place], self.parts_of[place]
        best: tuple[int, str, OfferStock, dict[int, OfferStock]] | None = None
        for keep, _ in parts:
            moves: dict[int, OfferStock] = {}
            for leave, units in parts:
                if leave is not keep:
                    moves |= self._room(keep, leave, units, moves)
            made = sum(self._lines[other].qty for other in moves)
            if made != sum(units for offer, units in parts if offer is not keep):
                continue
            after = self._cost(demand, [(keep, sum(units for _, units in parts))])
            change = after - self._cost(demand, parts)
            for other, target in moves.items():
                line = self._lines[other]
                change += self._cost(line, [(target, line.qty)]) - self._cost(line, self.parts_of[other])
            if change < 0 and (best is None or (change, keep.supplier_id) < best[:2]):
                best = change, keep.supplier_id, keep, moves
        if best is None:
            return
        _, _, keep, moves = best
        self._replace(place, [(keep, sum(units for _, units in parts))])
        for other, target in moves.items():
            self._replace(other, [(target, self._lines[other].qty)])

    def _room(
        self, keep: OfferStock, leave: OfferStock, units: int, taken: Mapping[int, OfferStock]
    ) -> dict[int, OfferStock]:
        """Lines wholly at `keep` that together have `units` and go to `leave` cheaply; empty if none."""
        ranked = sorted(
            (self._unit(leave, place) - self._unit(keep, place), place)
            for place in self._whole_at[keep.supplier_id]
            if leave.min_order_qty <= self._lines[place].qty <= units and place not in taken
        )
        chosen: dict[int, OfferStock] = {}
        missing = units
        for _, place in ranked:
            if self._lines[place].qty <= missing:
                chosen[place] = leave
                missing -= self._lines[place].qty
            if not missing:
                return chosen
        return {}

    def _unit(self, offer: OfferStock, place: int) -> int:
        return unit_cents(offer, self._lines[place].to_region, self._parameters)

    def _cost(self, demand: Demand, parts: Parts) -> int:
        return parts_cost(demand, parts, self._parameters)

    def _merit(self, demand: Demand, parts: Parts) -> tuple[int, int]:
        """Units short, then full stated cost; smaller is better."""
        return demand.qty - sum(units for _, units in parts), self._cost(demand, parts)

    def _replace(self, place: int, parts: Parts) -> None:
        for offer, _ in self.parts_of[place]:
            self._whole_at[offer.supplier_id].discard(place)
        self.parts_of[place] = parts
        self._note(place, parts)

    def _note(self, place: int, parts: Parts) -> None:
        if len(parts) == 1 and parts[0][1] == self._lines[place].qty:
            self._whole_at[parts[0][0].supplier_id].add(place)


def _give_back(stock: dict[Key, int], parts: Parts) -> None:
    for offer, units in parts:
        stock[offer.supplier_id, offer.sku_id] += units


def _ships(parts: Parts) -> bool:
    """Whether every part reaches its supplier's smallest order."""
    return all(units >= offer.min_order_qty for offer, units in parts)
