"""What a forecast is: means and quantiles of every series, and their repair. No model lives here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.metrics import FloatArray


@dataclass(frozen=True)
class Forecast:
    """A forecast of n series over h weeks.

    Attributes:
        mean: float64 (n, h), units a week.
        quantiles: float64 (n, h, Q), units a week, in the order of `QUANTILES`.
    """

    mean: FloatArray
    quantiles: FloatArray


def count_crossings(quantiles: FloatArray) -> int:
    """Number of (series, week) points where a higher quantile lies below a lower one."""
    return int((np.diff(quantiles, axis=-1) < 0).any(axis=-1).sum())


def repaired(forecast: Forecast) -> Forecast:
    """Non-negative, finite-checked and sorted quantiles (Chernozhukov et al. 2010: sorting never hurts).

    Raises:
        ValueError: A value is NaN or infinite.
    """
    if not (np.isfinite(forecast.mean).all() and np.isfinite(forecast.quantiles).all()):
        raise ValueError("forecast: a value is not finite; the model that made it must not serve")
    return Forecast(np.maximum(forecast.mean, 0.0), np.sort(np.maximum(forecast.quantiles, 0.0), axis=-1))
