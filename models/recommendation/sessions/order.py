"""Where the items of a list belong in a session. Standard library only: the API runs it at each request.

Nothing is added or dropped: items move by links between skus, which are learnt from baskets and gated.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

POINTS: Mapping[str, int] = {"view": 1, "favourite": 2, "add_to_cart": 3, "remove_from_cart": -3}
"""What an act says of its sku."""
FIRST = 2.0
STRENGTH = 2.0
"""The place of the most linked item, counted from `FIRST`, is divided by e^`STRENGTH`."""


class Moved(NamedTuple):
    """Where an item belongs.

    Attributes:
        at: Items are ordered by it, smallest first; equal ones keep their order.
        is_lifted: Whether the session speaks for the item.
    """

    at: float
    is_lifted: bool


def by_links(
    skus: Sequence[str], points: Mapping[str, float], links: Mapping[str, Mapping[str, float]]
) -> list[Moved]:
    """Places by links: log(place + 2) - 2 x the item's links over those of the best item.

    Args:
        skus: The list, best first.
        points: What the session says of each sku that was acted upon; those not above 0 say nothing.
        links: Sku to the skus that go with it and how much, above 0.

    Returns:
        One for each item; where no item is linked, all stay.
    """
    wanted: Counter[str] = Counter()
    for acted, worth in points.items():
        if worth > 0:
            for sku, weight in links.get(acted, {}).items():
                wanted[sku] += worth * weight  # type: ignore[assignment]
    best = max((wanted[sku] for sku in skus), default=0)
    if best <= 0:
        return [Moved(float(place), False) for place in range(len(skus))]
    return [
        Moved(math.log(place + FIRST) - STRENGTH * wanted[sku] / best, wanted[sku] > 0)
        for place, sku in enumerate(skus)
    ]
