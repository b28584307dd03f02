"""Split-conformal calibration: shift each quantile by what earlier origins missed. NumPy only.

Errors are divided by sqrt(median forecast + 1), the growth of a count's spread, and pooled over series within
bands of the median forecast, so that small and large series are each covered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.demand.config import QUANTILES
from models.demand.weekly.forecasts import Forecast, repaired
from models.metrics import FloatArray

BAND_EDGES: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
MIN_BAND_ROWS = 200
WIDE_LEVEL = 0.95
NORMAL_STRETCH = 1.53
"""Width of a normal distribution's 95% interval over its 80% interval: what stands where none was learnt."""

LEAST_REACH = 0.05
"""Least distance from the median to an outer quantile, in sqrt(median + 1), that a stretch multiplies."""


@dataclass(frozen=True)
class Calibration:
    """Shifts by band of the median forecast.

    Attributes:
        edges: Upper edges of all bands but the last, ascending, units a week.
        shifts: float64 (len(edges) + 1, Q), in units of sqrt(median forecast + 1).
        stretch: float64 (len(edges) + 1,), how many times as far from the median as the outer quantiles the
            ends of the 95% interval lie.
    """

    edges: tuple[float, ...]
    shifts: FloatArray
    stretch: FloatArray

    def as_json(self) -> dict[str, Any]:
        """JSON-able form; `from_json` reads it back."""
        return {
            "edges": list(self.edges),
            "shifts": self.shifts.tolist(),
            "stretch": self.stretch.tolist(),
        }


def from_json(document: dict[str, Any]) -> Calibration:
    """Read what `Calibration.as_json` wrote."""
    shifts = np.asarray(document["shifts"], dtype=np.float64)
    stretch = np.asarray(document.get("stretch", [NORMAL_STRETCH] * len(shifts)), dtype=np.float64)
    return Calibration(tuple(document["edges"]), shifts, stretch)


def unshifted() -> Calibration:
    """The calibration that changes nothing."""
    return Calibration((), np.zeros((1, len(QUANTILES))), np.array([NORMAL_STRETCH]))


def _spread(quantiles: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.maximum(quantiles[..., len(QUANTILES) // 2], 0.0) + 1.0))


def _band(quantiles: FloatArray, edges: tuple[float, ...]) -> npt.NDArray[np.int64]:
    return np.searchsorted(np.asarray(edges), quantiles[..., len(QUANTILES) // 2], side="right").astype(
        np.int64
    )


def conformal_shift(scores: FloatArray, level: float) -> float:
    """The finite-sample corrected quantile of n scores.

    Above the median it is the ceil((n + 1) level)-th smallest score, below it mirrors that, so that a new
    exchangeable point is covered with at least the level from each side.

    Args:
        scores: float64 (n,), actual minus forecast over spread.
        level: In (0, 1).

    Returns:
        The shift; 0 for no scores.

    Source:
        Romano, Patterson & Candes 2019, "Conformalized Quantile Regression".
    """
    n = len(scores)
    if n == 0:
        return 0.0
    ordered = np.sort(scores)
    if level == 0.5:
        return float(np.median(ordered))
    if level > 0.5:
        return float(ordered[min(int(np.ceil((n + 1) * level)), n) - 1])
    return float(ordered[max(int(np.floor((n + 1) * level)), 1) - 1])


def calibrate(actual: FloatArray, quantiles: FloatArray) -> Calibration:
    """Learn the shifts from forecasts whose weeks are over.

    Args:
        actual: float64 (...,), units a week; NaN where missing, which is left out.
        quantiles: float64 (..., Q), forecasts of the same points, made before the weeks began.

    Returns:
        The calibration. Bands with fewer than `MIN_BAND_ROWS` points take the shifts of all points.
    """
    seen = ~np.isnan(actual)
    actual, quantiles = actual[seen], quantiles[seen]
    spread = _spread(quantiles)
    scores = (actual[..., None] - quantiles) / spread[..., None]
    band = _band(quantiles, BAND_EDGES).ravel()
    flat = scores.reshape(-1, len(QUANTILES))
    overall = [conformal_shift(flat[:, q], level) for q, level in enumerate(QUANTILES)]
    shifts = np.empty((len(BAND_EDGES) + 1, len(QUANTILES)))
    for row in range(len(shifts)):
        inside = flat[band == row]
        shifts[row] = (
            overall
            if len(inside) < MIN_BAND_ROWS
            else [conformal_shift(inside[:, q], level) for q, level in enumerate(QUANTILES)]
        )
    moved = _moved(quantiles, shifts[_band(quantiles, BAND_EDGES)])
    below, above = _reach(moved)
    middle = moved[..., len(QUANTILES) // 2]
    stretched = np.where(actual < middle, (middle - actual) / below, (actual - middle) / above).ravel()
    served = _band(moved, BAND_EDGES).ravel()
    all_of_them = conformal_shift(stretched, WIDE_LEVEL)
    stretch = np.array(
        [
            conformal_shift(stretched[served == row], WIDE_LEVEL)
            if (served == row).sum() >= MIN_BAND_ROWS
            else all_of_them
            for row in range(len(shifts))
        ]
    )
    return Calibration(BAND_EDGES, shifts, stretch)


def _moved(quantiles: FloatArray, shift: FloatArray) -> FloatArray:
    """Shifted quantiles, not negative and ascending."""
    return np.asarray(np.sort(np.maximum(quantiles + shift * _spread(quantiles)[..., None], 0.0), axis=-1))


def _reach(quantiles: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Distance of the lowest and of the highest quantile from the median, above 0."""
    middle, least = quantiles[..., len(QUANTILES) // 2], LEAST_REACH * _spread(quantiles)
    return np.maximum(middle - quantiles[..., 0], least), np.maximum(quantiles[..., -1] - middle, least)


def wide_interval(calibration: Calibration, forecast: Forecast) -> FloatArray:
    """The 95% interval around a forecast that was calibrated.

    Args:
        calibration: Learnt on earlier origins.
        forecast: The forecast, from `apply`.

    Returns:
        float64 (n, h, 2), lower and upper end; never inside the outer quantiles, never below 0.
    """
    quantiles = forecast.quantiles
    stretch = np.maximum(calibration.stretch[_band(quantiles, calibration.edges)], 1.0)
    below, above = _reach(quantiles)
    middle = quantiles[..., len(QUANTILES) // 2]
    ends = np.stack([np.maximum(middle - stretch * below, 0.0), middle + stretch * above], axis=-1)
    return np.asarray(ends)


def apply(calibration: Calibration, forecast: Forecast) -> Forecast:
    """Shift and repair the quantiles; the mean stays.

    Args:
        calibration: Learnt on earlier origins.
        forecast: The forecast.

    Returns:
        A forecast whose quantiles are non-negative and do not cross.
    """
    shift = calibration.shifts[_band(forecast.quantiles, calibration.edges)]
    moved = forecast.quantiles + shift * _spread(forecast.quantiles)[..., None]
    return repaired(Forecast(forecast.mean, moved))
