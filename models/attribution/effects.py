"""What a channel causes: a hold-out of consumers, or regions on and off, with 95% intervals. Pure.

Hold-out: consumers drawn by lot whom the channel never touches, against all others, by what they spent in the
test; spend of as many days before takes out what had been different anyway (CUPED). Geo test: the change of
regions with the channel less the change of regions without it, regions as units.

Sources: Deng, Xu, Kohavi, Walker (2013), WSDM (CUPED); Welch (1947); Vaver, Koehler (2011), Measuring Ad
Effectiveness Using Geo Experiments; Fabijan et al. (2019), KDD (sample ratio).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy import stats

from models.experiments.comparison import FEWEST, Moments, means
from models.experiments.sample_ratio import SOUND_P, ratio_probability

FEWEST_REGIONS = 2
"""Regions that a side of a geo test needs."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Effect:
    """What a channel brought in a test.

    Attributes:
        word: `measured`; `too_few`: fewer than ten consumers or two regions on a side; `blocked`: the arms
            do not fit the draw.
        incremental_cents: Revenue that would not have come without the channel; None unless measured.
        low_cents: Lower end of its 95% interval.
        high_cents: Upper end.
        units_with: Consumers or regions with the channel.
        units_without: Those without.
    """

    word: str
    incremental_cents: float | None
    low_cents: float | None
    high_cents: float | None
    units_with: int
    units_without: int


def holdout(on: tuple[Floats, Floats], off: tuple[Floats, Floats], off_share: float) -> Effect:
    """What a channel brought, from consumers drawn by lot.

    Args:
        on: Spend before and within the test of consumers whom the channel may touch, cents, (n,) each.
        off: The same of those whom it may not.
        off_share: Share that was drawn to be without, 0 to 1.
    """
    n_on, n_off = len(on[1]), len(off[1])
    if min(n_on, n_off) < FEWEST:
        return Effect("too_few", None, None, None, n_on, n_off)
    drawn = round(off_share * 10_000)
    if ratio_probability((n_on, n_off), (10_000 - drawn, drawn)) < SOUND_P:
        return Effect("blocked", None, None, None, n_on, n_off)
    found = means(_moments(*on), _moments(*off))
    return Effect("measured", found.value * n_on, found.low * n_on, found.high * n_on, n_on, n_off)


def geo(on: tuple[Floats, Floats], off: tuple[Floats, Floats]) -> Effect:
    """What a channel brought, from regions: difference in differences.

    Args:
        on: Revenue before and within the test of regions with the channel, cents, (n,) each.
        off: The same of regions without it.
    """
    n_on, n_off = len(on[1]), len(off[1])
    if min(n_on, n_off) < FEWEST_REGIONS:
        return Effect("too_few", None, None, None, n_on, n_off)
    changes = on[1] - on[0], off[1] - off[0]
    errors = [float(change.var(ddof=1)) / len(change) for change in changes]
    spread = sqrt(sum(errors))
    reach = 0.0
    if spread:
        freedom = sum(errors) ** 2 / sum(
            error**2 / (len(change) - 1) for error, change in zip(errors, changes, strict=True)
        )
        # Regions are few: the exact quantile, not the expansion that serves large arms.
        reach = float(stats.t.ppf(0.975, freedom)) * spread
    value = float(changes[0].mean() - changes[1].mean())
    return Effect("measured", value * n_on, (value - reach) * n_on, (value + reach) * n_on, n_on, n_off)


def _moments(before: Floats, value: Floats) -> Moments:
    return Moments(
        len(value),
        float(value.sum()),
        float(before.sum()),
        float(value @ value),
        float(before @ before),
        float(value @ before),
    )
