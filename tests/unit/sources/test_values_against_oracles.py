"""Numbers and times against another way of reading them: `decimal`, `datetime` and `zoneinfo`."""

import datetime as dt
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.sources.values.columns import parse_column
from pipelines.sources.values.rules import ValueRules
from pipelines.sources.values.times import day_orders

TIME = pl.Datetime("us", "UTC")
ZONES = ("Asia/Shanghai", "Europe/London", "America/New_York", "Australia/Lord_Howe", "Etc/GMT+5", "UTC")
BOUND = 10**13
CALM = settings(deadline=None, max_examples=200)
"""The machine may be busy with other tests."""


def read(texts, dtype, kind="plain", **rules):
    """Values, and the reason where there is one."""
    raw = pl.Series("x", texts, dtype=pl.String)
    parsed = parse_column(raw, dtype, is_text=True, kind=kind, rules=ValueRules(**rules))
    out = parsed.values.to_list()
    for mask, reason in parsed.problems:
        for row in mask.arg_true():
            assert out[row] is None
            out[row] = reason
    return out


def grouped(number: Decimal, decimals: int, separator: str, point: str) -> str:
    text = f"{number:,.{decimals}f}"
    return text.replace(",", "#").replace(".", point).replace("#", separator)


AMOUNTS = st.integers(-BOUND, BOUND)
STYLES = st.sampled_from([("", "."), (",", "."), (".", ","), (" ", ","), ("\u00a0", "."), ("'", ".")])
SIGNS = st.sampled_from(["{}", "￥{}", "¥ {}", "{}元", "CNY {}", "{} CNY", " {} ", "{}\t"])


@CALM
@given(AMOUNTS, STYLES, SIGNS)
def test_money_is_what_decimal_says(fen, style, sign):
    text = sign.format(grouped(Decimal(fen) / 100, 2, *style))
    assert read([text], pl.Int64(), "money", money="major") == [fen]


@CALM
@given(AMOUNTS, STYLES)
def test_brackets_are_a_minus(fen, style):
    text = f"({grouped(Decimal(abs(fen)) / 100, 2, *style)})"
    assert read([text], pl.Int64(), "money", money="major") == [-abs(fen)]


@CALM
@given(st.decimals(-BOUND, BOUND, allow_nan=False, places=5))
def test_money_is_exact_or_refused(number):
    (got,) = read([f"{number:f}"], pl.Int64(), "money", money="major")
    fen = number * 100
    if fen == int(fen):
        assert got == int(fen)
    else:
        assert got == "more than 2 decimals in an amount of money"


@CALM
@given(st.lists(AMOUNTS, min_size=1, max_size=30))
def test_a_column_of_whole_fen_stays_itself(values):
    widths = str.maketrans("0123456789-", "０１２３４５６７８９－")
    for texts in (map(str, values), (str(value).translate(widths) for value in values)):
        assert read(list(texts), pl.Int64(), "money") == values


@CALM
@given(st.integers(-(10**12), 10**12), st.sampled_from(["{}", "{}kg", "{} 件", "{} 公斤", "{}pcs"]))
def test_quantities_are_thousandths(milli, unit):
    text = unit.format(f"{Decimal(milli) / 1000:f}")
    assert read([text], pl.Int64(), "quantity") == [milli]


@CALM
@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=8))
def test_sums_that_a_spreadsheet_made_are_quantities(parts):
    text = repr(sum(part / 1000 for part in parts))
    assert read([text], pl.Int64(), "quantity") == [sum(parts)]


@CALM
@given(st.floats(-1e9, 1e9, width=64))
def test_a_float_of_a_typed_file_is_its_shortest_decimal_or_refused(number):
    raw = pl.Series("x", [number], dtype=pl.Float64)
    parsed = parse_column(raw, pl.Int64(), is_text=False, kind="money", rules=ValueRules(money="major"))
    exact = Decimal(repr(number)) * 100
    if exact == int(exact):
        assert parsed.values[0] == int(exact)
    elif parsed.values[0] is not None:
        assert abs(Decimal(parsed.values[0]) - exact) < Decimal("0.001")


@CALM
@given(st.text(alphabet="0123456789.,-+() ￥元eE'_１", max_size=12), st.sampled_from(["minor", "major"]))
def test_no_text_is_read_as_another_number(text, money):
    (got,) = read([text], pl.Int64(), "money", money=money)
    if not isinstance(got, int):
        return
    digits = [char for char in text.replace("１", "1") if char.isdigit()]
    scaled = f"{abs(got):d}".lstrip("0")
    given = "".join(digits).lstrip("0")
    # The digits of a number are those of the text, in order; only zeros may follow or fall away.
    assert scaled.rstrip("0") == given.rstrip("0")
    assert (got < 0) == (any(mark in text for mark in "-(") and bool(given))


