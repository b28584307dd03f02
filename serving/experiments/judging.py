"""What may be said of the arms of an experiment: each against the first, as assigned. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from models.experiments.comparison import FEWEST, Difference, Group, Moments, means, shares
from models.experiments.power import detectable
from models.experiments.sample_ratio import SOUND_P, ratio_probability
from models.experiments.sequential import MIXING, always_valid
from serving.experiments.document import SHARES, WORSE_WHEN_HIGHER, Experiment, Metric

Word = Literal["better", "worse", "not_yet", "blocked"]
CONFIDENCE = 0.95
"""Of all intervals of an experiment together: with k arms against the first, each is wider."""


@dataclass(frozen=True)
class ArmResult:
    """An arm.

    Attributes:
        name: Its name.
        exposed: Units on which it acted.
        measured: Of them, those exposed long enough ago.
        mean: Share or mean of the metric over those; None while the verdict is blocked.
    """

    name: str
    exposed: int
    measured: int
    mean: float | None


@dataclass(frozen=True)
class Compared:
    """An arm against the first.

    Attributes:
        arm: The arm.
        difference: Its share or mean less that of the first, adjusted for what was before.
        low: Lower end of the interval of one look, at the end.
        high: Upper end.
        always_low: Lower end of the interval that holds at every look.
        always_high: Upper end.
        detectable: Smallest difference that these arms show with power .8.
        word: By the interval that holds at every look while the experiment runs, by that of one look after.
    """

    arm: str
    difference: float
    low: float
    high: float
    always_low: float
    always_high: float
    detectable: float
    word: Word


@dataclass(frozen=True)
class Results:
    """What an experiment says of one metric.

    Attributes:
        metric: Which one.
        arms: In their order.
        ratio_p: Probability of such numbers of exposed units, or stranger ones.
        is_blocked: They do not fit the shares: nothing is said of the metric.
        compared: Each arm but the first against it; empty while blocked or too small.
    """

    metric: Metric
    arms: tuple[ArmResult, ...]
    ratio_p: float
    is_blocked: bool
    compared: tuple[Compared, ...]


def judge(
    experiment: Experiment,
    metric: Metric,
    exposed: Mapping[str, int],
    measured: Mapping[str, Moments],
    *,
    is_running: bool,
) -> Results:
    """Judge a metric.

    Args:
        experiment: Whose arms.
        metric: Which one.
        exposed: Units by arm on which it acted.
        measured: Moments by arm of those exposed long enough ago; a share counts units as 1 or 0.
        is_running: Whether somebody may look again and stop.
    """
    nobody = Moments(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    names = [arm.name for arm in experiment.arms]
    ratio_p = ratio_probability(
        [exposed.get(name, 0) for name in names], [share for _, share in experiment.weights]
    )
    is_blocked = ratio_p < SOUND_P
    moments = {name: measured.get(name, nobody) for name in names}
    arms = tuple(
        ArmResult(name, exposed.get(name, 0), moments[name].size, None if is_blocked else moments[name].mean)
        for name in names
    )
    compared = (
        ()
        if is_blocked
        else tuple(
            _compare(metric, name, moments[name], moments[names[0]], len(names) - 1, is_running=is_running)
            for name in names[1:]
            if min(moments[name].size, moments[names[0]].size) >= FEWEST
        )
    )
    return Results(metric, arms, ratio_p, is_blocked, compared)


def harmed(results: Results) -> str | None:
    """The first arm of a guardrail that does worse at every look; None where there is none."""
    return next(
        (
            one.arm
            for one in results.compared
            if _word(results.metric, one.always_low, one.always_high) == "worse"
        ),
        None,
    )


def _compare(
    metric: Metric, name: str, arm: Moments, first: Moments, pairs: int, *, is_running: bool
) -> Compared:
    confidence = 1 - (1 - CONFIDENCE) / pairs
    found = _difference(metric, arm, first, confidence)
    low, high = always_valid(found, MIXING * found.deviation, confidence)
    word = _word(metric, low, high) if is_running else _word(metric, found.low, found.high)
    return Compared(
        name,
        found.value,
        found.low,
        found.high,
        low,
        high,
        detectable(found.deviation, arm.size, first.size),
        word,
    )


def _difference(metric: Metric, arm: Moments, first: Moments, confidence: float) -> Difference:
    if metric in SHARES:
        return shares(Group(arm.size, round(arm.value)), Group(first.size, round(first.value)), confidence)
    return means(arm, first, confidence)


def _word(metric: Metric, low: float, high: float) -> Word:
    if low <= 0 <= high:
        return "not_yet"
    return "better" if (low > 0) != (metric in WORSE_WHEN_HIGHER) else "worse"
