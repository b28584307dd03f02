"""Moments of arms from their units one by one."""

from collections.abc import Iterable

from models.experiments.comparison import Moments


def moments_of(pairs: Iterable[tuple[float, float]]) -> Moments:
    """Moments of (value, before) pairs."""
    listed = list(pairs)
    return Moments(
        len(listed),
        sum(y for y, _ in listed),
        sum(x for _, x in listed),
        sum(y * y for y, _ in listed),
        sum(x * x for _, x in listed),
        sum(y * x for y, x in listed),
    )
