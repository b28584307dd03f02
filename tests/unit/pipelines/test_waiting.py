"""Rows in the future: the moment before which none of them can be accepted."""

import datetime as dt

import polars as pl
import pytest

from pipelines.intake.waiting import nobody_waits_before


def refused(*values, reason="in the future"):
    return pl.DataFrame(
        {"value": list(values), "reason": [reason] * len(values)},
        schema={"value": pl.String, "reason": pl.String},
    )


def test_a_day_before_the_earliest_one_because_the_text_may_be_a_local_time():
    found = nobody_waits_before(refused("2031-01-03T00:00:00Z", "2031-01-02 00:00:00"))
    assert found == dt.datetime(2031, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize("value", ["02.01.2031", "1927000000", "", None])
def test_a_time_that_is_not_plain_cannot_be_told(value):
    assert nobody_waits_before(refused("2031-01-03", value)) is None


def test_rows_refused_for_other_reasons_do_not_wait():
    rows = pl.concat([refused("2031-01-03"), refused("never", reason="not a time")])
    assert nobody_waits_before(rows) == dt.datetime(2031, 1, 2, tzinfo=dt.UTC)
    assert nobody_waits_before(refused("2031-01-03", reason="not a time")) is None
