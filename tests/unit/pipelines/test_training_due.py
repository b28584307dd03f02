"""When new data alone make a family train: at a tenth of the order lines, or a week beyond the last ones."""

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.lake.tables import Lake
from pipelines.sources.contract import empty
from pipelines.steps.state import StateStore, StepRecord
from pipelines.trainings import due
from pipelines.trainings.due import Data

DAY = date(2026, 11, 21)
THEN = Data(1000, DAY)


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (Data(1000, DAY), ""),
        (Data(1001, DAY), ""),
        (Data(1099, DAY), ""),
        (Data(1100, DAY), "1,100 order lines after 1,000"),
        (Data(901, DAY), ""),
        (Data(900, DAY), "900 order lines after 1,000"),
        (Data(1001, DAY + timedelta(days=6)), ""),
        (Data(1001, DAY + timedelta(days=7)), "orders until 2026-11-28 after those until 2026-11-21"),
        (Data(1000, DAY - timedelta(days=30)), ""),
        (Data(1000, None), ""),
    ],
)
def test_edges(now, why):
    assert due.reason(THEN, now) == why


def test_a_first_order_is_something_to_learn_from():
    assert due.reason(Data(0, None), Data(1, DAY)) == "1 order lines after 0"
    assert due.reason(Data(0, None), Data(0, None)) == ""


def test_data_that_ended_long_ago_are_not_trained_on_again_and_again():
    old = Data(5000, date(2011, 12, 9))
    assert due.reason(old, old) == ""


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_it_is_due_exactly_from_the_stated_number_of_lines_on(then, more):
    at = due.next_due(Data(then, DAY))[1]
    assert bool(due.reason(Data(then, DAY), Data(then + more, DAY))) == (then + more >= at)


@given(st.integers(-400, 400))
def test_it_is_due_exactly_from_the_stated_day_on(days):
    day = due.next_due(THEN)[0]
    now = DAY + timedelta(days=days)
    assert bool(due.reason(THEN, Data(1000, now))) == (now >= day)


@pytest.fixture
def home(tmp_path):
    """Records and a lake with 1,000 lines and an order of the day."""
    records, lake = StateStore(tmp_path / "state"), Lake(tmp_path / "lake")
    records.put(StepRecord("raw/order_lines", "f", "v", {"rows": 1000}, [], 0, 0))
    orders = empty("orders")
    lake.create()
    write_order(lake, orders, DAY)
    return records, lake


def write_order(lake, orders, day):
    folder = lake.accepted_path("orders") / f"day={day}"
    folder.mkdir()
    orders.write_parquet(folder / "part-0.parquet")


def trained(metadata):
    return StepRecord(
        "models/demand/forecasters", "f", "v", metadata, [], 0, 0, as_of="2026-11-21T12:00:00+00:00"
    )


def test_a_training_writes_down_what_it_learnt_from(home):
    assert due.learnt_from(trained(due.facts(*home))) == THEN


@pytest.mark.parametrize("seen", [None, {}, {"lines": "many", "newest_on": None}, {"lines": 5}])
def test_a_record_that_does_not_say_is_trained_again(home, seen):
    record = trained({"trained_on": seen} if seen is not None else {})
    assert due.waits(*home, {})(record) == ""


def test_a_training_that_can_wait_says_until_when(home):
    said = due.waits(*home, {})(trained(due.facts(*home)))
    assert said == "trained 2026-11-21, next due with orders of 2026-11-28 or at 1,100 order lines"


@pytest.mark.parametrize(("tags", "drifted"), [({"muyun/train": "true"}, False), ({}, True)])
def test_who_asks_gets_a_training(home, tags, drifted):
    record = trained(due.facts(*home))
    assert due.waits(*home, tags, has_drifted=drifted)(record) == ""


def test_orders_of_a_week_later_make_it_due(home):
    records, lake = home
    record = trained(due.facts(*home))
    write_order(lake, pl.DataFrame(), DAY + timedelta(days=7))
    assert due.waits(records, lake, {})(record) == ""


def test_the_summary_tells_of_every_family_that_was_trained(home):
    records, _ = home
    assert due.account(records) == []
    records.put(trained(due.facts(*home)))
    assert due.account(records) == [
        {
            "family": "demand",
            "at": "2026-11-21T12:00:00+00:00",
            "lines": 1000,
            "newest_on": "2026-11-21",
            "due_on": "2026-11-28",
            "due_lines": 1100,
        }
    ]