LOCAL = st.datetimes(dt.datetime(1971, 1, 2), dt.datetime(2099, 12, 30))  # noqa: DTZ001
FORMS = [
    ("%Y-%m-%d %H:%M:%S", 1), ("%Y/%m/%d %H:%M", 60), ("%Y年%m月%d日 %H:%M:%S", 1),
    ("%Y年%m月%d日%H时%M分", 60), ("%Y.%m.%d %H:%M:%S", 1), ("%Y%m%d%H%M%S", 1), ("%Y%m%dT%H%M%S", 1),
    ("%d %b %Y %H:%M:%S", 1), ("%b %d, %Y %I:%M %p", 60), ("%Y-%m-%d", 86400), ("%Y年%m月%d日", 86400),
    ("%Y/%m/%d", 86400), ("%Y%m%d", 86400), ("%Y-%m-%dT%H:%M:%S.%f", 0),
]  # fmt: skip


def as_utc(wall: dt.datetime, zone: str) -> dt.datetime:
    """Local to UTC: the first of two, and moved forward across a gap."""
    return wall.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(dt.UTC)


@CALM
@given(LOCAL, st.sampled_from(FORMS), st.sampled_from(ZONES))
def test_local_times_are_what_zoneinfo_says(wall, form, zone):
    pattern, grain = form
    if grain:
        midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
        wall = midnight + (wall - midnight) // dt.timedelta(seconds=grain) * dt.timedelta(seconds=grain)
    assert read([wall.strftime(pattern)], TIME, time_zone=zone) == [as_utc(wall, zone)]


@CALM
@given(LOCAL, st.integers(-12 * 4, 14 * 4), st.sampled_from(ZONES))
def test_an_offset_wins_over_the_zone(wall, quarters, zone):
    wall = wall.replace(microsecond=0)
    aware = wall.replace(tzinfo=dt.timezone(dt.timedelta(minutes=15 * quarters)))
    sign, minutes = "-" if quarters < 0 else "+", abs(15 * quarters)
    offset = f"{sign}{minutes // 60:02}{minutes % 60:02}"
    texts = [
        aware.isoformat(),
        aware.isoformat(" "),
        f"{wall:%Y-%m-%d %H:%M:%S} {offset}",
        f"{wall:%Y/%m/%d %H:%M:%S}{offset}",
    ]
    assert read(texts, TIME, time_zone=zone) == [aware.astimezone(dt.UTC)] * 4


@CALM
@given(LOCAL, st.sampled_from(ZONES))
def test_spreadsheet_serials_are_local_times(wall, zone):
    wall = wall.replace(microsecond=0, year=max(wall.year, 1990))
    days = (wall - dt.datetime(1899, 12, 30)) / dt.timedelta(days=1)  # noqa: DTZ001
    assert read([repr(days), f"{days:.9f}"], TIME, time_zone=zone) == [as_utc(wall, zone)] * 2


@CALM
@given(st.integers(10**9, 10**10 - 1), st.sampled_from(ZONES))
def test_epochs_are_utc(seconds, zone):
    expected = dt.datetime.fromtimestamp(seconds, dt.UTC)
    assert read([str(seconds), f"{seconds}000", f"{seconds}.0"], TIME, time_zone=zone) == [expected] * 3


@CALM
@given(st.lists(LOCAL, min_size=1, max_size=20), st.booleans())
def test_a_column_tells_the_order_of_day_and_month_or_is_refused(walls, day_first):
    pattern = "%d/%m/%Y" if day_first else "%m/%d/%Y"
    days = [wall.date() for wall in walls]
    frame = pl.DataFrame({"t": [day.strftime(pattern) for day in days]})
    told = day_orders([_chunk(frame)], ["t"]).get("t")
    assert (told is None) == all(day.day <= 12 for day in days)
    got = read(frame["t"].to_list(), pl.Date(), day_first=told)
    for day, value in zip(days, got, strict=True):
        unclear = told is None and day.day != day.month
        assert value == (
            "day and month cannot be told apart: set day_first in muyun.yaml" if unclear else day
        )


def _chunk(frame):
    from pipelines.sources.protocol import Chunk

    return Chunk(frame, "x.csv", is_text=True)


@pytest.mark.parametrize("dtype", [pl.Int64(), pl.Float64(), pl.Boolean(), pl.Date(), TIME, pl.String()])
@CALM
@given(st.text(max_size=12))
def test_no_text_makes_a_reader_fail(dtype, text):
    for kind in ("plain", "id") if dtype == pl.String() else ("plain",):
        read([text], dtype, kind)
    if dtype == pl.Int64():
        for kind in ("money", "quantity"):
            read([text], dtype, kind)
