"""Exponential smoothing, its trend and season chosen for every series by AICc (ETS), by statsforecast.

Logarithms of units plus a half are smoothed, so that no quantile lies below 0. Between two observed periods a
missing one is filled in along a straight line; missing ones before the origin are forecast over.

Source:
    Hyndman & Khandakar 2008, "Automatic time series forecasting: the forecast package for R".
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import stats

from models.counts import count_quantiles
from models.data import Panel
from models.demand.families.forecast import Forecast
from models.demand.families.functionals import expectation
from models.demand.families.inputs import HALF_UNIT
from models.demand.families.intermittent import spreads
from models.metrics import FloatArray
from models.store import bundles

Int64 = npt.NDArray[np.int64]

KIND = "demand_ets"
FORMAT = 1

FEWEST_SEEN = 8
"""A series seen in fewer periods has its mean, with quantiles of its spread."""

FEWEST_SEASONS = 3
"""A series that is shorter than so many seasons is smoothed without one."""

FEWEST_FOR_SEASON = 12
"""So is one of fewer periods; statsforecast refuses a season in eight."""

ONE_SIGMA = 100 * (stats.norm.cdf(1.0) - stats.norm.cdf(-1.0))
"""Percent of a normal distribution within one standard deviation."""

WIDEST = 3.0
"""Standard deviation of logarithms at most: an explosive model may not take the mean along."""


@dataclass(frozen=True)
class Smoothing:
    """The family, and what it fits, which is nothing: each series is smoothed at the origin.

    Attributes:
        season: Periods a season; 1 for none.
        levels: Quantiles, ascending.
        name: How leaderboards call it.
    """

    season: int = 1
    levels: tuple[float, ...] = (0.1, 0.5, 0.9)
    name: str = "ets"

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ValueError: The season has no period.
        """
        if self.season < 1:
            raise ValueError(f"ets: a season of {self.season} periods; 1 is none")

    def fit(self, panel: Panel, until: int) -> Smoothing:
        """Itself; nothing is learnt before the origin is known."""
        return self

    def predict(self, panel: Panel, origin: int, horizon: int) -> Forecast:
        """Forecast every series of the panel.

        Args:
            panel: The panel; negative units are read as 0.
            origin: Index of the first period to forecast; nothing observed from there on is read.
            horizon: Periods ahead.

        Returns:
            Units.
        """
        return self.after(panel.target[:, :origin], panel.start, horizon)

    def after(self, units: FloatArray, start: Int64, horizon: int) -> Forecast:
        """Forecast the periods after the last.

        Args:
            units: float64 (n, t); NaN where nobody saw it.
            start: int64 (n,), index of the first demand; nothing before it is read.
            horizon: Periods ahead.
        """
        units = np.maximum(units, 0.0)
        mean, quantiles = self._by_spread(units, start, horizon)
        scores = np.asarray(stats.norm.ppf(self.levels))
        for row, (series, first) in enumerate(zip(units, start, strict=True)):
            seen = np.flatnonzero(np.isfinite(series[first:])) + first
            if len(seen) < FEWEST_SEEN:
                continue
            steps = np.arange(seen[0], seen[-1] + 1)
            logs = np.interp(steps, seen, np.log(series[seen] + HALF_UNIT))
            centre, width = self._smoothed(logs, len(series) - 1 - seen[-1] + horizon)
            at = np.exp(centre[-horizon:, None] + width[-horizon:, None] * scores) - HALF_UNIT
            quantiles[row] = np.maximum(at, 0.0)
            mean[row] = expectation(quantiles[row], self.levels)
        return Forecast(mean, quantiles, self.levels)

    def save(self, folder: Path) -> None:
        """Write the bundle; `load` reads it."""
        bundles.write(folder, KIND, FORMAT, {"config": asdict(self)})

    def _by_spread(self, units: FloatArray, start: Int64, horizon: int) -> tuple[FloatArray, FloatArray]:
        """Means of the observed periods and quantiles of the spreads: float64 (n, h) and (n, h, q)."""
        seen = np.isfinite(units) & (np.arange(units.shape[1])[None, :] >= start[:, None])
        mean = np.where(seen, units, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
        quantiles = count_quantiles(mean, spreads(units, start) * mean, self.levels)
        return np.repeat(mean[:, None], horizon, axis=1), np.repeat(quantiles[:, None], horizon, axis=1)

    def _smoothed(self, logs: FloatArray, ahead: int) -> tuple[FloatArray, FloatArray]:
        """Centre and standard deviation of so many periods after a series: float64 (ahead,) each."""
        from statsforecast.models import AutoETS

        if np.ptp(logs) == 0:
            return np.full(ahead, logs[-1]), np.zeros(ahead)
        has_season = len(logs) >= max(FEWEST_SEASONS * self.season, FEWEST_FOR_SEASON)
        season = self.season if has_season else 1
        # Logarithms may be below 0, where a multiplicative error means nothing.
        model = AutoETS(season_length=season, model="AZN" if season == 1 else "AZA")
        told = model.forecast(logs, ahead, level=[ONE_SIGMA])
        centre = np.asarray(told["mean"], np.float64)
        width = np.asarray(told[f"hi-{ONE_SIGMA}"], np.float64) - centre
        return centre, np.clip(width, 0.0, WIDEST)


def load(folder: Path) -> Smoothing:
    """Read what `Smoothing.save` wrote.

    Raises:
        BundleError: The bundle is missing, of another format, or damaged.
    """
    return bundles.read(folder, KIND, FORMAT).build(_built)


def _built(bundle: bundles.Bundle) -> Smoothing:
    values = bundle.document["config"]
    return Smoothing(int(values["season"]), tuple(values["levels"]), str(values["name"]))
