"""A panel from frames as people have them: grids, gaps, stock-outs, plans, and what is refused."""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

from models.data import Panel
from models.errors import FrameError

NAN = float("nan")


def weeks(**columns):
    """Two shops; shop 2 has no row in the week of 12 January."""
    mondays = [date(2026, 1, 5), date(2026, 1, 12), date(2026, 1, 5), date(2026, 1, 19)]
    return pl.DataFrame({"shop": [1, 1, 2, 2], "week": mondays, "units": [4, 0, 5, 7]} | columns)


def panel(frame=None, **options):
    return Panel.from_frame(
        weeks() if frame is None else frame, **({"id": "shop", "time": "week", "target": "units"} | options)
    )


def test_rows_become_a_grid_and_what_is_not_there_is_missing():
    found = panel()
    assert found.ids == ("1", "2")
    assert found.times == (date(2026, 1, 5), date(2026, 1, 12), date(2026, 1, 19))
    np.testing.assert_array_equal(found.target, [[4, 0, NAN], [5, NAN, 7]])
    assert found.start.tolist() == [0, 0]


def test_a_gap_is_zero_where_rows_are_only_written_when_something_sold():
    """Inside a series only: what lies after its last row is not known."""
    np.testing.assert_array_equal(panel(gaps="zero").target, [[4, 0, NAN], [5, 0, 7]])


def test_a_stock_out_is_missing_and_no_zero():
    frame = weeks(in_stock=[True, False, True, True])
    np.testing.assert_array_equal(panel(frame, observed="in_stock").target, [[4, NAN, NAN], [5, NAN, 7]])
    np.testing.assert_array_equal(
        panel(frame, observed="in_stock", gaps="zero").target, [[4, NAN, NAN], [5, 0, 7]]
    )


def test_known_inputs_reach_beyond_the_last_target():
    frame = pl.DataFrame(
        {"shop": [1, 1, 1], "week": [8, 9, 10], "units": [3, None, None], "price": [2.0, None, 1.5]}
    )
    found = panel(frame, known=["price"])
    assert found.times == (8, 9, 10)
    np.testing.assert_array_equal(found.target, [[3, NAN, NAN]])
    np.testing.assert_array_equal(found.known["price"], [[2.0, NAN, 1.5]])


def test_a_key_of_several_columns_and_what_is_constant_in_a_series():
    frame = weeks(brand=["x", "y", "x", "x"], town=["A", "A", "B", "B"])
    found = panel(frame, id=["shop", "brand"], static=["town"])
    assert found.ids == ("1|x", "1|y", "2|x")
    assert found.static == {"town": ("A", "A", "B")}


def test_a_target_that_nobody_saw_is_missing_whatever_its_type():
    frame = pd.DataFrame({"shop": [1, 1], "week": [8, 9], "units": [None, None]})
    assert np.isnan(panel(frame).target).all()
    assert panel(frame).start.tolist() == [2]


def test_times_of_any_zone_lie_on_the_days_of_their_zone():
    times = pd.to_datetime(["2026-01-04 16:00", "2026-01-05 16:00"]).tz_localize("UTC")
    frame = pd.DataFrame({"shop": [1, 1], "day": times, "units": [1, 2]})
    found = panel(frame, time="day", every="1d", zone="Asia/Shanghai")
    assert found.times == (date(2026, 1, 5), date(2026, 1, 6))


def test_hours_stay_instants():
    frame = pl.DataFrame({"shop": 1, "hour": ["2026-01-05T08:00", "2026-01-05T10:00"], "units": [1, 2]})
    found = panel(frame, time="hour", every="1h", zone="Asia/Shanghai")
    assert found.times == tuple(datetime(2026, 1, 5, hour, tzinfo=UTC) for hour in (0, 1, 2))


def test_months_are_steps_of_a_calendar():
    frame = pl.DataFrame({"shop": 1, "month": [date(2026, 1, 1), date(2026, 3, 1)], "units": [1, 2]})
    assert panel(frame, time="month", every="1mo").times == (
        date(2026, 1, 1),
        date(2026, 2, 1),
        date(2026, 3, 1),
    )


def test_equal_keys_add_up_when_that_is_meant():
    frame = weeks(week=[date(2026, 1, 5)] * 4, price=[1.0, 3.0, 2.0, 2.0])
    with pytest.raises(FrameError, match="4 rows share their series and step, first 1 at 2026-01-05"):
        panel(frame)
    found = panel(frame, duplicates="sum", known=["price"])
    np.testing.assert_array_equal(found.target, [[4], [12]])
    np.testing.assert_array_equal(found.known["price"], [[2], [2]])


def test_negative_weeks_are_refused_or_made_zero():
    frame = weeks(units=[4, -2, 5, 7])
    with pytest.raises(
        FrameError, match=r"'units' is below 0 in 1 rows, first in series 1 at 2026-01-12 \(-2.0\)"
    ):
        panel(frame)
    np.testing.assert_array_equal(panel(frame, negative="zero").target, [[4, 0, NAN], [5, NAN, 7]])


@pytest.mark.parametrize(
    ("frame", "options", "said"),
    [
        (weeks(), {"known": ["price"]}, "no column 'price'"),
        (
            weeks(week=[date(2026, 1, 5), date(2026, 1, 13), date(2026, 1, 5), date(2026, 1, 19)]),
            {},
            "1 times do not lie on a grid of 1w from 2026-01-05, first 2026-01-13",
        ),
        (weeks(town=["A", "B", "C", "C"]), {"static": ["town"]}, "'town' changes inside 1 series, first 1"),
        (weeks(units=["a", "b", "c", "d"]), {}, "column 'units' holds String, not numbers"),
        (weeks(week=[1, 2, None, 3]), {}, "column 'week': 1 of 4 values are missing"),
        (weeks().clear(), {}, "the frame has no row"),
    ],
)
def test_what_cannot_be_arranged_is_refused_by_name(frame, options, said):
    with pytest.raises(FrameError, match=said):
        panel(frame, **options)


def test_before_an_origin_later_targets_are_not_seen_but_plans_are():
    frame = weeks(price=[1.0, 2.0, 3.0, 4.0])
    found = panel(frame, known=["price"])
    seen = found.seen_at(found.index(date(2026, 1, 12)))
    np.testing.assert_array_equal(seen.target, [[4, NAN, NAN], [5, NAN, NAN]])
    np.testing.assert_array_equal(seen.known["price"], found.known["price"])
    np.testing.assert_array_equal(found.target, [[4, 0, NAN], [5, NAN, 7]])
    with pytest.raises(
        FrameError, match="2026-02-02 is no step of the panel, which runs from 2026-01-05 to 2026-01-19"
    ):
        found.index(date(2026, 2, 2))
