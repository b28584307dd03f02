"""From values to places on an axis: linear and logarithmic scales, round ticks, bins. No drawing here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Scale:
    """A map from values to pixels.

    Attributes:
        low: Value at `start`.
        high: Value at `end`; a scale without extent puts everything at `start`.
        start: Pixel of `low`.
        end: Pixel of `high`; may lie before `start` (a vertical axis).
        is_log: Whether equal ratios take equal lengths; then `low` must be above 0.
    """

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value; values outside the domain stop at its ends."""
        inside = min(max(value, self.low), self.high)
        if self.high <= self.low:
            return self.start
        if self.is_log:
            share = math.log(inside / self.low) / math.log(self.high / self.low)
        else:
            share = (inside - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def ticks(low: float, high: float, target: int = 4) -> list[float]:
    """Round values inside [low, high], about `target` of them, ascending.

    >>> ticks(0, 97)
    [0.0, 25.0, 50.0, 75.0]
    """
    if high <= low:
        return [low]
    step = _round_step((high - low) / target)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten inside [low, high]; every second or third one when there would be more than five."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    every = max(1, math.ceil((last - first + 1) / 5))
    return [10.0**power for power in range(first, last + 1, every)]


def round_up(value: float, target: int = 4) -> float:
    """The smallest tick step's multiple that is not below a positive value; 1 for nothing."""
    if value <= 0:
        return 1.0
    step = _round_step(value / target)
    return round(math.ceil(value / step - 1e-9) * step, 12)


def bin_edges(values: FloatArray, target: int = 16) -> tuple[list[float], bool]:
    """Equal bins with round edges over values; a long upper tail goes into one open bin.

    Args:
        values: float64 (n,), finite, at least one.
        target: About how many bins.

    Returns:
        Ascending edges, and whether the last bin also holds what lies above it (2% of the values at most).

    >>> bin_edges(np.array([0.0, 1.0, 2.0, 3.0]))
    ([0.0, 1.0, 2.0, 3.0, 4.0], False)
    """
    low, high = float(values.min()), float(values.max())
    tail = float(np.quantile(values, 0.98, method="lower"))
    is_open = low < tail < low + 0.6 * (high - low)
    top = tail if is_open else high
    is_whole = bool((values == np.floor(values)).all())
    step = _round_step((top - low) / target) if top > low else 1.0
    if is_whole:
        step = float(max(1, math.ceil(step)))
    first = math.floor(low / step + 1e-9)
    # A whole number on an edge begins its own bin; of other values only the largest can lie on the last edge.
    last = math.floor(top / step) if is_whole else max(first, math.ceil(top / step - 1e-9) - 1)
    return [round(place * step, 12) for place in range(first, last + 2)], is_open


def bin_counts(values: FloatArray, edges: Sequence[float]) -> list[int]:
    """How many values fall into each bin [edge, next edge); values outside go into the end bins.

    >>> bin_counts(np.array([-5.0, 0.0, 0.9, 1.0, 9.0]), [0, 1, 2])
    [3, 2]
    """
    places = np.searchsorted(np.asarray(edges[1:-1]), values, side="right")
    return [int(n) for n in np.bincount(places, minlength=len(edges) - 1)]


def apart(places: Sequence[float], gap: float) -> list[int]:
    """Rows for labels at ascending places so that labels of one row are at least `gap` apart.

    >>> apart([10, 20, 100], 30)
    [0, 1, 0]
    """
    if any(later < earlier for earlier, later in pairwise(places)):
        raise ValueError(f"places must be ascending, got {list(places)}")
    ends: list[float] = []
    rows = []
    for place in places:
        row = next((index for index, end in enumerate(ends) if place - end >= gap), len(ends))
        if row == len(ends):
            ends.append(place)
        else:
            ends[row] = place
        rows.append(row)
    return rows


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in _STEPS if factor * power >= step * (1 - 1e-9))
