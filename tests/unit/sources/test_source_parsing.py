"""Typed values out of text and of other types; unreadable ones are marked, never lost."""

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.sources.values.columns import Parsed, parse_column
from pipelines.sources.values.numbers import MISSING_WORDS

TIME = pl.Datetime("us", "UTC")


def unreadable(parsed: Parsed) -> pl.Series:
    """Mask of the values with a problem; a value has one at most."""
    bad = pl.Series([0] * len(parsed.values), dtype=pl.Int64)
    for mask, _ in parsed.problems:
        bad += mask.cast(pl.Int64)
    assert bad.max() in (None, 0, 1)
    return bad == 1


def read(values: list, dtype: pl.DataType, is_text: bool = True) -> list:
    """Parsed values, with 'bad' where a value was there and could not be read."""
    parsed = parse_column(pl.Series("x", values), dtype, is_text=is_text)
    bad = unreadable(parsed).to_list()
    return ["bad" if wrong else value for value, wrong in zip(parsed.values.to_list(), bad, strict=True)]


@pytest.mark.parametrize(
    ("text", "hour", "minute"),
    [
        ("2026-11-01T09:30:00Z", 9, 30),
        ("2026-11-01 09:30:00", 9, 30),
        ("2026-11-01T09:30", 9, 30),
        ("2026-11-01T09:30Z", 9, 30),
        ("2026-11-01T09:30:00+08:00", 1, 30),
        ("2026-11-01 09:30:00 +0800", 1, 30),
        ("2026-11-01T09:30:00-05", 14, 30),
        ("2026-11-01T09:30:00.000000+00:00", 9, 30),
        ("2026-11-01", 0, 0),
        ("  2026-11-01T09:30:00z ", 9, 30),
    ],
)
def test_times_with_and_without_offset(text, hour, minute):
    assert read([text], TIME) == [dt.datetime(2026, 11, 1, hour, minute, tzinfo=dt.UTC)]


def test_times_that_are_none():
    assert read(["", None, "tomorrow", "2026-13-01", "2026-02-30T00:00:00", "17620000001"], TIME) == [
        None, None, "bad", "bad", "bad", "bad",
    ]  # fmt: skip


def test_typed_times():
    naive, aware = dt.datetime(2026, 11, 1, 9), dt.datetime(2026, 11, 1, 9, tzinfo=dt.UTC)  # noqa: DTZ001
    assert read([naive], TIME, is_text=False) == [aware]
    shanghai = pl.Series("x", [aware]).dt.convert_time_zone("Asia/Shanghai")
    assert parse_column(shanghai, TIME, is_text=False).values.to_list() == [aware]
    assert read([dt.date(2026, 11, 1)], TIME, is_text=False) == [aware.replace(hour=0)]
    assert read([1], TIME, is_text=False) == ["bad"]


def test_whole_numbers():
    values = ["1", " 7 ", "3.0", "3.", "-4", "+5", "1.5", "1e3", "x", "", "99999999999999999999"]
    assert read(values, pl.Int64()) == [1, 7, 3, 3, -4, 5, "bad", "bad", "bad", None, "bad"]
    assert read(["3000000000"], pl.Int32()) == ["bad"]
    assert read([1.0, 1.5, float("nan"), None], pl.Int64(), is_text=False) == [1, "bad", None, None]
    assert read([True], pl.Int64(), is_text=False) == ["bad"]


def test_flags_numbers_dates_and_ids():
    assert read(["TRUE", "no", "1", "0", "maybe", ""], pl.Boolean()) == [
        True,
        False,
        True,
        False,
        "bad",
        None,
    ]
    assert read([1, 0, 2], pl.Boolean(), is_text=False) == [True, False, "bad"]
    assert read(["0.5", "nan", "inf", "x"], pl.Float64()) == [0.5, None, "bad", "bad"]
    assert read([0.5, float("nan")], pl.Float64(), is_text=False) == [0.5, "bad"]
    assert read(["2026-11-01", "2026-11-01T10:00:00", "1.11.2026"], pl.Date()) == [
        dt.date(2026, 11, 1), dt.date(2026, 11, 1), "bad",
    ]  # fmt: skip
    assert read([1095275.0, None], pl.String(), is_text=False) == ["1095275", None]
    assert read([1095275], pl.String(), is_text=False) == ["1095275"]
    assert read([[1, 2]], pl.String(), is_text=False) == ["bad"]
    assert read(["  a ", " "], pl.String()) == ["a", None]


NAIVE = st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2100, 1, 1))  # noqa: DTZ001


@settings(deadline=None)
@given(NAIVE, st.integers(-12, 14))
def test_any_iso_time_is_read_as_python_reads_it(time, hours):
    aware = time.replace(tzinfo=dt.timezone(dt.timedelta(hours=hours)))
    assert read([aware.isoformat(), time.isoformat(sep=" ")], TIME) == [
        aware.astimezone(dt.UTC), time.replace(tzinfo=dt.UTC),
    ]  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=8)), max_size=20))
def test_a_value_is_read_marked_or_blank(values):
    for dtype in (pl.Int64(), pl.Float64(), pl.Boolean(), pl.Date(), TIME):
        raw = pl.Series("x", values, dtype=pl.String)
        parsed = parse_column(raw, dtype, is_text=True)
        bad = unreadable(parsed)
        blank = raw.str.strip_chars().str.to_lowercase().is_in(MISSING_WORDS).fill_null(True)
        assert (parsed.values.is_null() == (bad | blank)).all()
        assert not (bad & blank).any()
