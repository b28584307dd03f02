from datetime import UTC, datetime, timedelta
from statistics import median

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from models.supply.watch.capacity import STATEMENTS, swings
from models.supply.watch.config import WatchConfig

START = datetime(2026, 10, 1, 7, tzinfo=UTC)
DAY = timedelta(days=1)
CONFIG = WatchConfig()


def stated(quantities, object_id="s1"):
    rows = [(object_id, qty, START + number * DAY) for number, qty in enumerate(quantities)]
    return pl.DataFrame(rows, schema=STATEMENTS, orient="row")


def newest(quantities):
    return swings(stated(quantities), CONFIG).to_dicts()


def test_a_collapse_is_told_against_the_median_of_the_days_before():
    (found,) = newest([100] * 20 + [110] * 8 + [35])
    assert (found["median"], found["qty"]) == (100.0, 35)
    assert found["swing"] == -0.65
    assert found["calm_since"] is None
    assert found["stated_at"] == START + 28 * DAY


def test_what_is_older_than_28_days_does_not_count():
    """Thirty statements of 10, then fifteen of 100: of the 28 before the last, 14 are 100, 14 are 10."""
    (found,) = newest([10] * 30 + [100] * 15)
    assert found["median"] == 55.0


def test_calm_counts_from_the_first_statement_after_the_last_wild_one():
    (found,) = newest([100] * 20 + [35, 90, 95, 100])
    assert found["calm_since"] == START + 21 * DAY
    (always,) = newest([100] * 20)
    assert always["calm_since"] == START + 7 * DAY


def test_a_swing_of_a_fifth_is_not_calm():
    assert newest([100] * 10 + [80])[0]["calm_since"] is None
    assert newest([100] * 10 + [81])[0]["calm_since"] is not None


def test_who_stated_too_little_is_not_judged():
    assert newest([100] * 6 + [10]) == []
    assert newest([100] * 7 + [10])[0]["swing"] == -0.9


def test_nothing_usual_and_something_now_is_infinitely_far():
    assert newest([0] * 10 + [5])[0]["swing"] == float("inf")
    assert newest([0] * 11)[0]["swing"] == 0.0
    assert swings(stated([]), CONFIG).height == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 10**9), min_size=8, max_size=45))
def test_the_newest_swing_is_what_plain_statistics_say(quantities):
    last = START + (len(quantities) - 1) * DAY
    before = [
        qty for number, qty in enumerate(quantities[:-1]) if last - 28 * DAY <= START + number * DAY < last
    ]
    (found,) = newest(quantities)
    usual = median(before)
    assert found["median"] == usual
    if usual:
        assert abs(found["swing"] - (quantities[-1] / usual - 1)) < 1e-9 * max(1.0, abs(found["swing"]))
