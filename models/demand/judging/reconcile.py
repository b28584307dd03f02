"""Bring series forecasts in line with their category's level: noise averages out there, drift shows first.

A global network fitted weeks ago lags a category that drifts; the category's own level (`levels`) does not.
Every series of the category moves by the same factor.
"""

from __future__ import annotations

import numpy as np

from models.demand.panel.series import Panel
from models.demand.weekly.forecasts import Forecast
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


def towards_category_level(forecast: Forecast, panel: Panel, level: FloatArray, weight: float) -> Forecast:
    """Scale each category's series towards the category's level.

    Args:
        forecast: float64 (n, h).
        panel: The panel; only its categories are read.
        level: float64 (categories,), units over the h weeks, categories in sorted order.
        weight: 0 leaves the forecast, 1 takes the level as the total of the horizon.

    Returns:
        The scaled forecast.
    """
    if weight == 0:
        return forecast
    summed = category_totals(forecast.mean, panel).sum(axis=1)
    factor = ((level + DAMPING_UNITS) / (summed + DAMPING_UNITS)) ** weight
    factor = np.clip(factor, 1 / LARGEST_FACTOR, LARGEST_FACTOR)
    _, code = np.unique(np.array(panel.category_id), return_inverse=True)
    each = factor[code]
    return Forecast(forecast.mean * each[:, None], forecast.quantiles * each[:, None, None])
