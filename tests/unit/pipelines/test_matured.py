"""Promised probabilities against what came after, by hand."""

import datetime as dt

import polars as pl
import pytest

from pipelines.decisions.log import DecisionLog
from pipelines.decisions.matured import CHURN, Matured, came_true_check, churn_came_true
from pipelines.lake.tables import Lake

MOMENT = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
LATER = MOMENT + dt.timedelta(days=28)


@pytest.fixture
def log(tmp_path):
    made = DecisionLog(Lake(tmp_path / "lake"), CHURN)
    rows = pl.DataFrame({"consumer_id": ["a", "b", "c", "d"], "probability": [0.9, 0.8, 0.3, 0.2]})
    moment = pl.lit(MOMENT, dtype=pl.Datetime("us", "UTC"))
    made.write(rows.with_columns(as_of=moment, model_version=pl.lit("version 3")), MOMENT)
    return made


def orders(*rows):
    """(consumer, days after the moment, superseded)."""
    return pl.DataFrame(
        {
            "consumer_id": [row[0] for row in rows],
            "placed_at": [MOMENT + dt.timedelta(days=row[1]) for row in rows],
            "superseded_at": [MOMENT if row[2] else None for row in rows],
        },
        schema_overrides={
            "placed_at": pl.Datetime("us", "UTC"),
            "superseded_at": pl.Datetime("us", "UTC"),
        },
    )


def test_who_ordered_within_the_window_did_not_leave(log):
    """b ordered on the last day, c at the very moment and d a day too late; an order of a was taken back."""
    lines = orders(("a", 5, True), ("b", 28, False), ("c", 0, False), ("d", 29, False))
    (found,) = churn_came_true(log, lines, LATER, 28)
    assert (found.model_version, found.consumers, found.observed) == ("version 3", 4, 0.75)
    assert found.promised == pytest.approx(0.55)
    assert found.auc == pytest.approx(1 / 3)
    # One consumer a bin: |1 - .9|, |0 - .8|, |1 - .3|, |1 - .2|.
    assert found.ece == pytest.approx((0.1 + 0.8 + 0.7 + 0.8) / 4)


def test_a_window_that_is_not_over_is_not_judged(log):
    assert churn_came_true(log, orders(("a", 1, False)), LATER - dt.timedelta(microseconds=1), 28) == []
    assert len(churn_came_true(log, orders(("a", 1, False)), LATER, 28)) == 1


def matured(promised, observed, consumers=10_000, ece=0.01):
    return Matured("2026-03-01", "version 3", consumers, promised, observed, ece, 0.8)


@pytest.mark.parametrize(
    ("found", "passed"),
    [
        ([], True),
        ([matured(0.5, 0.5)], True),
        ([matured(0.5, 0.559)], True),  # 5 points and twice a standard error of half a point
        ([matured(0.5, 0.561)], False),
        ([matured(0.5, 0.439)], False),
        ([matured(0.5, 0.5, ece=0.091)], False),
        ([matured(0.5, 0.9, consumers=99)], True),  # too few to tell
        ([matured(0.5, 0.9, consumers=100)], False),
        ([matured(0.5, 0.9), matured(0.5, 0.5)], True),  # the newest counts
    ],
)
def test_the_newest_promise_is_kept_or_the_check_warns(found, passed):
    check = came_true_check(found)
    assert check.passed is passed
    assert check.metadata["moments"] == len(found)
    assert not check.is_error
