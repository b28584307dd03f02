"""Two arms compared: shares by Newcombe's interval, means by Welch's, less what was known before (CUPED).

Sources: Newcombe (1998), Statistics in Medicine 17, method 10; Welch (1947), Biometrika 34; Deng, Xu, Kohavi,
Walker (2013), WSDM (CUPED).
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

FEWEST = 10
"""Units that an arm needs before anything is said of its mean."""


class Group(NamedTuple):
    """An arm by a share: how many units, and how many of them reached what was looked for."""

    size: int
    reached: int

    @property
    def share(self) -> float:
        """Share that reached it; 0 of nobody."""
        return self.reached / self.size if self.size else 0.0


class Moments(NamedTuple):
    """An arm by a mean: sums over its units of the value, of what it was before, and of their products."""

    size: int
    value: float
    before: float
    value_squared: float
    before_squared: float
    product: float

    @property
    def mean(self) -> float:
        """Mean value; 0 of nobody."""
        return self.value / self.size if self.size else 0.0

    @property
    def mean_before(self) -> float:
        """Mean of what it was before; 0 of nobody."""
        return self.before / self.size if self.size else 0.0

    @property
    def deviations(self) -> tuple[float, float, float]:
        """Sums of squared deviations of the value, of what was before, and of their products."""
        n = max(self.size, 1)
        return (
            max(self.value_squared - self.value**2 / n, 0.0),
            max(self.before_squared - self.before**2 / n, 0.0),
            self.product - self.value * self.before / n,
        )


class Difference(NamedTuple):
    """A difference of two arms.

    Attributes:
        value: First arm minus second.
        low: Lower end of its interval.
        high: Upper end.
        variance: Of the difference.
        deviation: Standard deviation of one unit, pooled.
    """

    value: float
    low: float
    high: float
    variance: float
    deviation: float


def shares(one: Group, other: Group, confidence: float = 0.95) -> Difference:
    """Difference of two shares with Newcombe's interval, a hybrid of Wilson's; both arms have somebody."""
    first, second = one.share, other.share
    (low_one, high_one), (low_other, high_other) = _wilson(one, confidence), _wilson(other, confidence)
    difference = first - second
    pooled = (one.reached + other.reached) / (one.size + other.size)
    spread = pooled * (1 - pooled)
    return Difference(
        difference,
        difference - sqrt((first - low_one) ** 2 + (high_other - second) ** 2),
        difference + sqrt((high_one - first) ** 2 + (second - low_other) ** 2),
        spread * (1 / one.size + 1 / other.size),
        sqrt(spread),
    )


def means(one: Moments, other: Moments, confidence: float = 0.95) -> Difference:
    """Difference of two means, each less theta times what its arm had more before than both together.

    theta is the slope of the value on what was before, within the arms: it makes the interval narrower by the
    share of the variance that the past explains, and leaves the difference unbiased, since nothing of an arm
    was known before it was drawn. Where nothing varied before, this is Welch's interval.

    Args:
        one: Of at least `FEWEST` units.
        other: Of at least `FEWEST` units.
        confidence: Of the interval.

    Raises:
        ValueError: An arm is too small.
    """
    if min(one.size, other.size) < FEWEST:
        raise ValueError(f"an arm needs {FEWEST} units, not {min(one.size, other.size)}")
    theta = slope(one, other)
    parts = [_adjusted_variance(arm, theta) for arm in (one, other)]
    variance = parts[0] + parts[1]
    value = one.mean - other.mean - theta * (one.mean_before - other.mean_before)
    if variance <= 0:
        return Difference(value, value, value, 0.0, 0.0)
    freedom = variance**2 / sum(
        part**2 / (arm.size - 1) for part, arm in zip(parts, (one, other), strict=True)
    )
    reach = t_quantile(0.5 + confidence / 2, freedom) * sqrt(variance)
    deviation = sqrt(variance / (1 / one.size + 1 / other.size))
    return Difference(value, value - reach, value + reach, variance, deviation)


def slope(one: Moments, other: Moments) -> float:
    """How much of a unit more before is found again in the value, within the arms; 0 where nothing varied."""
    before = one.deviations[1] + other.deviations[1]
    return (one.deviations[2] + other.deviations[2]) / before if before > 0 else 0.0


def t_quantile(probability: float, freedom: float) -> float:
    """Quantile of Student's t, by Cornish and Fisher's expansion: right to .0002 from 9 degrees of freedom.

    Source: Abramowitz and Stegun (1964), 26.7.5.
    """
    z = NormalDist().inv_cdf(probability)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return sum(term / freedom**power for power, term in enumerate(terms))


def _adjusted_variance(arm: Moments, theta: float) -> float:
    """Variance of the mean of value less theta times what was before."""
    value, before, product = arm.deviations
    return max(value - 2 * theta * product + theta**2 * before, 0.0) / (arm.size - 1) / arm.size


def _wilson(group: Group, confidence: float) -> tuple[float, float]:
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    n, p = group.size, group.share
    centre, spread = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n)
