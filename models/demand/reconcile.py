"""Bring series forecasts in line with their category's level: noise averages out there, drift shows first.

A global network fitted weeks ago lags a category that drifts; the category's own smoothing does not. Totals
meet half-way (geometric mean), and every series of the category moves by the same factor.
"""

from __future__ import annotations

import numpy as np

from models.demand.baselines import exponential_smoothing
from models.demand.forecasts import Forecast
from models.demand.series import Panel
from models.metrics import FloatArray

DAMPING_UNITS = 5.0
LARGEST_FACTOR = 3.0


def category_totals(values: FloatArray, panel: Panel) -> FloatArray:
    """Sum series to categories, bottom-up.

    Args:
        values: float64 (n, w).
        panel: The panel.

    Returns:
        float64 (categories, w), categories in sorted order.
    """
    _, code = np.unique(np.array(panel.category_id), return_inverse=True)
    totals = np.zeros((int(code.max()) + 1, values.shape[1]))
    np.add.at(totals, code, values)
    return totals


def towards_category_level(forecast: Forecast, panel: Panel, origin: int, weight: float) -> Forecast:
    """Scale each category's series towards the category's exponentially smoothed level.

    Args:
        forecast: float64 (n, h), made at `origin`.
        panel: The panel; weeks at or after `origin` are not read.
        origin: Index of the first week forecast.
        weight: 0 leaves the forecast, 1 takes the smoothed total of the horizon.

    Returns:
        The scaled forecast.
    """
    if weight == 0:
        return forecast
    sold = category_totals(panel.qty[:, :origin].astype(np.float64), panel)
    begun = np.argmax(sold > 0, axis=1).astype(np.int64)
    smoothed = exponential_smoothing(sold, begun, forecast.mean.shape[1]).sum(axis=1)
    summed = category_totals(forecast.mean, panel).sum(axis=1)
    factor = ((smoothed + DAMPING_UNITS) / (summed + DAMPING_UNITS)) ** weight
    factor = np.clip(factor, 1 / LARGEST_FACTOR, LARGEST_FACTOR)
    _, code = np.unique(np.array(panel.category_id), return_inverse=True)
    each = factor[code]
    return Forecast(forecast.mean * each[:, None], forecast.quantiles * each[:, None, None])
