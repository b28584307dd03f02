from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.agents.violations import (
    Consequence,
    Severity,
    consequences,
    expiry,
    points_of,
)
from serving.settlement.plans.profiles import load_shipped
from serving.settlement.plans.rules import ViolationRule

RULE = load_shipped().only(ViolationRule)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
WARN, HOLD, DOWN, REVIEW, ENDED = Consequence


def test_points_by_severity():
    assert [points_of(severity, RULE) for severity in Severity] == [1, 3, 6, 12]


def test_points_expire_after_a_year():
    assert expiry(NOW, RULE) == NOW + timedelta(days=365)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (0, 1, ()),
        (2, 3, (WARN,)),
        (3, 4, (WARN,)),
        (3, 6, (WARN, HOLD)),
        (6, 7, (WARN, HOLD)),
        (6, 9, (WARN, HOLD, DOWN)),
        (9, 10, (WARN, HOLD)),
        (11, 12, (WARN, HOLD, REVIEW)),
        (0, 12, (WARN, HOLD, DOWN, REVIEW)),
        (12, 13, (WARN, HOLD)),
        (5, 5, ()),
    ],
)
def test_consequences(before, after, expected):
    assert consequences(before, after, RULE) == expected


@given(st.lists(st.sampled_from([1, 3, 6, 12]), max_size=12))
def test_a_tier_falls_and_a_review_opens_once_on_the_way_up(reported):
    before, found = 0, []
    for points in reported:
        found += consequences(before, before + points, RULE)
        before += points
    assert found.count(DOWN) == (before >= 9)
    assert found.count(REVIEW) == (before >= 12)
