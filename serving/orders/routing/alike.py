"""Lines that cost the same: one sku, one region, one quantity. What holds for one holds for all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from serving.orders.routing.flow_network import FlowNetwork, Ints


@dataclass(frozen=True, slots=True)
class AlikeLines:
    """The lines of a network by kind, kinds by sku; a sku is a number from 0 in the order of its id.

    Attributes:
        members: Places in the network of the lines of each kind.
        sku: Sku of each kind, ascending.
        qty: Units of one line of each kind.
        arc_kind: Kind of each arc, ascending.
        arc_offer: Offer of each arc, a place in the network.
        arc_cents: Linear stated cost of one unit over each arc.
        arc_most: Most units that one line can have over each arc: the offer's stock.
        arc_least: Fewest units that one line may have over each arc: the offer's smallest order.
        offer_sku: Sku of each offer of the network; `skus` where no line wants it.
        stock: Units of each offer of the network, at most what is wanted of its sku.
        skus: Number of skus that are wanted.
    """

    members: Sequence[Sequence[int]]
    sku: Ints
    qty: Ints
    arc_kind: Ints
    arc_offer: Ints
    arc_cents: Ints
    arc_most: Ints
    arc_least: Ints
    offer_sku: Ints
    stock: Ints
    skus: int

    @property
    def count(self) -> Ints:
        """Lines of each kind."""
        return np.array([len(places) for places in self.members], dtype=np.int64)

    def of(self, chosen: npt.NDArray[np.bool_]) -> AlikeLines:
        """The kinds of the chosen skus, which keep their numbers.

        Args:
            chosen: Whether to keep each sku.
        """
        kept = chosen[self.sku]
        arcs = kept[self.arc_kind]
        number = np.cumsum(kept) - 1
        return AlikeLines(
            [places for places, keep in zip(self.members, kept, strict=True) if keep],
            self.sku[kept],
            self.qty[kept],
            number[self.arc_kind[arcs]],
            self.arc_offer[arcs],
            self.arc_cents[arcs],
            self.arc_most[arcs],
            self.arc_least[arcs],
            self.offer_sku,
            self.stock,
            self.skus,
        )


def alike_lines(network: FlowNetwork) -> AlikeLines:
    """Group the lines of a network, which stand by sku, order and line."""
    numbers: dict[str, int] = {}
    members: dict[tuple[int, str, int], list[int]] = defaultdict(list)
    for place, line in enumerate(network.lines):
        sku = numbers.setdefault(line.sku_id, len(numbers))
        members[sku, line.to_region, line.qty].append(place)
    kinds = sorted(members)
    firsts = np.array([members[kind][0] for kind in kinds], dtype=np.int64)
    # A kind's arcs are those of its first line.
    begins = np.searchsorted(network.arc_line, firsts)
    widths = np.searchsorted(network.arc_line, firsts, side="right") - begins
    arc_kind = np.repeat(np.arange(len(kinds)), widths)
    arcs = np.arange(len(arc_kind)) + np.repeat(begins - (np.cumsum(widths) - widths), widths)
    offers = network.arc_offer[arcs]
    offer_sku = np.array(
        [numbers.get(offer.sku_id, len(numbers)) for offer in network.offers], dtype=np.int64
    )
    wanted = np.zeros(len(numbers) + 1, dtype=np.int64)
    np.add.at(wanted, [numbers[line.sku_id] for line in network.lines], network.qty)
    smallest = np.array([offer.min_order_qty for offer in network.offers], dtype=np.int64)
    return AlikeLines(
        members=[members[kind] for kind in kinds],
        sku=np.array([sku for sku, _, _ in kinds], dtype=np.int64),
        qty=np.array([qty for _, _, qty in kinds], dtype=np.int64),
        arc_kind=arc_kind,
        arc_offer=offers,
        arc_cents=network.arc_cents[arcs],
        arc_most=network.stock[offers],
        arc_least=smallest[offers],
        offer_sku=offer_sku,
        stock=np.minimum(network.stock, wanted[offer_sku]),
        skus=len(numbers),
    )
