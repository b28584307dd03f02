"""Experiments whose truth is known: how often nothing is called something, and a planted effect is found."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.harness import OURS, Row, report
from models.experiments.assignment import Places, arm_of
from models.experiments.comparison import Difference, Group, Moments, means, shares
from models.experiments.power import power_of
from models.experiments.sample_ratio import SOUND_P, ratio_probability
from models.experiments.sequential import MIXING, always_valid, evidence

NAME = "experiment_truth"
UNITS, LIFT, LOOKS = 10_000, 0.02, 20
_BASKET = 1_500.0
_WEIGHTS = (("control", 5_000), ("changed", 5_000))
_SHARE = "share of experiments"
_PROTOCOL = (
    "Simulated shops of 10,000 consumers with shares (Beta, mean .10) and spend of their own, half in "
    "either arm by the product's hash, anew for each experiment. A/A: no effect. Planted: +2 points of "
    "the share, +3% of spend. false_positive_share: A/A experiments whose 95% interval of the share "
    "leaves 0 out; power_2pp: planted ones whose interval lies above 0; coverage_95: intervals that hold "
    "the truth, the smaller of share and CUPED mean over A/A and planted; peeked_*: A/A experiments "
    "called at any of 20 looks, by the always-valid test and (fixed_interval) by the interval of one "
    "look; cuped_variance: variance of the difference of means over that without the past; ratio_blocked: "
    "sound arms called unsound (at p < .001). Intervals: 95% by the normal approximation over the "
    "experiments."
)
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class Shop(NamedTuple):
    """Consumers of one experiment: arm (1 changed), whether they ordered, spend, spend before."""

    changed: Flags
    ordered: Flags
    spend: Floats
    before: Floats


class Told(NamedTuple):
    """What the product says of one experiment."""

    share: Difference
    mean: Difference
    plain: Difference
    ratio_p: float


def main() -> int:
    """Runs the benchmark over `MUYUN_BENCH_RUNS` (1,000) experiments of each kind."""
    started = time.monotonic()
    report(
        Path(os.environ.get("MUYUN_HOME", "var")),
        name=NAME,
        protocol=_PROTOCOL,
        rows=measured(int(os.environ.get("MUYUN_BENCH_RUNS", "1000"))),
        wall_s=time.monotonic() - started,
    )
    return 0


def measured(runs: int) -> list[Row]:
    """Every figure over so many experiments of each kind."""
    draws = np.random.default_rng(20_261_102)
    none, planted = [], []
    truth_share: list[bool] = []
    truth_mean: list[bool] = []
    peeked: list[bool] = []
    peeked_fixed: list[bool] = []
    for run in range(runs):
        changed = arms(f"e{run}")
        for lift, told in ((0.0, none), (LIFT, planted)):
            shop, gain = simulated(draws, changed, lift)
            found = judged(shop)
            told.append(found)
            truth_share.append(found.share.low <= lift <= found.share.high)
            truth_mean.append(found.mean.low <= gain <= found.mean.high)
            if not lift:
                looks = [_share(shop, UNITS * (look + 1) // LOOKS) for look in range(LOOKS)]
                mixings = [MIXING * look.deviation for look in looks]
                peeked.append(
                    any(evidence(one, mixing) >= 20 for one, mixing in zip(looks, mixings, strict=True))
                )
                peeked_fixed.append(any(_is_called(one) for one in looks))
                low, high = always_valid(looks[-1], mixings[-1])
                assert (evidence(looks[-1], mixings[-1]) >= 20) == (not low < 0 < high)
    spread = sqrt(0.11 * 0.89)
    return [
        _rate("false_positive_share", [_is_called(one.share) for one in none]),
        _rate("false_positive_mean", [_is_called(one.mean) for one in none]),
        _rate("power_2pp", [one.share.low > 0 for one in planted]),
        Row("planned", "power_2pp", power_of(LIFT, spread, UNITS // 2, UNITS // 2), _SHARE),
        min((_rate("coverage_95", truth_share), _rate("coverage_95", truth_mean)), key=lambda row: row.value),
        _rate("coverage_share", truth_share),
        _rate("coverage_mean", truth_mean),
        _rate("peeked_always_valid", peeked),
        _rate("peeked_fixed_interval", peeked_fixed, system="fixed_interval"),
        Row(
            OURS,
            "cuped_variance",
            float(np.mean([one.mean.variance / one.plain.variance for one in none])),
            "ratio",
        ),
        _rate("ratio_blocked", [one.ratio_p < SOUND_P for one in [*none, *planted]]),
    ]


def arms(experiment_id: str) -> Flags:
    """Who of the consumers is changed, by the product's own assignment."""
    return np.array(
        [
            arm_of("bench", experiment_id, "list", Places(0, 10_000), _WEIGHTS, f"c{n}") == "changed"
            for n in range(UNITS)
        ]
    )


def simulated(draws: np.random.Generator, changed: Flags, lift: float) -> tuple[Shop, float]:
    """A shop, and the true gain of mean spend."""
    # Beta(2, 18) less what the lift could carry over 1: no share leaves [0, 1].
    own = np.minimum(draws.beta(2, 18, UNITS), 1 - lift)
    ordered = draws.random(UNITS) < own + lift * changed
    level = draws.gamma(2.0, 3_000.0, UNITS)
    before = draws.poisson(level / _BASKET) * _BASKET
    more = 0.03 * 6_000.0 if lift else 0.0
    spend = draws.poisson(level / _BASKET) * _BASKET + more * changed
    return Shop(changed, ordered, spend, before), more


def judged(shop: Shop) -> Told:
    """What the product says."""
    both = [shop.changed, ~shop.changed]
    with_past = [_moments(shop.spend[arm], shop.before[arm]) for arm in both]
    without = [_moments(shop.spend[arm], np.zeros(int(arm.sum()))) for arm in both]
    sizes = [int(arm.sum()) for arm in both]
    return Told(
        _share(shop, UNITS), means(*with_past), means(*without), ratio_probability(sizes, (5_000, 5_000))
    )


def _share(shop: Shop, units: int) -> Difference:
    changed, ordered = shop.changed[:units], shop.ordered[:units]
    return shares(
        Group(int(changed.sum()), int(ordered[changed].sum())),
        Group(int((~changed).sum()), int(ordered[~changed].sum())),
    )


def _moments(value: Floats, before: Floats) -> Moments:
    return Moments(
        len(value),
        float(value.sum()),
        float(before.sum()),
        float(value @ value),
        float(before @ before),
        float(value @ before),
    )


def _is_called(found: Difference) -> bool:
    return found.low > 0 or found.high < 0


def _rate(metric: str, happened: Sequence[bool], system: str = OURS) -> Row:
    share = float(np.mean(happened))
    reach = 1.96 * sqrt(share * (1 - share) / len(happened))
    return Row(system, metric, share, _SHARE, (max(share - reach, 0.0), min(share + reach, 1.0)))


if __name__ == "__main__":
    raise SystemExit(main())
