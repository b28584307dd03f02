"""Whether arms have the sizes that were drawn. If not, something lost units of one arm: nothing may be said.

Source: Fabijan et al. (2019), KDD (sample ratio mismatch).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, exp, gamma, sqrt

SOUND_P = 0.001
"""Arms whose sizes are less likely than this under the shares drawn block a verdict."""


def ratio_probability(sizes: Sequence[int], weights: Sequence[int]) -> float:
    """Probability of such sizes of the arms, or stranger ones, by a chi-square test.

    Args:
        sizes: Units by arm.
        weights: Shares drawn, in the same order, in any unit; an arm without a share does not count.

    Returns:
        1.0 where nothing can be said: one arm, or nobody.
    """
    pairs = [(size, weight) for size, weight in zip(sizes, weights, strict=True) if weight > 0]
    total, whole = sum(size for size, _ in pairs), sum(weight for _, weight in pairs)
    if total == 0 or len(pairs) < 2:
        return 1.0
    expected = [total * weight / whole for _, weight in pairs]
    statistic = sum((size - mean) ** 2 / mean for (size, _), mean in zip(pairs, expected, strict=True))
    return chi_square_tail(statistic, len(pairs) - 1)


def chi_square_tail(statistic: float, freedom: int) -> float:
    """Probability that a chi-square variable is larger; exact for whole degrees of freedom."""
    half = statistic / 2
    if freedom % 2:
        terms = (half ** (i - 0.5) / gamma(i + 0.5) for i in range(1, (freedom + 1) // 2))
        return erfc(sqrt(half)) + exp(-half) * sum(terms)
    return exp(-half) * sum(half**i / gamma(i + 1) for i in range(freedom // 2))
