import math
from datetime import UTC, datetime, timedelta

import pytest

from models.supply.watch.rules import Rules, is_calm_again, is_in_time_again, is_late, is_swinging

RULES = Rules()
NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "probability", "expected"),
    [
        (24.0, 0.8, False),
        (24.001, 0.0, True),
        (-5.0, 0.8001, True),
        (math.inf, 0.0, True),
        (23.9, 0.79, False),
    ],
)
def test_an_alarm_asks_for_more_than_a_day_or_for_more_than_four_fifths(hours, probability, expected):
    assert is_late(hours, probability, RULES) is expected


@pytest.mark.parametrize(
    ("hours", "probability", "expected"),
    [(12.0, 0.0, False), (11.999, 0.8, True), (0.0, 0.8001, False), (18.0, 0.0, False)],
)
def test_it_clears_below_half_a_day(hours, probability, expected):
    assert is_in_time_again(hours, probability, RULES) is expected


@pytest.mark.parametrize(("swing", "expected"), [(0.3, False), (0.3001, True), (-0.3, False), (-0.31, True)])
def test_a_capacity_swings_by_more_than_thirty_percent_either_way(swing, expected):
    assert is_swinging(swing, RULES) is expected


def test_a_capacity_is_calm_again_after_three_days():
    assert not is_calm_again(None, NOW, RULES)
    assert is_calm_again(NOW - timedelta(days=3), NOW, RULES)
    assert not is_calm_again(NOW - timedelta(days=3) + timedelta(microseconds=1), NOW, RULES)


@pytest.mark.parametrize(
    "wrong",
    [
        {"clear_hours": 24.0},
        {"clear_hours": -1.0},
        {"late_probability": 1.0},
        {"calm_swing": 0.3},
        {"calm_days": 0},
    ],
)
def test_lines_that_contradict_each_other_are_refused(wrong):
    with pytest.raises(ValueError, match="watch"):
        Rules(**wrong)
