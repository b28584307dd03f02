"""Moments at the edge of a month, told in any time zone, booked out of order."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from settlement_books import plan
from settlement_sales import sale

from serving.ledger.accounts import Party
from serving.ledger.errors import PeriodClosedError
from serving.settlement.reports.statements import Period, close_period, statement

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
