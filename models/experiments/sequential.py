"""What may be looked at after every unit: a mixture likelihood ratio, and the interval that belongs to it.

Without an effect the ratio ever reaches 1 / a with a probability of at most a; the interval holds the truth
at every moment with its confidence. Both by the normal approximation, mixed over normal effects.

Sources: Robbins (1970), Annals of Mathematical Statistics 41; Johari, Koomen, Pekelis, Walsh (2022),
Operations Research 70.
"""

from __future__ import annotations

from math import exp, log, sqrt

from models.experiments.comparison import Difference

MIXING = 0.07
"""Effects for which the test is made, as a part of the standard deviation of a unit. Assumed."""


def evidence(difference: Difference, mixing: float) -> float:
    """How much likelier a difference is under some effect than under none.

    Args:
        difference: With the variance under no effect.
        mixing: Standard deviation of the effects, in the unit of the difference.
    """
    variance, value = difference.variance, difference.value
    if variance <= 0:
        return 1.0
    mixed = variance + mixing**2
    return exp(min(700.0, log(variance / mixed) / 2 + value**2 * mixing**2 / (2 * variance * mixed)))


def always_valid(difference: Difference, mixing: float, confidence: float = 0.95) -> tuple[float, float]:
    """The differences of which the ratio has never ruled out any: an interval for every moment at once.

    Args:
        difference: With its variance.
        mixing: Above 0, in the unit of the difference.
        confidence: Of all intervals together.
    """
    variance, tau = difference.variance, mixing**2
    mixed = variance + tau
    if variance <= 0 or tau <= 0:
        return difference.value, difference.value
    reach = sqrt(2 * variance * mixed / tau * (log(1 / (1 - confidence)) + log(mixed / variance) / 2))
    return difference.value - reach, difference.value + reach
