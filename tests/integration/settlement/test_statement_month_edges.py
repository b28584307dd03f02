"""Moments at the edge of a month, told in any time zone, booked out of order."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from settlement_books import plan
from settlement_sales import sale

from serving.db.calendar import CalendarError, set_zone
from serving.ledger.accounts import Party
from serving.ledger.errors import PeriodClosedError
from serving.settlement.reports.statements import Period, StatementError, close_period, statement

CHINA = timezone(timedelta(hours=8))
MARCH, APRIL, MAY = Period(2026, 3), Period(2026, 4), Period(2026, 5)
SUPPLIER = Party("supplier", "S1")
LATER = datetime(2026, 6, 2, tzinfo=UTC)
EDGE = datetime(2026, 4, 1, tzinfo=UTC)


def book(books, order_id, at):
    books.place(sale(order_id))
    books.accrue(sale(order_id), plan(), at)


def test_a_booking_belongs_to_the_month_of_its_utc_moment(books):
    """April's first moment in UTC is eight in the morning in China."""
    moments = [
        EDGE,
        datetime(2026, 3, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 4, 1, 7, 59, 59, 999_999, tzinfo=CHINA),
        datetime(2026, 4, 1, 8, 0, tzinfo=CHINA),
        datetime(2026, 4, 30, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 5, 1, 0, 0, tzinfo=CHINA),
        datetime(2026, 5, 1, 8, 0, tzinfo=CHINA),
    ]
    for number, at in enumerate(moments):
        book(books, f"o{number}", at)
    for month in (MARCH, APRIL, MAY):
        books.do(close_period, month, LATER)
        assert books.violations() == []
    closings = [books.do(statement, SUPPLIER, month).closing_cents for month in (MARCH, APRIL, MAY)]
    assert closings == [2 * 6_000, 6 * 6_000, 7 * 6_000]
    openings = [books.do(statement, SUPPLIER, month).opening_cents for month in (MARCH, APRIL, MAY)]
    assert openings == [0, *closings[:2]]


def test_a_closed_month_takes_nothing_and_its_end_belongs_to_the_next(books):
    book(books, "o1", EDGE - timedelta(microseconds=1))
    books.do(close_period, MARCH, LATER)
    with pytest.raises(PeriodClosedError):
        book(books, "o2", EDGE - timedelta(microseconds=1))
    book(books, "o3", EDGE)
    assert books.do(statement, SUPPLIER, APRIL).opening_cents == 6_000
    assert books.do(statement, SUPPLIER, APRIL).closing_cents == 12_000


def test_months_and_days_of_a_statement_are_those_of_the_tenant(books):
    """A sale of 00:30 on 1 April in Shanghai is April's, one of 23:30 on 31 March is March's: 60.00 each."""
    books.do(set_zone, "Asia/Shanghai")
    book(books, "march", datetime(2026, 3, 31, 23, 30, tzinfo=CHINA))
    book(books, "april", datetime(2026, 4, 1, 0, 30, tzinfo=CHINA))
    march, april = (books.do(statement, SUPPLIER, month) for month in (MARCH, APRIL))
    assert [day.on for day in march.days] == [date(2026, 3, 31)]
    assert [(day.on, day.moved_cents) for day in april.days] == [(date(2026, 4, 1), 6_000)]
    assert (march.closing_cents, april.opening_cents, april.closing_cents) == (6_000, 6_000, 12_000)
    # March is over eight hours before it is over in UTC, and not a moment earlier.
    over = datetime(2026, 4, 1, tzinfo=CHINA)
    with pytest.raises(StatementError, match="not over"):
        books.do(close_period, MARCH, over - timedelta(microseconds=1))
    assert books.do(close_period, MARCH, over).is_new
    book(books, "first", over)
    assert books.do(close_period, APRIL, LATER).is_new
    assert books.do(statement, SUPPLIER, APRIL).opening_cents == 6_000
    assert books.do(statement, SUPPLIER, APRIL).closing_cents == 18_000
    assert books.violations() == []
    with pytest.raises(PeriodClosedError):
        book(books, "late", datetime(2026, 5, 1, tzinfo=CHINA) - timedelta(microseconds=1))
    with pytest.raises(CalendarError, match="stays"):
        books.do(set_zone, "UTC")
    books.do(set_zone, "Asia/Shanghai")


def test_a_month_with_a_change_of_the_clock(books):
    """New York, March 2026: summer time from the 8th; the month ends at 04:00 UTC, not at 05:00."""
    books.do(set_zone, "America/New_York")
    book(books, "in", datetime(2026, 4, 1, 3, 59, tzinfo=UTC))
    book(books, "out", datetime(2026, 4, 1, 4, 0, tzinfo=UTC))
    book(books, "first", datetime(2026, 3, 1, 5, 0, tzinfo=UTC))
    books.do(close_period, MARCH, LATER)
    assert books.do(statement, SUPPLIER, MARCH).closing_cents == 12_000
    assert [day.on for day in books.do(statement, SUPPLIER, MARCH).days] == [
        date(2026, 3, 1),
        date(2026, 3, 31),
    ]
    assert books.violations() == []


def test_a_zone_that_nobody_knows_is_refused(books):
    for name in ("Asia/Nowhere", "", "../etc/passwd"):
        with pytest.raises(CalendarError, match="no time zone"):
            books.do(set_zone, name)
