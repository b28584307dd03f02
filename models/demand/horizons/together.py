"""How far errors of weeks go together: what a sum of weeks may miss is more than independent weeks would.

A level that is wrong is wrong in every week. The correlation is read from what a simple rule missed at past
origins, over as many weeks as are to be summed.
"""

from __future__ import annotations

import numpy as np

from models.demand.families.intermittent import tsb
from models.demand.panel.series import Panel
from models.demand.panel.windows import is_whole
from models.metrics import FloatArray

ORIGINS = 12
"""So many newest origins whose weeks are over are read."""

FEWEST_WEEKS = 8
"""Weeks before an origin that the rule reads."""


def correlation(panel: Panel, weeks: int) -> float:
    """Mean correlation of a series' errors in two of so many weeks ahead.

    Args:
        panel: The panel.
        weeks: Weeks ahead, at least 1.

    Returns:
        0 to 1. Of a history too short for these weeks it is that of the longest that fits; 1 without any.
    """
    longest = min(weeks, panel.n_weeks - FEWEST_WEEKS)
    if longest < 2:
        return 1.0
    units = panel.qty.astype(np.float64)
    last = panel.n_weeks - longest
    apart = together = 0.0
    for origin in range(max(FEWEST_WEEKS, last - ORIGINS + 1), last + 1):
        begun = ~panel.is_pooled & (panel.start <= origin - FEWEST_WEEKS) & is_whole(panel, origin, longest)
        ahead = units[begun, origin : origin + longest]
        error = ahead - tsb(units[begun, :origin], panel.start[begun])[:, None]
        apart += float((error**2).sum())
        together += float((error.sum(axis=1) ** 2).sum())
    if apart == 0:
        return 1.0
    return float(np.clip((together / apart - 1) / (longest - 1), 0.0, 1.0))


def variance_of_sum(spread: FloatArray, part: FloatArray, correlation: float) -> FloatArray:
    """Variance of a sum of parts of weeks.

    Args:
        spread: float64 (n, w), standard deviation of each week.
        part: float64 (w,), how much of each week is in the sum, 0 to 1.
        correlation: Of any two weeks.

    Returns:
        float64 (n,).
    """
    weighed = spread * part
    alone = (weighed**2).sum(axis=1)
    return np.asarray((1 - correlation) * alone + correlation * weighed.sum(axis=1) ** 2)
