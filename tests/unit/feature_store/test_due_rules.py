"""Each due rule against the value itself, to the microsecond: the same until then, another from then on."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from feature_store.due.rules import (
    CLOCK_CHANGE,
    MIDNIGHT,
    ClockUseError,
    Kind,
    Wait,
    settled_waits,
    waits_of,
)
from feature_store.language import expressions
from feature_store.language.zones import fixed_offset_minutes, next_local_midnight

DAY = expressions.DAY_US
NOW = datetime.fromisoformat("2017-11-04 12:00")  # naive UTC, like every moment inside the statement
KINDS = {"age_us": Kind.AGE, "as_of": Kind.MOMENT, "older_us": Kind.AGE}
US = timedelta(microseconds=1)

con = duckdb.connect()


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text)


def evaluate(tree: exp.Expression, moment: datetime, row: dict[str, Any], zone: str) -> Any:
    """The expression over one row, `age_us` and `older_us` being of `moment`."""
    passed = (moment - NOW) // US
    values = {"as_of": moment} | row
    values |= {name: row[name] + passed for name in ("age_us", "older_us") if row.get(name) is not None}
    types = {name: "BIGINT" for name in values if name.endswith("_us")}
    columns = ", ".join(
        f"${name}::{types[name]} AS {name}" if name in types else f"${name} AS {name}" for name in values
    )
    sql = expressions.expanded(tree, {}, zone).sql(dialect="duckdb")
    midnight = (next_local_midnight(moment, zone) - moment) // US
    change = 0 if fixed_offset_minutes(zone) is not None else DAY // 12
    sql = sql.replace(MIDNIGHT, str(midnight)).replace(CLOCK_CHANGE, str(change))
    found = con.execute(f"SELECT {sql} FROM (SELECT {columns})", values).fetchone()
    assert found is not None
    return found[0]


def value(text: str, moment: datetime, row: dict[str, Any], zone: str = "UTC") -> Any:
    return evaluate(expressions.parse(text), moment, row, zone)


def wait(text: str, row: dict[str, Any], zone: str = "UTC", moment: datetime = NOW) -> int | None:
    """Microseconds to the earliest wait of the expression over one row."""
    found = [_asked(w, moment, row, zone) for w in settled_waits(expressions.parse(text), KINDS)]
    return min((us for us in found if us is not None), default=None)


def _asked(one: Wait, moment: datetime, row: dict[str, Any], zone: str) -> int | None:
    if one.condition is not None and not evaluate(one.condition, moment, row, zone):
        return None
    us = evaluate(one.value, moment, row, zone)
    return None if us is None else int(us)


@pytest.mark.parametrize(
    ("text", "row", "expected"),
    [
        ("age_us < days_us(7)", {"age_us": 7 * DAY - 5}, 5),
        ("age_us < days_us(7)", {"age_us": 7 * DAY}, None),
        ("age_us < 604800000000", {"age_us": 7 * DAY - 1}, 1),
        ("age_us <= days_us(7)", {"age_us": 7 * DAY - 5}, 6),
        ("age_us <= days_us(7)", {"age_us": 7 * DAY}, 1),
        ("age_us <= days_us(7)", {"age_us": 7 * DAY + 1}, None),
        ("age_us >= days_us(7)", {"age_us": 7 * DAY - 5}, 5),
        ("age_us > days_us(7)", {"age_us": 7 * DAY - 5}, 6),
        ("age_us > days_us(7)", {"age_us": 7 * DAY}, 1),
        ("days_us(7) > age_us", {"age_us": 7 * DAY - 5}, 5),
        ("days_us(7) >= age_us", {"age_us": 7 * DAY - 5}, 6),
        ("age_us < limit_us * 1.5", {"age_us": 0, "limit_us": 3}, 5),  # 4.5
        ("age_us <= limit_us * 1.5", {"age_us": 0, "limit_us": 3}, 5),
        ("age_us < limit_us", {"age_us": 0, "limit_us": None}, None),
        ("age_us BETWEEN days_us(1) AND days_us(2)", {"age_us": DAY - 3}, 3),
        ("age_us BETWEEN days_us(1) AND days_us(2)", {"age_us": DAY}, DAY + 1),
        ("age_us - gap_us < days_us(1)", {"age_us": 5, "gap_us": 7}, DAY + 2),
        ("older_us - age_us >= days_us(90)", {"age_us": 5, "older_us": 7}, None),
        ("older_us > age_us", {"age_us": 5, "older_us": 7}, None),
        ("COALESCE(older_us, age_us) < 10", {"age_us": 5, "older_us": None}, 5),
        ("age_us IS NOT NULL", {"age_us": 5}, None),
        ("whole_days(age_us)", {"age_us": 0}, DAY),
        ("whole_days(age_us)", {"age_us": DAY - 1}, 1),
        ("whole_days(age_us)", {"age_us": DAY}, DAY),
        ("age_us // days_us(30)", {"age_us": 30 * DAY - 2}, 2),
        ("age_us * 7 // 10", {"age_us": 0}, 2),  # 1.43 rounded up
        ("7 * age_us // 10", {"age_us": 2}, 1),
        ("age_us * 12 // days_us(365)", {"age_us": 365 * DAY // 12 - 1}, 1),
        ("closes_at > as_of", {"closes_at": NOW + 3 * US}, 3),
        ("closes_at >= as_of", {"closes_at": NOW + 3 * US}, 4),
        ("closes_at >= as_of", {"closes_at": NOW}, 1),
        ("closes_at < as_of", {"closes_at": NOW + 3 * US}, 4),
        ("as_of >= closes_at", {"closes_at": NOW + 3 * US}, 3),
        ("closes_at <= as_of", {"closes_at": NOW}, None),
        ("closes_at IS NULL OR closes_at > as_of", {"closes_at": None}, None),
        ("is_open AND age_us < 10", {"is_open": True, "age_us": 4}, 6),
        ("is_open AND age_us < 10", {"is_open": False, "age_us": 4}, None),
        ("is_open AND age_us < 10", {"is_open": None, "age_us": 4}, 6),
        ("age_us < 10 AND age_us >= 7", {"age_us": 4}, 3),
        ("age_us < 10 AND closes_at > as_of", {"age_us": 12, "closes_at": NOW + US}, None),
        ("CASE WHEN age_us < 10 THEN 'a' WHEN age_us < 20 THEN 'b' END", {"age_us": 10}, 10),
        ("CAST(as_of AS DATE)", {}, DAY // 2),
        ("EXTRACT(YEAR FROM as_of)", {}, (utc("2018-01-01") - NOW) // US),
        ("EXTRACT(MONTH FROM as_of) = 11", {}, (utc("2017-12-01") - NOW) // US),
        ("DATE_TRUNC('quarter', as_of)", {}, (utc("2018-01-01") - NOW) // US),
        ("DATE_DIFF('month', closes_at, as_of)", {"closes_at": NOW}, (utc("2017-12-01") - NOW) // US),
        ("local_date(as_of) = day", {"day": date(2017, 11, 5)}, DAY // 2),
        ("DATE_DIFF('day', day, local_date(as_of))", {"day": date(2017, 11, 1)}, DAY // 2),
        ("DATE_DIFF('day', day, local_date(as_of)) > 3", {"day": date(2017, 11, 1)}, DAY // 2),
        ("DATE_DIFF('day', day, local_date(as_of)) >= 5", {"day": date(2017, 11, 1)}, DAY // 2 + DAY),
        ("DATE_DIFF('day', day, local_date(as_of)) > 2", {"day": date(2017, 11, 1)}, None),
        ("EXTRACT(MONTH FROM local_date(as_of))", {}, (utc("2017-12-01") - NOW) // US),
    ],
)
def test_each_rule_meets_its_edge(text: str, row: dict[str, Any], expected: int | None) -> None:
    assert wait(text, row) == expected
    before = value(text, NOW, row)
    if expected is None:
        for later in (1, 2, DAY, 400 * DAY):
            assert value(text, NOW + later * US, row) == before
        return
    assert value(text, NOW + (expected - 1) * US, row) == before
    assert value(text, NOW + expected * US, row) != before


def test_two_conditions_that_both_come_true_hide_nothing() -> None:
    row = {"age_us": 4, "closes_at": NOW + US}
    text = "age_us >= 10 AND closes_at < as_of"
    assert wait(text, row) == 2
    assert wait(text, row, moment=NOW + 2 * US) == 4


NEW_YORK = [
    # The day of 5 November has 25 hours, that of 12 March 2017 has 23.
    (
        "local_date(as_of) = day",
        utc("2017-11-05 03:59:59"),
        {"day": date(2017, 11, 5)},
        timedelta(seconds=1),
    ),
    ("local_date(as_of) = day", utc("2017-11-05 04:00"), {"day": date(2017, 11, 5)}, timedelta(hours=25)),
    ("local_date(as_of) = day", utc("2017-03-12 05:00"), {"day": date(2017, 3, 12)}, timedelta(hours=23)),
]


@pytest.mark.parametrize(("text", "moment", "row", "expected"), NEW_YORK)
def test_local_midnight_follows_the_clocks(
    text: str, moment: datetime, row: dict[str, Any], expected: timedelta
) -> None:
    zone = "America/New_York"
    assert wait(text, row, zone, moment) == expected // US
    assert value(text, moment, row, zone) == value(text, moment + expected - US, row, zone)
    assert value(text, moment, row, zone) != value(text, moment + expected, row, zone)


def test_midnight_is_found_where_it_is_skipped() -> None:
    # Santiago put its clocks forward at midnight of 13 August 2017: the day began at 01:00, 04:00 UTC.
    assert next_local_midnight(utc("2017-08-12 20:00"), "America/Santiago") == utc("2017-08-13 04:00")
    assert next_local_midnight(utc("2017-08-12 16:00"), "Asia/Shanghai") == utc("2017-08-13 16:00")


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(
        [
            "DATE_DIFF('day', day, local_date(as_of)) > bound",
            "DATE_DIFF('day', day, local_date(as_of)) >= bound * 0.5",
            "DATE_DIFF('day', day, local_date(as_of)) < bound",
            "EXTRACT(MONTH FROM local_date(as_of))",
        ]
    ),
    st.integers(0, 500 * 24 * 60),
    st.integers(0, 40),
    st.sampled_from(["America/New_York", "Europe/London", "Asia/Shanghai", "Australia/Lord_Howe"]),
)
def test_days_are_never_found_too_late(text: str, minutes: int, bound: int, zone: str) -> None:
    """A wait over several nights may end early, by what the clocks move, and never late."""
    moment = utc("2017-01-01") + timedelta(minutes=minutes)
    row = {"day": (moment - timedelta(days=3)).date(), "bound": bound}
    us = wait(text, row, zone, moment)
    before = value(text, moment, row, zone)
    if us is None:
        assert value(text, moment + timedelta(days=900), row, zone) == before
        return
    assert us > 0
    assert value(text, moment + (us - 1) * US, row, zone) == before
    assert value(text, moment + us * US + timedelta(hours=4), row, zone) != before


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(0, 3 * DAY), st.integers(1, 30), st.integers(1, 2 * DAY))
@example(0, 12, 365 * DAY)
def test_periods_tick_at_the_first_microsecond(age: int, factor: int, step: int) -> None:
    text = f"age_us * {factor} // {step}"
    us = wait(text, {"age_us": age})
    assert us is not None
    assert us > 0
    assert (age + us - 1) * factor // step == age * factor // step < (age + us) * factor // step


@pytest.mark.parametrize(
    "text",
    [
        "age_us",
        "age_us + 1",
        "age_us % 7",
        "age_us = 5",
        "SQRT(age_us)",
        "SUM(age_us)",
        "MEDIAN(age_us)",
        "whole_days(age_us - gap_us)",
        "gap_us - age_us > 5",
        "as_of",
        "as_of - INTERVAL 3 DAY > closes_at",
        "local_hour(as_of)",
        "EXTRACT(DOW FROM as_of)",
        "SUM(whole_days(MIN(age_us))) OVER ()",
        "CAST(age_us AS VARCHAR)",
    ],
)
def test_what_no_rule_understands_is_refused(text: str) -> None:
    with pytest.raises(ClockUseError, match=r"no rule says when|inside a window function"):
        settled_waits(expressions.parse(text), KINDS)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("MIN(age_us)", Kind.AGE),
        ("MAX(age_us) FILTER (WHERE is_open)", Kind.AGE),
        ("LAG(age_us) OVER (ORDER BY event_at)", Kind.AGE),
        ("CASE WHEN is_open THEN age_us END", Kind.AGE),
        ("age_us + gap_us", Kind.SHIFTED_AGE),
        ("COUNT(age_us)", Kind.STILL),
        ("COUNT(DISTINCT age_us)", Kind.STILL),
        ("ARG_MIN(sku_id, age_us)", Kind.STILL),
        ("ARG_MIN(sku_id, (-age_us, sku_id))", Kind.STILL),
        ("ROW_NUMBER() OVER (ORDER BY age_us)", Kind.STILL),
        ("local_date(as_of)", Kind.LOCAL_DAY),
        ("SUM(qty)", Kind.STILL),
    ],
)
def test_how_values_move(text: str, kind: Kind) -> None:
    assert waits_of(expressions.parse(text), KINDS) == (kind, [])


def test_a_filter_holds_for_the_waits_of_its_aggregate() -> None:
    tree = expressions.parse(
        "BOOL_OR(age_us < 10) FILTER (WHERE kind = 'a' AND age_us < 100 AND age_us >= 3)"
    )
    found = {
        w.value.sql(): sorted(condition.sql() for condition in w.when) for w in settled_waits(tree, KINDS)
    }
    assert found["(10) - (age_us)"] == ["age_us < 10", "age_us < 100", "kind = 'a'"]
    assert found["(100) - (age_us)"] == ["COALESCE(kind = 'a', TRUE)", "age_us < 100"]
    # `age_us >= 3` comes true later, so it may not hide anything.
    assert found["(3) - (age_us)"] == [
        "COALESCE(age_us < 100, TRUE)",
        "COALESCE(kind = 'a', TRUE)",
        "age_us < 3",
    ]
