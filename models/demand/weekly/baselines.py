"""The simple rules: naive, season, means, smoothing, intermittent demand, the papers' blend. No quantiles.

A missing week teaches smoothing and the rules of intermittent demand nothing; the others read it as filled.

With one year of history there is no season of 52 weeks: `seasonal_naive` then repeats the last four weeks
(the pay and mailer cycle) week by week, and says so by its name; with more than 52 weeks it is last year.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.demand.families.intermittent import METHODS
from models.demand.panel.missing import filled
from models.demand.panel.series import Int64
from models.metrics import FloatArray

YEAR_WEEKS = 52
CYCLE_WEEKS = 4
SMOOTHING_GRID: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.5, 0.8)

Rule = Callable[[FloatArray, Int64, int], FloatArray]


def _flat(level: FloatArray, horizon: int) -> FloatArray:
    return np.repeat(level[:, None], horizon, axis=1)


def _trailing(qty: FloatArray, start: Int64, weeks: int) -> FloatArray:
    """The last `weeks` columns as float64, NaN before a series' first sale; an unsold series is one 0."""
    tail = filled(qty, start)[:, -weeks:].astype(np.float64)
    first = qty.shape[1] - tail.shape[1]
    tail[np.arange(tail.shape[1])[None, :] + first < start[:, None]] = np.nan
    tail[np.isnan(tail).all(axis=1), -1] = 0.0
    return tail


def naive(qty: FloatArray, start: Int64, horizon: int) -> FloatArray:
    """The last week, repeated.

    Args:
        qty: float (n, t), units a week before the origin; NaN where missing.
        start: int (n,), index of the first sale.
        horizon: Weeks ahead.

    Returns:
        float64 (n, horizon), units a week. The other rules take and give the same.
    """
    return _flat(filled(qty, start)[:, -1].astype(np.float64), horizon)


def seasonal_naive(qty: FloatArray, start: Int64, horizon: int) -> FloatArray:
    """The same week of last year, or of the last four-week cycle when there is no full year."""
    season = YEAR_WEEKS if qty.shape[1] > YEAR_WEEKS else min(CYCLE_WEEKS, qty.shape[1])
    columns = qty.shape[1] - season + np.arange(horizon) % season
    return filled(qty, start)[:, columns].astype(np.float64)


def mean_last(weeks: int) -> Rule:
    """The rule "mean of the last `weeks` weeks on sale"."""

    def rule(qty: FloatArray, start: Int64, horizon: int) -> FloatArray:
        return _flat(np.nanmean(_trailing(qty, start, weeks), axis=1), horizon)

    return rule


def median_last(weeks: int) -> Rule:
    """The rule "median of the last `weeks` weeks on sale"."""

    def rule(qty: FloatArray, start: Int64, horizon: int) -> FloatArray:
        return _flat(np.nanmedian(_trailing(qty, start, weeks), axis=1), horizon)

    return rule


def smoothed_levels(qty: FloatArray, start: Int64, alpha: float) -> tuple[FloatArray, FloatArray]:
    """Simple exponential smoothing from a series' first sale on.

    Args:
        qty: float (n, t), units a week; a missing one (NaN) leaves the level.
        start: int (n,), index of the first sale; the level starts there.
        alpha: Weight of the newest week, in (0, 1].

    Returns:
        The last level, float64 (n,), and the sum of squared one-step errors, float64 (n,).
    """
    level = np.zeros(qty.shape[0])
    squared = np.zeros(qty.shape[0])
    for week in range(qty.shape[1]):
        value = qty[:, week].astype(np.float64)
        error = np.where((week > start) & ~np.isnan(value), value - level, 0.0)
        level = np.where(week == start, value, level + alpha * error)
        squared += error**2
    return level, squared


def exponential_smoothing(qty: FloatArray, start: Int64, horizon: int) -> FloatArray:
    """Simple exponential smoothing; each series picks the grid's weight with the least squared error."""
    levels, errors = zip(*(smoothed_levels(qty, start, alpha) for alpha in SMOOTHING_GRID), strict=True)
    best = np.argmin(np.stack(errors), axis=0)
    return _flat(np.stack(levels)[best, np.arange(qty.shape[0])], horizon)


def intermittent(name: str) -> Rule:
    """The rule of that name in `families.intermittent`: SBA or TSB."""

    def rule(qty: FloatArray, start: Int64, horizon: int) -> FloatArray:
        return _flat(METHODS[name](qty.astype(np.float64), start), horizon)

    return rule


def blend_40_30_20(qty: FloatArray, start: Int64, horizon: int) -> FloatArray:
    """History 40, season 30, market trend 20; the printed weights sum to 90 and are normalised.

    History is the mean of the last 26 weeks, season is `seasonal_naive`, trend extends the last four weeks'
    mean by its change against the four weeks before.

    Source:
        "Intelligent replenishment" weights of the S2B2C paper; the reading of the three parts is ours.
    """
    history = mean_last(26)(qty, start, horizon)
    newest = mean_last(CYCLE_WEEKS)(qty, start, horizon)
    before = newest
    if qty.shape[1] > CYCLE_WEEKS:
        before = mean_last(CYCLE_WEEKS)(qty[:, :-CYCLE_WEEKS], start, horizon)
    steps = np.arange(1, horizon + 1)[None, :] + (CYCLE_WEEKS - 1) / 2
    trend = np.maximum(newest + (newest - before) / CYCLE_WEEKS * steps, 0.0)
    return (0.4 * history + 0.3 * seasonal_naive(qty, start, horizon) + 0.2 * trend) / 0.9


RULES: dict[str, Rule] = {
    "naive": naive,
    "seasonal_naive": seasonal_naive,
    "mean_4w": mean_last(4),
    "mean_13w": mean_last(13),
    "mean_26w": mean_last(26),
    "median_13w": median_last(13),
    "ses": exponential_smoothing,
    "sba": intermittent("sba"),
    "tsb": intermittent("tsb"),
    "blend_40_30_20": blend_40_30_20,
}
