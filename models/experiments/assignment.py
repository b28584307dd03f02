"""Which arm a unit gets: by a hash, so that it is uniform, needs no memory and never changes.

Experiments of one layer share its units: each has a range of the layer's places, so that a unit is in one of
them at most. The arm is drawn anew for every experiment, so layers, and experiments that follow each other on
the same places, are independent.

Source: Tang, Agarwal, O'Brien, Meyer (2010), KDD (overlapping experiments); Kohavi, Tang, Xu (2020),
Trustworthy Online Controlled Experiments, ch. 14.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

FULL_BPS = 10_000
"""All of a layer, and all arms together, in basis points."""


class Places(NamedTuple):
    """A range of a layer's places: `first` is inside, `end` is not; basis points."""

    first: int
    end: int


def draw(*parts: str) -> float:
    """A number in [0, 1) that depends on nothing but the words given."""
    text = "\x1f".join(parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64


def arm_at(number: float, weights: Sequence[tuple[str, int]]) -> str:
    """The arm into whose part of [0, 1) a number falls.

    Args:
        number: In [0, 1).
        weights: Arms in their order with their shares in basis points, 10,000 together.

    Raises:
        ValueError: The shares are no whole.
    """
    if sum(share for _, share in weights) != FULL_BPS or any(share < 0 for _, share in weights):
        raise ValueError(f"the shares of the arms must sum to {FULL_BPS} basis points: {list(weights)}")
    passed = 0
    for name, share in weights:
        passed += share
        if number * FULL_BPS < passed:
            return name
    return weights[-1][0]


def arm_of(
    tenant_id: str,
    experiment_id: str,
    layer: str,
    places: Places,
    weights: Sequence[tuple[str, int]],
    unit_id: str,
) -> str | None:
    """The arm of a unit; None where the experiment does not have its place in the layer.

    Args:
        tenant_id: Whose unit.
        experiment_id: Salt of the arm.
        layer: Salt of the place.
        places: What the experiment has of the layer.
        weights: As of `arm_at`.
        unit_id: The consumer, sku or merchant.
    """
    place = draw(tenant_id, "layer", layer, unit_id) * FULL_BPS
    if not places.first <= place < places.end:
        return None
    return arm_at(draw(tenant_id, "arm", experiment_id, unit_id), weights)


def free_places(taken: Iterable[Places], wanted: int) -> Places | None:
    """The first range of a layer that nobody has; None where none is wide enough.

    Args:
        taken: Ranges of the experiments that run in the layer; they do not overlap.
        wanted: Width, basis points.
    """
    first = 0
    for range_ in [*sorted(taken), Places(FULL_BPS, FULL_BPS)]:
        if range_.first - first >= wanted:
            return Places(first, first + wanted)
        first = max(first, range_.end)
    return None
