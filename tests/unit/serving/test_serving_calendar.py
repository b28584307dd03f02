"""Months and days of time zones, also where the clock changes."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.db.calendar import day_start, days_before, local_day, month_before, month_end
from serving.settlement.reports.statements import Period

SHANGHAI, NEW_YORK, BERLIN = (ZoneInfo(n) for n in ("Asia/Shanghai", "America/New_York", "Europe/Berlin"))
ZONES = [ZoneInfo("UTC"), SHANGHAI, NEW_YORK, BERLIN, ZoneInfo("Asia/Kolkata"), ZoneInfo("Pacific/Apia")]


def test_half_past_midnight_of_1_april_in_shanghai_is_april():
    sale = datetime(2026, 3, 31, 16, 30, tzinfo=UTC)
    assert local_day(sale, SHANGHAI) == date(2026, 4, 1)
    assert local_day(sale, ZoneInfo("UTC")) == date(2026, 3, 31)
    april = Period(2026, 4, "Asia/Shanghai")
    assert april.start == datetime(2026, 3, 31, 16, tzinfo=UTC)
    assert april.start <= sale < april.end == datetime(2026, 4, 30, 16, tzinfo=UTC)


def test_a_month_in_which_the_clock_changes_is_an_hour_shorter_or_longer():
    """New York: 8 March and 1 November 2026; Berlin: 29 March and 25 October 2026."""
    for zone, short, long_ in ((NEW_YORK, 3, 11), (BERLIN, 3, 10)):
        hours = {}
        for month in (short, long_):
            period = Period(2026, month, zone.key)
            hours[month] = (period.end - period.start) // timedelta(hours=1)
        days = {3: 31, 10: 31, 11: 30}
        assert hours == {short: 24 * days[short] - 1, long_: 24 * days[long_] + 1}
    assert month_end(date(2026, 3, 1), NEW_YORK) == datetime(2026, 4, 1, 4, tzinfo=UTC)
    assert month_end(date(2026, 2, 1), NEW_YORK) == datetime(2026, 3, 1, 5, tzinfo=UTC)


def test_a_window_of_days_keeps_the_local_midnight_over_a_change_of_the_clock():
    """90 days before 1 April 2026 in New York is midnight of 1 January, in winter time."""
    end = month_end(date(2026, 3, 1), NEW_YORK)
    assert days_before(end, 90, NEW_YORK) == datetime(2026, 1, 1, 5, tzinfo=UTC)
    assert end - timedelta(days=90) == datetime(2026, 1, 1, 4, tzinfo=UTC)


def test_the_last_month_that_is_over_is_the_local_one():
    early = datetime(2026, 3, 31, 16, 30, tzinfo=UTC)
    assert month_before(early, SHANGHAI) == date(2026, 3, 1)
    assert month_before(early, ZoneInfo("UTC")) == date(2026, 2, 1)
    assert month_before(datetime(2026, 4, 1, 3, 30, tzinfo=UTC), NEW_YORK) == date(2026, 2, 1)


def test_a_month_is_named_by_its_first_day():
    with pytest.raises(ValueError, match="first day"):
        month_end(date(2024, 2, 2), SHANGHAI)


@given(st.dates(date(2000, 2, 1), date(2060, 1, 1)), st.sampled_from(ZONES))
def test_months_and_days_leave_no_gap(day, zone):
    first = day.replace(day=1)
    period = Period(first.year, first.month, zone.key)
    following = Period(period.next_first_day.year, period.next_first_day.month, zone.key)
    assert period.end == following.start == month_end(first, zone) > period.start
    assert day_start(day, zone) < day_start(day + timedelta(days=1), zone)
    assert local_day(period.end - timedelta(microseconds=1), zone).replace(day=1) == first
    assert month_before(period.end, zone) == first
