"""What a consumer just did moves the items of their list. Pure: no database, no clock.

A category that was looked at, favourited or put into the cart lifts its items; what was just bought goes to
the end of the list. Nothing is added or dropped, and `rank` and `propensity` stay those of the published
list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from serving.scores.documents import RecommendedItem

POINTS: Mapping[str, int] = {"view": 1, "favourite": 2, "add_to_cart": 3, "remove_from_cart": -3}
"""What an act says of the category of its sku."""
BOUGHT = "checkout"
MOST_POINTS = 5
PLACES_A_POINT = 3
"""So many places an item moves up for a point of its category."""


class Act(NamedTuple):
    """Something that a consumer did with a sku."""

    event_type: str
    sku_id: str


def reordered(
    items: Sequence[RecommendedItem], acts: Sequence[Act], category_of: Mapping[str, str]
) -> list[RecommendedItem]:
    """The items by their published place, less what their category earned.

    Args:
        items: The list, best first.
        acts: What the consumer did since, in any order.
        category_of: Sku to its category, as far as it is known.

    Returns:
        The same items; `looked_at_category` and `bought_just_now` say why one moved.
    """
    points: Counter[str] = Counter()
    bought: set[str] = set()
    for act in acts:
        if act.event_type == BOUGHT:
            bought.add(act.sku_id)
        elif act.sku_id in category_of:
            points[category_of[act.sku_id]] += POINTS.get(act.event_type, 0)

    def lift(item: RecommendedItem) -> int:
        earned = points[category_of[item.sku_id]] if item.sku_id in category_of else 0
        return PLACES_A_POINT * min(max(earned, 0), MOST_POINTS)

    last = len(items) * (PLACES_A_POINT * MOST_POINTS + 1)
    placed = [
        (place - lift(item) + (last if item.sku_id in bought else 0), place, item)
        for place, item in enumerate(items)
    ]
    return [_explained(item, lift(item), item.sku_id in bought) for _, _, item in sorted(placed, key=_key)]


def _key(placed: tuple[int, int, RecommendedItem]) -> tuple[int, int]:
    return placed[:2]


def _explained(item: RecommendedItem, lift: int, is_bought: bool) -> RecommendedItem:
    if is_bought:
        return msgspec.structs.replace(item, reason_code="bought_just_now")
    return msgspec.structs.replace(item, reason_code="looked_at_category") if lift else item
