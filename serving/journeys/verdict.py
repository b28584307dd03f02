"""Whether a journey helps: treated against control, as assigned, whatever came of the messages. Pure.

Sources: Newcombe (1998), Statistics in Medicine 17, method 10 (difference of proportions); Fabijan et al.
(2019), KDD (sample ratio mismatch); Johari, Koomen, Pekelis, Walsh (2022), Operations Research 70
(looking again and again).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, exp, log, sqrt
from statistics import NormalDist
from typing import Literal, NamedTuple

Word = Literal["gain", "loss", "not_yet", "blocked"]

RATIO_P = 0.001
"""A verdict is blocked when arms of these sizes are less likely than this under the shares drawn."""
FALSE_STOP = 0.001
"""Share of journeys without an effect that are ever stopped by themselves, however often one looks."""
MIXING = 0.02
"""Differences of shares for which the test that stops is made, as a standard deviation. Assumed."""


class Group(NamedTuple):
    """An arm: how many were assigned long enough ago, and how many of them reached the goal in time."""

    size: int
    reached: int

    @property
    def share(self) -> float:
        """Share that reached the goal; 0 of nobody."""
        return self.reached / self.size if self.size else 0.0


@dataclass(frozen=True)
class Verdict:
    """What can be said.

    Attributes:
        treated: The treated.
        control: The controls.
        difference: Share of the treated minus that of the controls.
        low: Lower end of its 95% interval.
        high: Upper end.
        ratio_p: Probability of such sizes of the arms, or stranger ones.
        detectable: Smallest difference that these sizes show with power .8; None without both arms.
        word: `gain` or `loss` when the interval leaves 0 out; `blocked` when the arms do not fit the shares.
        loses: It is to be stopped: it does worse, by an `evidence` that chance hardly ever reaches.
    """

    treated: Group
    control: Group
    difference: float
    low: float
    high: float
    ratio_p: float
    detectable: float | None
    word: Word
    loses: bool


def judge(treated: Group, control: Group, control_bps: int) -> Verdict:
    """Judge a journey.

    Args:
        treated: The treated.
        control: The controls.
        control_bps: Share of the control group that was drawn, in basis points.
    """
    ratio_p = ratio_probability(treated.size, control.size, control_bps)
    if not treated.size or not control.size:
        return Verdict(treated, control, 0.0, -1.0, 1.0, ratio_p, None, "not_yet", loses=False)
    low, high = interval(treated, control, 0.95)
    word: Word = "gain" if low > 0 else "loss" if high < 0 else "not_yet"
    sound = ratio_p >= RATIO_P
    return Verdict(
        treated,
        control,
        treated.share - control.share,
        low,
        high,
        ratio_p,
        detectable(control.share, treated.size, control.size),
        word if sound else "blocked",
        loses=sound and treated.share < control.share and evidence(treated, control) >= 1 / FALSE_STOP,
    )


def interval(treated: Group, control: Group, confidence: float) -> tuple[float, float]:
    """Interval of the difference of two shares, by Newcombe's hybrid of Wilson's."""
    one, other = treated.share, control.share
    (low_one, high_one), (low_other, high_other) = _wilson(treated, confidence), _wilson(control, confidence)
    difference = one - other
    return (
        difference - sqrt((one - low_one) ** 2 + (high_other - other) ** 2),
        difference + sqrt((high_one - one) ** 2 + (other - low_other) ** 2),
    )


def evidence(treated: Group, control: Group) -> float:
    """How much likelier the two shares are under some difference than under none: a mixture likelihood ratio.

    Without an effect it ever reaches 1 / a with a probability of at most a (by the normal approximation), so
    that it may be looked at after every consumer.

    Args:
        treated: Of at least one.
        control: Of at least one.
    """
    pooled = (treated.reached + control.reached) / (treated.size + control.size)
    variance = pooled * (1 - pooled) * (1 / treated.size + 1 / control.size)
    if not variance:
        return 1.0
    mixed = variance + MIXING**2
    squared = (treated.share - control.share) ** 2
    return exp(min(700.0, log(variance / mixed) / 2 + squared * MIXING**2 / (2 * variance * mixed)))


def detectable(share: float, treated: int, control: int, *, power: float = 0.8) -> float:
    """Smallest difference that two arms of these sizes show at 5% two-sided, by the normal approximation."""
    normal = NormalDist()
    reach = normal.inv_cdf(0.975) + normal.inv_cdf(power)
    return reach * sqrt(share * (1 - share) * (1 / treated + 1 / control))


def ratio_probability(treated: int, control: int, control_bps: int) -> float:
    """Probability of such sizes, or stranger ones, by a chi-square test with one degree of freedom."""
    total = treated + control
    expected = total * control_bps / 10_000
    if not 0 < expected < total:
        return 1.0
    chi_square = (control - expected) ** 2 * (1 / expected + 1 / (total - expected))
    return erfc(sqrt(chi_square / 2))


def _wilson(group: Group, confidence: float) -> tuple[float, float]:
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    n, p = group.size, group.share
    centre, spread = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n)
