"""Quantiles of counts that are known by their mean and variance."""

from __future__ import annotations

import numpy as np
from scipy import stats

from models.metrics import FloatArray

SMALL = 64.0
"""Up to this mean the chances of 0, 1, 2, ... units are added up, which is much faster than a search."""


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


def count_quantiles(mean: FloatArray, variance: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """`count_quantile` at several levels at once.

    Args:
        mean: float64 (n,), units.
        variance: float64 (n,).
        levels: Ascending, in (0, 1).

    Returns:
        float64 (n, q), whole units.
    """
    found = np.zeros((len(mean), len(levels)))
    large = np.flatnonzero(mean > SMALL)
    for column, level in enumerate(levels):
        found[large, column] = count_quantile(mean[large], variance[large], level)
    rows = np.flatnonzero((mean > 0) & (mean <= SMALL))
    middle, spread = mean[rows], variance[rows]
    over = spread - middle > 1e-9 * middle
    size = np.where(over, middle**2 / np.where(over, spread - middle, 1.0), 1.0)
    odds = np.where(over, 1 - middle / np.where(over, spread, 1.0), 0.0)
    chance = np.where(over, np.exp(size * np.log1p(-odds)), np.exp(-middle))
    below, units = chance.copy(), 0
    while len(rows):
        for column, level in enumerate(levels):
            found[rows, column] += below < level
        step = np.where(over, (size + units) * odds, middle) / (units + 1)
        left = below < levels[-1]
        rows, middle, size, odds, over = rows[left], middle[left], size[left], odds[left], over[left]
        chance = chance[left] * step[left]
        below, units = below[left] + chance, units + 1
    return found
