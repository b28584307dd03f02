"""The ladder of the brake: every threshold from both sides, rising at once, falling after clean days."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.supply.brake.ladder import Estimate, Held, Level, Rules, level_of, next_held, released

RULES = Rules()
NOW = datetime(2026, 11, 1, 2, tzinfo=UTC)
LINE = 0.015625  # a power of two, so that multiples of it are exact


def found(lines=0.5, above=0.1, orders=100, complaints=10, safety=0):
    return Estimate(lines * LINE, above, LINE, orders, complaints, safety)


def level(**values):
    return level_of(found(**values), RULES)[0]


def test_every_threshold_must_be_exceeded():
    assert level(above=0.8) is Level.FREE
    assert level(above=0.8000001) is Level.WATCH
    assert level(above=0.95) is Level.WATCH
    assert level(above=0.9500001) is Level.LIMIT
    assert level(lines=1.5) is Level.FREE
    assert level(lines=1.500001) is Level.LIMIT
    assert level(lines=2.0) is Level.LIMIT
    assert level(lines=2.000001) is Level.STOP
    assert level(lines=3.0) is Level.STOP
    assert level(lines=3.000001) is Level.RECALL


@pytest.mark.parametrize("lines", [2.5, 3.5])
def test_stop_and_recall_need_thirty_orders(lines):
    assert level(lines=lines, orders=29) is Level.LIMIT
    assert level(lines=lines, orders=30) is (Level.STOP if lines < 3 else Level.RECALL)


def test_one_complaint_alone_is_watched_at_most():
    assert level(lines=9.0, above=0.99, complaints=1) is Level.WATCH
    assert level(lines=9.0, above=0.99, complaints=2) is Level.RECALL
    assert level(lines=9.0, above=0.5, complaints=1) is Level.FREE


def test_one_complaint_about_safety_recalls_whatever_the_rate():
    assert level_of(found(lines=0.0, above=0.0, orders=1, complaints=0, safety=1), RULES) == (
        Level.RECALL,
        "safety_complaint",
    )


def test_the_reason_names_the_rule():
    reasons = [
        level_of(found(**values), RULES)[1]
        for values in (
            {},
            {"above": 0.9},
            {"above": 0.99},
            {"lines": 1.6},
            {"lines": 2.1},
            {"lines": 3.1},
        )
    ]
    assert reasons == [
        "below_line",
        "likely_above_line",
        "surely_above_line",
        "above_limit_line",
        "above_stop_line",
        "above_recall_line",
    ]


def test_a_level_rises_at_once_and_over_several():
    assert next_held(Held(Level.WATCH, NOW), Level.RECALL, NOW, RULES) == Held(Level.RECALL)


def test_a_level_falls_by_one_after_fourteen_clean_days_and_by_one_more_after_fourteen_more():
    held = next_held(Held(Level.STOP), Level.FREE, NOW, RULES)
    assert held == Held(Level.STOP, NOW)
    almost = NOW + timedelta(days=14) - timedelta(microseconds=1)
    assert next_held(held, Level.FREE, almost, RULES) == held
    then = NOW + timedelta(days=14)
    held = next_held(held, Level.FREE, then, RULES)
    assert held == Held(Level.LIMIT, then)
    assert next_held(held, Level.FREE, then + timedelta(days=13), RULES) == held
    assert next_held(held, Level.FREE, then + timedelta(days=14), RULES).level is Level.WATCH


def test_the_cause_coming_back_ends_the_clean_days():
    held = next_held(Held(Level.STOP), Level.LIMIT, NOW, RULES)
    held = next_held(held, Level.STOP, NOW + timedelta(days=13), RULES)
    assert held == Held(Level.STOP)
    assert next_held(held, Level.FREE, NOW + timedelta(days=14), RULES) == Held(
        Level.STOP, NOW + timedelta(days=14)
    )


def test_a_level_falls_to_what_is_found_and_no_further():
    held = next_held(Held(Level.STOP, NOW), Level.LIMIT, NOW + timedelta(days=14), RULES)
    assert held == Held(Level.LIMIT)


def test_a_closed_case_releases_one_level():
    assert released(Held(Level.RECALL, NOW)) == Held(Level.STOP)
    assert released(Held(Level.FREE)) == Held(Level.FREE)


LEVELS = st.sampled_from(list(Level))


@given(LEVELS, st.lists(st.tuples(LEVELS, st.integers(0, 40)), max_size=20))
def test_the_ladder_is_never_below_what_is_found_nor_falls_by_more_than_one(first, nights):
    held, now = Held(first), NOW
    for level_found, days in nights:
        now += timedelta(days=days)
        after = next_held(held, level_found, now, RULES)
        assert after.level >= level_found
        assert after.level >= held.level - 1
        # The same night again changes nothing.
        assert next_held(after, level_found, now, RULES) == after
        held = after


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("watch_probability", 0.96),
        ("limit_probability", 1.0),
        ("limit_lines", 2.5),
        ("recall_lines", 1.9),
        ("least_orders", 0),
        ("clean_days", 0),
        ("least_complaints", 0),
    ],
)
def test_rules_that_do_not_rise_are_refused(name, value):
    with pytest.raises(ValueError, match="brake"):
        replace(RULES, **{name: value})
