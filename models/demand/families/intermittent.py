"""Rules for demand that comes now and then: a level of how much is asked for and one of how often.

NumPy only, all series at once. A missing period (a gap, a stock-out) teaches nothing and passes no time.
Quantiles are those of a negative binomial with the series' own spread.

Source:
    Croston 1972; Syntetos & Boylan 2005 (SBA); Teunter, Syntetos & Babai 2011 (TSB).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.counts import count_quantiles
from models.data import Panel
from models.demand.families.forecast import Forecast
from models.metrics import FloatArray
from models.store import bundles

Int64 = npt.NDArray[np.int64]

KIND = "demand_intermittent"
FORMAT = 1

SIZE_WEIGHT = 0.1
"""Weight of the newest demand in the levels of sizes and of intervals; the usual choice of the papers."""

CHANCE_WEIGHT = 0.2
"""Weight of the newest period in the level of the chance."""

SPREAD_PERIODS = 26
"""Newest periods whose variance over mean is a series' spread."""

PRIOR_PERIODS = 13
"""So many periods the typical spread of all series weighs beside a series' own."""


def sba(units: FloatArray, start: Int64, weight: float = SIZE_WEIGHT) -> FloatArray:
    """Units a period after the last: (1 - weight / 2) x level of sizes / level of intervals.

    Args:
        units: float64 (n, t), units a period; NaN where nobody saw it.
        start: int64 (n,), index of the first demand; nothing before it is read.
        weight: Weight of the newest demand, in (0, 1].

    Returns:
        float64 (n,); 0 without a demand.
    """
    size, interval, since = np.zeros(len(units)), np.ones(len(units)), np.zeros(len(units))
    began = np.zeros(len(units), dtype=np.bool_)
    for period in range(units.shape[1]):
        value = units[:, period]
        seen = np.isfinite(value) & (period >= start)
        asked = seen & (value > 0)
        since = np.where(seen, since + 1, since)
        first, later = asked & ~began, asked & began
        size = np.where(first, value, np.where(later, size + weight * (value - size), size))
        interval = np.where(first, since, np.where(later, interval + weight * (since - interval), interval))
        since = np.where(asked, 0.0, since)
        began |= asked
    return np.asarray((1 - weight / 2) * size / interval)


def tsb(
    units: FloatArray, start: Int64, weight: float = SIZE_WEIGHT, chance_weight: float = CHANCE_WEIGHT
) -> FloatArray:
    """Units a period after the last: level of the chance of a demand x level of sizes; silence lowers it.

    Args:
        units: As for `sba`.
        start: As for `sba`.
        weight: Weight of the newest demand in the level of sizes, in (0, 1].
        chance_weight: Weight of the newest period in the level of the chance, in (0, 1].

    Returns:
        float64 (n,); 0 without a demand.
    """
    size, chance = np.zeros(len(units)), np.zeros(len(units))
    began, seen_before = np.zeros(len(units), dtype=np.bool_), np.zeros(len(units), dtype=np.bool_)
    for period in range(units.shape[1]):
        value = units[:, period]
        seen = np.isfinite(value) & (period >= start)
        asked = seen & (value > 0)
        step = np.where(seen_before, chance_weight, 1.0)
        chance = np.where(seen, chance + step * (asked - chance), chance)
        first, later = asked & ~began, asked & began
        size = np.where(first, value, np.where(later, size + weight * (value - size), size))
        began |= asked
        seen_before |= seen
    return np.asarray(chance * size)


METHODS: Mapping[str, Callable[[FloatArray, Int64], FloatArray]] = {"sba": sba, "tsb": tsb}
"""Units and start to units a period after the last, by name."""


def spreads(units: FloatArray, start: Int64) -> FloatArray:
    """Variance over mean of each series, drawn towards the median of all.

    Args:
        units: float64 (n, t), units a period; NaN where nobody saw it.
        start: int64 (n,), index of the first demand; nothing before it is read.

    Returns:
        float64 (n,), at least 1 (that of a Poisson count).
    """
    first = max(0, units.shape[1] - SPREAD_PERIODS)
    tail = units[:, first:]
    seen = np.isfinite(tail) & (np.arange(first, units.shape[1])[None, :] >= start[:, None])
    count = seen.sum(axis=1)
    mean = np.where(seen, tail, 0.0).sum(axis=1) / np.maximum(count, 1)
    squares = np.where(seen, tail - mean[:, None], 0.0) ** 2
    told = (count > 1) & (mean > 0)
    own = np.where(told, squares.sum(axis=1) / np.maximum(count - 1, 1) / np.where(told, mean, 1.0), 1.0)
    typical = max(1.0, float(np.median(own[told]))) if told.any() else 1.0
    weight = np.where(told, count, 0)
    return np.maximum((weight * own + PRIOR_PERIODS * typical) / (weight + PRIOR_PERIODS), 1.0)


@dataclass(frozen=True)
class Intermittent:
    """The family, and what it fits, which is nothing: levels are read at the origin.

    Attributes:
        name: `sba` or `tsb`.
        levels: Quantiles, ascending.
    """

    name: str = "tsb"
    levels: tuple[float, ...] = (0.1, 0.5, 0.9)

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ValueError: The name is not one of `METHODS`.
        """
        if self.name not in METHODS:
            raise ValueError(f"intermittent: {self.name!r} is not one of {sorted(METHODS)}")

    def fit(self, panel: Panel, until: int) -> Intermittent:
        """Itself; nothing is learnt."""
        return self

    def predict(self, panel: Panel, origin: int, horizon: int) -> Forecast:
        """Forecast every series of the panel.

        Args:
            panel: The panel; negative units are read as 0.
            origin: Index of the first period to forecast; nothing observed from there on is read.
            horizon: Periods ahead; each has the same forecast.

        Returns:
            Units; whole ones in the quantiles.
        """
        return self.after(panel.target[:, :origin], panel.start, horizon)

    def after(self, units: FloatArray, start: Int64, horizon: int) -> Forecast:
        """Forecast the periods after the last.

        Args:
            units: float64 (n, t); NaN where nobody saw it.
            start: int64 (n,), index of the first demand.
            horizon: Periods ahead.
        """
        units = np.maximum(units, 0.0)
        mean = METHODS[self.name](units, start)
        variance = spreads(units, start) * mean
        quantiles = count_quantiles(mean, variance, self.levels)
        return Forecast(
            np.repeat(mean[:, None], horizon, axis=1),
            np.repeat(quantiles[:, None], horizon, axis=1),
            self.levels,
        )

    def save(self, folder: Path) -> None:
        """Write the bundle; `load` reads it."""
        bundles.write(folder, KIND, FORMAT, {"config": asdict(self)})


def load(folder: Path) -> Intermittent:
    """Read what `Intermittent.save` wrote.

    Raises:
        BundleError: The bundle is missing, of another format, or damaged.
    """
    return bundles.read(folder, KIND, FORMAT).build(_built)


def _built(bundle: bundles.Bundle) -> Intermittent:
    values = bundle.document["config"]
    return Intermittent(values["name"], tuple(values["levels"]))
