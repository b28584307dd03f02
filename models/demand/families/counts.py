"""Quantiles of counts that are known by their mean and variance."""

from __future__ import annotations

import numpy as np
from scipy import stats

from models.metrics import FloatArray


def count_quantile(mean: FloatArray, variance: FloatArray, level: float) -> FloatArray:
    """Quantile of a negative binomial matched to mean and variance; Poisson where variance <= mean.

    Args:
        mean: float64 (...,), units; 0 gives 0.
        variance: float64 (...,).
        level: In (0, 1).

    Returns:
        float64 (...,), whole units.
    """
    safe_mean = np.maximum(mean, 1e-12)
    excess = variance - safe_mean
    over = excess > 1e-9 * safe_mean
    size = np.where(over, safe_mean**2 / np.where(over, excess, 1.0), 1.0)
    rate = np.where(over, safe_mean / np.maximum(variance, 1e-12), 0.5)
    result = np.where(over, stats.nbinom.ppf(level, size, rate), stats.poisson.ppf(level, safe_mean))
    return np.asarray(np.where(mean > 0, result, 0.0), dtype=np.float64)
