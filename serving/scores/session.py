"""What a consumer just did moves the items of their list. Pure: no database, no clock.

Skus that go with what was looked at, favourited or put into the cart are lifted; where nothing is linked,
those of its category. What was just bought goes to the end of the list. Nothing is added or dropped, and
`rank` and `propensity` stay those of the published list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from models.recommendation.sessions.order import POINTS, Moved, by_categories, by_links
from serving.scores.documents import RecommendedItem

BOUGHT = "checkout"


class Act(NamedTuple):
    """Something that a consumer did with a sku."""

    event_type: str
    sku_id: str


class Link(msgspec.Struct, frozen=True):
    """A sku that goes with another, and how much."""

    linked_sku_id: str
    weight: float


Links = Mapping[str, Mapping[str, float]]


def spoken_for(acts: Sequence[Act]) -> dict[str, float]:
    """Points that acts give to their skus; those without any are left out."""
    points: Counter[str] = Counter()
    for act in acts:
        points[act.sku_id] += POINTS.get(act.event_type, 0)
    return {sku: float(worth) for sku, worth in points.items() if worth}


def ordered_by_links(
    items: Sequence[RecommendedItem], acts: Sequence[Act], links: Links
) -> list[RecommendedItem] | None:
    """The items by their published place and what goes with the skus that were acted upon.

    Args:
        items: The list, best first.
        acts: What the consumer did since, in any order.
        links: Sku to the skus that go with it and how much.

    Returns:
        The same items; `goes_with_session` and `bought_just_now` say why one moved. None where no item is
        linked.
    """
    stays, bought = _split(items, acts)
    moved = by_links([item.sku_id for item in stays], spoken_for(acts), links)
    if not any(one.is_lifted for one in moved):
        return None
    return _ordered(stays, moved, "goes_with_session") + bought


def ordered_by_categories(
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
    stays, bought = _split(items, acts)
    moved = by_categories([item.sku_id for item in stays], spoken_for(acts), category_of)
    return _ordered(stays, moved, "looked_at_category") + bought


def _split(
    items: Sequence[RecommendedItem], acts: Sequence[Act]
) -> tuple[list[RecommendedItem], list[RecommendedItem]]:
    """The items that were not just bought, and those that were."""
    bought = {act.sku_id for act in acts if act.event_type == BOUGHT}
    stays = [item for item in items if item.sku_id not in bought]
    gone = [item for item in items if item.sku_id in bought]
    return stays, [msgspec.structs.replace(item, reason_code="bought_just_now") for item in gone]


def _ordered(items: Sequence[RecommendedItem], moved: Sequence[Moved], reason: str) -> list[RecommendedItem]:
    order = sorted(range(len(items)), key=lambda place: moved[place].at)
    return [
        msgspec.structs.replace(items[place], reason_code=reason) if moved[place].is_lifted else items[place]
        for place in order
    ]
