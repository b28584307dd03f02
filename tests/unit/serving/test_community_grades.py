"""The grade of a member at the edges of its rule."""

import pytest

from serving.communities.grades import CORE_ACTS, CORE_CENTS, grade_of


@pytest.mark.parametrize(
    ("orders", "texts", "spent_cents", "grade"),
    [
        (0, 0, 0, "quiet"),
        (0, 1, 0, "active"),
        (0, 100, 0, "active"),
        (1, 0, CORE_CENTS - 1, "active"),
        (1, 0, CORE_CENTS, "core"),
        (1, CORE_ACTS - 1, 1, "core"),
        (1, CORE_ACTS - 2, 1, "active"),
    ],
)
def test_grades(orders, texts, spent_cents, grade):
    assert grade_of(orders, texts, spent_cents) == grade
