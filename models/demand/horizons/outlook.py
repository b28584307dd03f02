"""Published weeks as days and months: days share a week, months sum weeks with their errors together.

Weeks after the last forecast one are like the mean of those that are. Quantiles are those of a negative
binomial with the mean and the variance of the period.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from models.counts import count_quantiles
from models.demand.config import QUANTILES
from models.demand.horizons.together import correlation, variance_of_sum
from models.demand.horizons.weekdays import DAYS, Weekdays
from models.demand.panel.pooling import OUTER_WIDTH
from models.demand.panel.series import Panel
from models.metrics import FloatArray

DAY, MONTH = "day", "month"
MONTHS = (1, 2, 3)

OUTLOOK_SCHEMA = pl.Schema(
    {
        "merchant_id": pl.String,
        "category_id": pl.String,
        "grain": pl.String,
        "starts_on": pl.Date,
        "ends_on": pl.Date,
        "mean_qty": pl.Float64,
        "p10_qty": pl.Float64,
        "p50_qty": pl.Float64,
        "p90_qty": pl.Float64,
        "model": pl.String,
    }
)

QUANTILE_NAMES = ("p10_qty", "p50_qty", "p90_qty")


def outlook(weeks: pl.DataFrame, weekdays: Weekdays, panel: Panel, least_weekly: float) -> pl.DataFrame:
    """Days and months of every published series.

    Args:
        weeks: Columns of `demand_forecasts`, the same weeks for each series.
        weekdays: How weeks fall on days.
        panel: What was sold before.
        least_weekly: Days are told of series that expect so many units a week.

    Returns:
        As `OUTLOOK_SCHEMA`: `day`, one row for each day of the weeks; `month`, the first one, two and three
        months from the first day on, each from that day. Days of a week sum to its mean.
    """
    if weeks.is_empty():
        return OUTLOOK_SCHEMA.to_frame()
    ordered = weeks.sort("merchant_id", "category_id", "week_start_on")
    first = ordered["week_start_on"].min()
    assert isinstance(first, date)
    horizon = ordered["week_start_on"].n_unique()
    series = ordered.select("merchant_id", "category_id", "model").gather_every(horizon)
    mean = ordered["mean_qty"].to_numpy().reshape(-1, horizon)
    width = (ordered["p90_qty"] - ordered["p10_qty"]).to_numpy().reshape(-1, horizon)
    # Quantiles of small counts are all 0; their variance is still that of a count.
    spread = np.maximum(width / OUTER_WIDTH, np.sqrt(mean))
    often = mean.mean(axis=1) >= least_weekly
    days = _days(series.filter(pl.Series(often)), mean[often], spread[often], first, weekdays)
    return pl.concat([days, _months(series, mean, spread, first, panel)]).sort(
        "merchant_id", "category_id", "grain", "ends_on"
    )


def _days(
    series: pl.DataFrame, mean: FloatArray, spread: FloatArray, first: date, weekdays: Weekdays
) -> pl.DataFrame:
    horizon = mean.shape[1]
    share = weekdays.shares(series["merchant_id"].to_list(), series["category_id"].to_list())[:, None, :]
    units = mean[:, :, None] * share
    variance = (spread[:, :, None] * share) ** 2 + weekdays.scatter * units * (1 - share)
    starts = [first + timedelta(days=k) for k in range(horizon * DAYS)]
    flat = (len(series), horizon * DAYS)
    return _rows(series, DAY, starts, starts, units.reshape(flat), variance.reshape(flat))


def _months(
    series: pl.DataFrame, mean: FloatArray, spread: FloatArray, first: date, panel: Panel
) -> pl.DataFrame:
    ends = [_after_months(first, count) - timedelta(days=1) for count in MONTHS]
    totals, variances = [], []
    for end in ends:
        days = (end - first).days + 1
        count = -(-days // DAYS)
        part = np.clip(days / DAYS - np.arange(count), 0.0, 1.0)
        total = (_longer(mean, count) * part).sum(axis=1)
        variance = variance_of_sum(_longer(spread, count), part, correlation(panel, count))
        totals.append(total)
        variances.append(np.maximum(variance, total))
    starts = [first] * len(ends)
    return _rows(series, MONTH, starts, ends, np.stack(totals, axis=1), np.stack(variances, axis=1))


def _longer(weekly: FloatArray, weeks: int) -> FloatArray:
    """So many weeks; those after the last are like the mean of all."""
    missing = max(0, weeks - weekly.shape[1])
    more = np.repeat(weekly.mean(axis=1, keepdims=True), missing, axis=1)
    return np.concatenate([weekly, more], axis=1)[:, :weeks]


def _after_months(day: date, months: int) -> date:
    """The same day so many months later, or the last of that month."""
    later: date = pl.Series([day]).dt.offset_by(f"{months}mo").item()
    return later


def _rows(
    series: pl.DataFrame,
    grain: str,
    starts: list[date],
    ends: list[date],
    mean: FloatArray,
    variance: FloatArray,
) -> pl.DataFrame:
    """One row a series and period from (n, p)."""
    count, periods = mean.shape
    row, period = np.repeat(np.arange(count), periods), np.tile(np.arange(periods), count)
    quantiles = count_quantiles(mean.ravel(), variance.ravel(), QUANTILES)
    return (
        series.select(pl.all().gather(row))
        .with_columns(
            pl.Series("starts_on", starts, pl.Date).gather(period),
            pl.Series("ends_on", ends, pl.Date).gather(period),
            pl.Series("mean_qty", mean.ravel()),
            *(pl.Series(name, quantiles[:, k]) for k, name in enumerate(QUANTILE_NAMES)),
            grain=pl.lit(grain),
        )
        .select([pl.col(name).cast(kind) for name, kind in OUTLOOK_SCHEMA.items()])
    )
