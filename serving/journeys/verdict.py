"""Whether a journey helps: treated against control, as assigned, whatever came of the messages. Pure.

The statistics, with their sources, are those of every experiment: `models.experiments`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Literal

from models.experiments.assignment import FULL_BPS
from models.experiments.comparison import Group, shares
from models.experiments.power import detectable
from models.experiments.sample_ratio import SOUND_P, ratio_probability
from models.experiments.sequential import evidence

Word = Literal["gain", "loss", "not_yet", "blocked"]

FALSE_STOP = 0.001
"""Share of journeys without an effect that are ever stopped by themselves, however often one looks."""
MIXING = 0.02
"""Differences of shares for which the test that stops is made, as a standard deviation. Assumed."""


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
    ratio_p = ratio_probability((treated.size, control.size), (FULL_BPS - control_bps, control_bps))
    if not treated.size or not control.size:
        return Verdict(treated, control, 0.0, -1.0, 1.0, ratio_p, None, "not_yet", loses=False)
    found = shares(treated, control)
    word: Word = "gain" if found.low > 0 else "loss" if found.high < 0 else "not_yet"
    sound = ratio_p >= SOUND_P
    spread = sqrt(control.share * (1 - control.share))
    return Verdict(
        treated,
        control,
        found.value,
        found.low,
        found.high,
        ratio_p,
        detectable(spread, treated.size, control.size),
        word if sound else "blocked",
        loses=sound and found.value < 0 and evidence(found, MIXING) >= 1 / FALSE_STOP,
    )
