"""What an experiment can show before it begins: detectable difference, power, units needed. 5% two-sided.

Source: Cohen (1988), Statistical Power Analysis, ch. 2 and 6, by the normal approximation.
"""

from __future__ import annotations

from math import ceil, sqrt
from statistics import NormalDist

_NORMAL = NormalDist()
_TWO_SIDED = 0.975


def detectable(deviation: float, one: int, other: int, *, power: float = 0.8) -> float:
    """Smallest difference that two arms of these sizes show.

    Args:
        deviation: Standard deviation of a unit; sqrt(p (1 - p)) of a share p.
        one: Units of an arm, at least one.
        other: Units of the other, at least one.
        power: Probability with which it is shown.
    """
    reach = _NORMAL.inv_cdf(_TWO_SIDED) + _NORMAL.inv_cdf(power)
    return reach * deviation * sqrt(1 / one + 1 / other)


def power_of(difference: float, deviation: float, one: int, other: int) -> float:
    """Probability with which arms of these sizes show a difference."""
    shift = abs(difference) / (deviation * sqrt(1 / one + 1 / other))
    z = _NORMAL.inv_cdf(_TWO_SIDED)
    return _NORMAL.cdf(shift - z) + _NORMAL.cdf(-shift - z)


def units_needed(difference: float, deviation: float, share: float, *, power: float = 0.8) -> int:
    """Units of both arms together that show a difference.

    Args:
        difference: Not 0.
        deviation: Standard deviation of a unit.
        share: Of the units that are in the first arm, between 0 and 1.
        power: Probability with which it is shown.
    """
    reach = _NORMAL.inv_cdf(_TWO_SIDED) + _NORMAL.inv_cdf(power)
    return ceil((reach * deviation / difference) ** 2 * (1 / share + 1 / (1 - share)))
