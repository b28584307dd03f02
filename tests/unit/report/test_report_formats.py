from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from pipelines.report import formats


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (formats.count, ()),
        (formats.decimal, ()),
        (formats.percent, ()),
        (formats.signed_percent, ()),
        (formats.amount, ("USD",)),
        (formats.money, ("USD",)),
        (formats.duration, ()),
        (formats.memory, ()),
    ],
)
@pytest.mark.parametrize("missing", [None, float("nan"), float("inf")])
def test_no_value_is_a_dash(function, arguments, missing):
    assert function(missing, *arguments) == formats.NOTHING


@pytest.mark.parametrize(
    ("minor", "currency", "expected"),
    [
        (123_456_789, "USD", "1,234,567.89"),
        (-150, "CNY", "−1.50"),
        (0, "EUR", "0.00"),
        (1500, "JPY", "1,500"),
        (1500, "KWD", "1.500"),
    ],
)
def test_money_follows_the_decimals_of_its_currency(minor, currency, expected):
    assert formats.amount(minor, currency) == expected


def test_a_change_of_nothing_that_rounds_to_zero_keeps_its_sign():
    assert formats.signed_percent(0.05) == "+5.0%"
    assert formats.signed_percent(-0.051) == "−5.1%"


def test_moments_are_shown_in_utc():
    assert (
        formats.moment(datetime(2018, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=-5))))
        == "2018-01-01 05:30 UTC"
    )
    assert formats.moment(None) == formats.NOTHING


def test_days():
    assert formats.day(date(2017, 3, 4)) == "2017-03-04"
    assert formats.day(datetime(2017, 3, 4, 23, tzinfo=UTC)) == "2017-03-04"
    assert formats.day(None) == formats.NOTHING


def test_shortened_keeps_the_length():
    assert formats.shortened("abcdef", 6) == "abcdef"
    assert formats.shortened("abcdefg", 6) == "abcde…"
