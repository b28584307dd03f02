"""Weeks and what is known about them beforehand: holidays, start of the month, time of year.

Local weeks start on Monday. Nothing here looks at sales.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import numpy as np

from models.demand.config import DemandConfig
from models.metrics import FloatArray

CALENDAR_NAMES = ("is_holiday", "is_before_holiday", "month_start_share", "year_sin", "year_cos")


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    """The nth (1..) given weekday (Monday 0) of a month; nth = -1 is the last one."""
    if nth > 0:
        first = date(year, month, 1)
        return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))
    last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - weekday) % 7)


def _easter(year: int) -> date:
    """Gregorian Easter Sunday (anonymous algorithm, Meeus 1991)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (a + 11 * h) // 319
    r = (2 * e + 2 * i - k - h + m + 32) % 7
    month = (h - m + r + 90) // 25
    return date(year, month, (h - m + r + month + 19) % 32)


def us_holidays(year: int) -> tuple[date, ...]:
    """US holidays with a mark on grocery sales, in calendar order."""
    return (
        date(year, 1, 1),
        _easter(year),
        _nth_weekday(year, 5, 0, -1),
        date(year, 7, 4),
        _nth_weekday(year, 9, 0, 1),
        _nth_weekday(year, 11, 3, 4),
        date(year, 12, 25),
    )


def week_of(day: date) -> date:
    """The Monday of a local day's week."""
    return day - timedelta(days=day.weekday())


def last_complete_week(as_of: datetime, config: DemandConfig) -> date:
    """Monday of the newest week that is complete at `as_of`, up to the grace.

    Raises:
        ValueError: `as_of` carries no time zone.
    """
    if as_of.utcoffset() is None:
        raise ValueError("demand: as_of needs a time zone (UTC)")
    local = as_of + timedelta(hours=config.utc_offset_hours + config.week_grace_hours)
    return week_of(local.date()) - timedelta(days=7)


def calendar_inputs(weeks: Sequence[date], history_weeks: int, config: DemandConfig) -> FloatArray:
    """Known-in-advance calendar inputs of each week.

    Args:
        weeks: Mondays.
        history_weeks: Complete weeks of history. Below `season_min_weeks` the year inputs are 0: a model
            that saw a part of one year would have to extrapolate them.
        config: Settings.

    Returns:
        float64 (n_weeks, 5), columns as in `CALENDAR_NAMES`, each between -1 and 1.
    """
    years = {day.year + shift for day in weeks for shift in (0, 1)}
    holidays = set(config.extra_holidays)
    if config.holidays == "us":
        holidays.update(day for year in sorted(years) for day in us_holidays(year))
    result = np.zeros((len(weeks), len(CALENDAR_NAMES)))
    for row, monday in enumerate(weeks):
        days = [monday + timedelta(days=offset) for offset in range(14)]
        result[row, 0] = any(day in holidays for day in days[:7])
        result[row, 1] = any(day in holidays for day in days[7:])
        result[row, 2] = sum(day.day <= 7 for day in days[:7]) / 7
        if history_weeks >= config.season_min_weeks:
            angle = 2 * np.pi * (monday.timetuple().tm_yday - 1) / 365.25
            result[row, 3:] = np.sin(angle), np.cos(angle)
    return result
