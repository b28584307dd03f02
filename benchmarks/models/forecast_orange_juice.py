"""Orange juice by store and brand, two and three weeks ahead, on the protocol of TSPerf.

913 series; 12 rounds: what is known up to week 135 + 2 r forecasts weeks 137 + 2 r and 138 + 2 r; prices,
deals and features of these weeks are known. MUYUN_BENCH_ROUNDS=0,5 tries some rounds only.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.harness import OURS, Row, report
from benchmarks.models import fracast_peer, orange_juice
from benchmarks.models.public_data import MissingDataError, public_file
from models.data import Panel
from models.demand.families.boosted import Boosted, BoostedConfig
from models.demand.families.forecast import Forecast
from models.demand.families.functionals import relative_median
from models.demand.families.recurrent import FittedRecurrent, Recurrent, RecurrentConfig
from models.demand.families.stacking import Stacked, learn_weights

PUBLISHED = {
    "published_ets": 70.99,
    "published_rnn": 37.68,
    "published_cnn": 37.09,
    "published_lightgbm": 36.28,
}
"""MAPE of the TSPerf submissions on the same rounds."""

LSTM = "muyun_lstm"
STEPS = (2, 3)

NAIVE_MAPE = 109.67
"""MAPE of the last available week: what shows that rounds, rows and units are those of the protocol."""

Floats = npt.NDArray[np.float64]


@dataclass
class Scored:
    """Forecasts of one system over the rounds, each (n, 2).

    Attributes:
        relative: What is scored by percentage errors.
        median: What is scored by absolute errors.
        mean: What is scored by its bias.
    """

    relative: list[Floats] = field(default_factory=list)
    median: list[Floats] = field(default_factory=list)
    mean: list[Floats] = field(default_factory=list)

    def add(self, forecast: Forecast) -> None:
        """Take the scored weeks of a round."""
        at = orange_juice.SCORED
        self.relative.append(relative_median(forecast.quantiles[:, at], forecast.levels))
        self.median.append(forecast.quantiles[:, at, len(forecast.levels) // 2])
        self.mean.append(forecast.mean[:, at])

    def add_number(self, number: Floats) -> None:
        """Take a rule's only number for all."""
        for into in (self.relative, self.median, self.mean):
            into.append(number)


def naive(panel: Panel, origin: int) -> Floats:
    """The last week before `origin` that was observed, for both scored weeks."""
    seen = np.isfinite(panel.target[:, :origin])
    last = origin - 1 - np.argmax(seen[:, ::-1], axis=1)
    return np.repeat(panel.target[np.arange(len(last)), last][:, None], 2, axis=1)


def errors(actual: Floats, system: Scored) -> dict[str, float]:
    """The metrics over all observed weeks of all rounds.

    Args:
        actual: float64 (rounds, n, 2); NaN where the week is not in the data.
        system: The forecasts.

    Returns:
        mape (%, of the relative median), mape_of_median (%), wape (%, of the median), bias_pct (of the mean).
    """
    there = np.isfinite(actual)
    truth = actual[there]
    relative, median, mean = (np.stack(part)[there] for part in (system.relative, system.median, system.mean))
    return {
        "mape": 100 * float((np.abs(truth - relative) / truth).mean()),
        "mape_of_median": 100 * float((np.abs(truth - median) / truth).mean()),
        "wape": 100 * float(np.abs(truth - median).sum() / truth.sum()),
        "bias_pct": 100 * float((mean - truth).sum() / truth.sum()),
    }


def main() -> int:
    """Runs the benchmark; 1 when the data are missing or the check by the naive rule fails."""
    started = time.monotonic()
    try:
        panel = orange_juice.read(public_file("orange_juice", "orangeJuice_yx.csv.gz"))
    except MissingDataError as error:
        print(f"forecast_orange_juice: {error}", file=sys.stderr)
        return 1
    wanted = os.environ.get("MUYUN_BENCH_ROUNDS")
    rounds = tuple(int(one) for one in wanted.split(",")) if wanted else tuple(range(orange_juice.ROUNDS))
    pretrained = fracast_peer.peer()
    names = ["naive", "lightgbm", LSTM, OURS, *([fracast_peer.NAME] if pretrained else [])]
    systems = {name: Scored() for name in names}
    boosted, recurrent = Boosted(BoostedConfig(steps=STEPS)), Recurrent(RecurrentConfig(steps=STEPS))
    first = orange_juice.origin(rounds[0])
    weights = learn_weights(
        (boosted, recurrent),
        orange_juice.shown(panel, first),
        first,
        orange_juice.HORIZON,
        stride=2,
        scored=orange_juice.SCORED,
    )
    print(f"weights {dict(weights)}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    network: FittedRecurrent | None = None
    for number in rounds:
        origin = orange_juice.origin(number)
        seen = orange_juice.shown(panel, origin)
        systems["naive"].add_number(naive(seen, origin))
        trees = boosted.fit(seen, origin)
        network = recurrent.fit(seen, origin, network)
        both = Stacked((trees, network), weights)
        for name, system in (("lightgbm", trees), (LSTM, network), (OURS, both)):
            systems[name].add(system.predict(seen, origin, orange_juice.HORIZON))
        if pretrained:
            past = seen.target[:, :origin]
            systems[fracast_peer.NAME].add(pretrained.forecast(past, orange_juice.HORIZON, least=1.0))
        print(f"round {number + 1}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    actual = np.stack([_actual(panel, number) for number in rounds])
    found = {name: errors(actual, system) for name, system in systems.items()}
    report(
        Path(os.environ.get("MUYUN_HOME", "var")),
        name="forecast_orange_juice",
        protocol=(
            f"{len(panel.ids)} series of store and brand, {len(rounds)} rounds: weeks to 135 + 2 r are seen, "
            "weeks 137 + 2 r and 138 + 2 r are forecast with their prices, deals and features. lightgbm is "
            "fitted anew in each round, muyun_lstm in the first and goes on from there; muyun stacks both "
            "with weights learnt before the first round. mape is of the relative median, wape of the median, "
            "bias_pct of the mean: each of the number that it asks for. fracast, where it is installed, is "
            "not fitted and reads units alone. Published figures are constants."
        ),
        rows=_rows(found),
        wall_s=time.monotonic() - started,
    )
    if len(rounds) == orange_juice.ROUNDS and round(found["naive"]["mape"], 2) != NAIVE_MAPE:
        print(f"forecast_orange_juice: naive has {found['naive']['mape']}, not {NAIVE_MAPE}", file=sys.stderr)
        return 1
    return 0


def _actual(panel: Panel, number: int) -> Floats:
    at = orange_juice.origin(number)
    return panel.target[:, at + orange_juice.SCORED.start : at + orange_juice.SCORED.stop]


def _rows(found: Mapping[str, Mapping[str, float]]) -> list[Row]:
    rows = [Row(name, metric, value, "%") for name, one in found.items() for metric, value in one.items()]
    return rows + [Row(name, "mape", value, "%") for name, value in PUBLISHED.items()]


if __name__ == "__main__":
    raise SystemExit(main())
