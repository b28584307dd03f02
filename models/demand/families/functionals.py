"""Numbers read from a forecast's quantiles: which one is best depends on how errors are counted.

The median has the least absolute error, the mean no bias, and the relative median the least absolute
percentage error, which punishes a forecast above more than one below.

Source:
    Gneiting 2011, "Making and evaluating point forecasts".
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from models.demand.families.inputs import HALF_UNIT
from models.metrics import FloatArray

GRID = 99
FLOOR = 1e-9


def log_normal_grid(quantiles: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """Equally likely values between quantiles: logarithms linear in the normal score, ends extended.

    Args:
        quantiles: float64 (..., q), ascending, not negative.
        levels: The q levels, at least 2.

    Returns:
        float64 (..., `GRID`), ascending.
    """
    scores = np.asarray(stats.norm.ppf(levels))
    wanted = np.asarray(stats.norm.ppf((np.arange(GRID) + 0.5) / GRID))
    logs = np.log(np.maximum(quantiles, FLOOR))
    place = np.clip(np.searchsorted(scores, wanted) - 1, 0, len(levels) - 2)
    share = (wanted - scores[place]) / (scores[place + 1] - scores[place])
    return np.asarray(np.exp(logs[..., place] + share * (logs[..., place + 1] - logs[..., place])))


def relative_median(quantiles: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """The number with the least expected |actual - number| / actual.

    It is the median of the distribution weighted by 1 / value; of a log-normal exp(mu - sigma^2).

    Args:
        quantiles: float64 (..., q), ascending, above 0.
        levels: The q levels.

    Returns:
        float64 (...,).
    """
    grid = log_normal_grid(quantiles, levels)
    weight = np.cumsum(1.0 / np.maximum(grid, FLOOR), axis=-1)
    place = (weight < 0.5 * weight[..., -1:]).sum(axis=-1)
    return np.asarray(np.take_along_axis(grid, place[..., None], axis=-1)[..., 0])


def expectation(quantiles: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """The mean of the distribution that the quantiles draw, in logarithms of units plus a half.

    The half keeps a quantile of 0 from being infinitely far from the next, whose distance extends the ends.

    Args:
        quantiles: float64 (..., q), ascending, not negative.
        levels: The q levels.

    Returns:
        float64 (...,).
    """
    grid = log_normal_grid(quantiles + HALF_UNIT, levels) - HALF_UNIT
    return np.asarray(np.maximum(grid, 0.0).mean(axis=-1))
