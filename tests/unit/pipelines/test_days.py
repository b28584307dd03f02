"""The days that a run reloads: none named, one, two, and what cannot be meant."""

import datetime as dt

import dagster as dg
import pytest

from pipelines.intake.days import days_of


def test_without_the_tag_every_day_is_loaded():
    assert days_of({"muyun/as_of": "2025-06-30"}) is None


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2025-06-30", (dt.date(2025, 6, 30), dt.date(2025, 6, 30))),
        ("2025-06-01/2025-06-30", (dt.date(2025, 6, 1), dt.date(2025, 6, 30))),
        (" 2025-06-01 / 2025-06-02 ", (dt.date(2025, 6, 1), dt.date(2025, 6, 2))),
    ],
)
def test_a_day_and_a_range_are_read_with_both_ends(text, days):
    assert days_of({"muyun/days": text}) == days


@pytest.mark.parametrize("text", ["", "yesterday", "2025-13-01", "2025-06-30/2025-06-01", "/2025-06-01"])
def test_what_is_no_day_stops_the_run_with_the_remedy(text):
    with pytest.raises(dg.Failure) as stopped:
        days_of({"muyun/days": text})
    assert "2025-06-01/2025-06-30" in stopped.value.description
