"""Weeks and what is known about them beforehand: holidays, start of the month, time of year.

Local weeks start on Monday. Nothing here looks at sales.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

import holidays
import numpy as np

from models.demand.config import NO_HOLIDAYS, DemandConfig
from models.metrics import FloatArray

CALENDAR_NAMES = ("is_holiday", "is_before_holiday", "month_start_share", "year_sin", "year_cos")


SHOPPING_DAYS: Mapping[str, tuple[tuple[int, int], ...]] = {"CN": ((6, 18), (11, 11), (12, 12))}
"""Month and day of yearly sales that are no public holidays, by country."""


def holidays_of(country: str, years: Iterable[int]) -> frozenset[date]:
    """Public holidays and yearly shopping days of a country.

    Args:
        country: ISO 3166 code, or `none`.
        years: Calendar years; days off that a government has not announced yet are its usual ones.
    """
    if country == NO_HOLIDAYS:
        return frozenset()
    wanted = sorted(years)
    public = holidays.country_holidays(country, years=wanted, language="en_US")
    shopping = (date(year, *day) for year in wanted for day in SHOPPING_DAYS.get(country, ()))
    return frozenset([*public, *shopping])


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
    marked = holidays_of(config.holidays, years) | set(config.extra_holidays)
    result = np.zeros((len(weeks), len(CALENDAR_NAMES)))
    for row, monday in enumerate(weeks):
        days = [monday + timedelta(days=offset) for offset in range(14)]
        result[row, 0] = any(day in marked for day in days[:7])
        result[row, 1] = any(day in marked for day in days[7:])
        result[row, 2] = sum(day.day <= 7 for day in days[:7]) / 7
        if history_weeks >= config.season_min_weeks:
            angle = 2 * np.pi * (monday.timetuple().tm_yday - 1) / 365.25
            result[row, 3:] = np.sin(angle), np.cos(angle)
    return result
