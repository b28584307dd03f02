"""What a consumer just did moves the items of their list. Pure: no database, no clock.

Skus that go with what was looked at, favourited or put into the cart are lifted; where nothing is linked
the list stays. What was just bought goes to its end. Nothing is added or dropped, and `rank` and
`propensity` stay those of the published list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from models.recommendation.sessions.order import POINTS, by_links
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


def ordered(items: Sequence[RecommendedItem], acts: Sequence[Act], links: Links) -> list[RecommendedItem]:
    """The items by their published place and what goes with the skus that were acted upon.

    Args:
        items: The list, best first.
        acts: What the consumer did since, in any order.
        links: Sku to the skus that go with it and how much; empty where the session lane does not serve.

    Returns:
        The same items; `goes_with_session` and `bought_just_now` say why one moved.
    """
    bought = {act.sku_id for act in acts if act.event_type == BOUGHT}
    stay = [item for item in items if item.sku_id not in bought]
    moved = by_links([item.sku_id for item in stay], spoken_for(acts), links)
    return [
        _because(stay[place], "goes_with_session") if moved[place].is_lifted else stay[place]
        for place in sorted(range(len(stay)), key=lambda place: moved[place].at)
    ] + [_because(item, "bought_just_now") for item in items if item.sku_id in bought]


def _because(item: RecommendedItem, reason: str) -> RecommendedItem:
    return msgspec.structs.replace(item, reason_code=reason)
