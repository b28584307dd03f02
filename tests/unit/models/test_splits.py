from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InsufficientDataError
from models.splits import Cut, rolling_cuts, training_origins

AS_OF = datetime(2018, 1, 1, 4, 1, 20, tzinfo=UTC)
DAY = timedelta(days=1)


def test_three_cuts_of_two_weeks_by_hand() -> None:
    cuts = rolling_cuts(AS_OF, 14 * DAY, 3)
    assert [(cut.origin.date().isoformat(), cut.end.date().isoformat()) for cut in cuts] == [
        ("2017-11-20", "2017-12-04"),
        ("2017-12-04", "2017-12-18"),
        ("2017-12-18", "2018-01-01"),
    ]
    assert cuts[-1].end == AS_OF


def test_training_origins_by_hand() -> None:
    # Labels of 14 days that have ended by 20 November start on 6 November at the latest; with a purge of
    # two days on 4 November.
    origin = datetime(2017, 11, 20, tzinfo=UTC)
    assert [one.day for one in training_origins(origin, 14 * DAY, 2, step=7 * DAY)] == [6, 30]
    assert training_origins(origin, 14 * DAY, 1, purge=2 * DAY)[0].day == 4
    assert training_origins(origin, 14 * DAY, 5, earliest=origin - 30 * DAY) == [
        origin - 14 * DAY,
        origin - 28 * DAY,
    ]


def test_a_row_on_the_origin_is_known_and_not_predicted() -> None:
    cut = Cut(AS_OF, AS_OF + DAY)
    frame = pl.DataFrame({"at": [AS_OF, AS_OF + timedelta(microseconds=1), AS_OF + DAY, AS_OF + 2 * DAY]})
    assert frame.select(cut.known("at")).to_series().to_list() == [True, False, False, False]
    assert frame.select(cut.window("at")).to_series().to_list() == [False, True, True, False]


days = st.integers(1, 60).map(lambda n: n * DAY)


@given(horizon=days, count=st.integers(1, 8), step=days)
def test_cuts_end_at_as_of_in_order_with_equal_windows(
    horizon: timedelta, count: int, step: timedelta
) -> None:
    cuts = rolling_cuts(AS_OF, horizon, count, step=step)
    assert len(cuts) == count
    assert cuts[-1].end == AS_OF
    assert all(cut.horizon == horizon for cut in cuts)
    assert all(b.origin - a.origin == step for a, b in pairwise(cuts))


@given(horizon=days, count=st.integers(1, 8), minutes=st.lists(st.integers(-200_000, 10_000), max_size=50))
def test_windows_of_default_step_are_disjoint_and_known_never_meets_window(
    horizon: timedelta, count: int, minutes: list[int]
) -> None:
    frame = pl.DataFrame(
        {"at": [AS_OF + timedelta(minutes=one) for one in minutes]},
        schema={"at": pl.Datetime("us", "UTC")},
    )
    cuts = rolling_cuts(AS_OF, horizon, count)
    inside = frame.select(pl.sum_horizontal(*(cut.window("at").cast(pl.Int8) for cut in cuts)))
    assert all(value <= 1 for value in inside.to_series().to_list())
    for cut in cuts:
        assert frame.filter(cut.known("at") & cut.window("at")).height == 0


@given(horizon=days, count=st.integers(1, 8), step=days, purge=st.integers(0, 20).map(lambda n: n * DAY))
def test_no_label_window_reaches_past_the_purged_origin(
    horizon: timedelta, count: int, step: timedelta, purge: timedelta
) -> None:
    origins = training_origins(AS_OF, horizon, count, step=step, purge=purge)
    assert len(origins) == count
    assert all(one + horizon + purge <= AS_OF for one in origins)
    assert origins == sorted(origins, reverse=True)
    assert origins[0] + horizon + purge == AS_OF


def test_short_history_is_refused_with_the_dates() -> None:
    with pytest.raises(InsufficientDataError, match="2017-11-20"):
        rolling_cuts(AS_OF, 14 * DAY, 3, earliest=datetime(2017, 11, 1, tzinfo=UTC), min_history=28 * DAY)
    with pytest.raises(InsufficientDataError):
        rolling_cuts(AS_OF, 14 * DAY, 3, earliest=datetime(2017, 12, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("horizon", "count", "step"), [(0 * DAY, 1, DAY), (DAY, 0, DAY), (DAY, 1, 0 * DAY), (-DAY, 1, DAY)]
)
def test_lengths_must_be_positive(horizon: timedelta, count: int, step: timedelta) -> None:
    with pytest.raises(ValueError, match="positive"):
        rolling_cuts(AS_OF, horizon, count, step=step)
    with pytest.raises(ValueError, match="positive"):
        training_origins(AS_OF, horizon, count, step=step)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        rolling_cuts(datetime(2018, 1, 1), DAY, 1)  # noqa: DTZ001


def test_the_label_of_the_newest_origin_ends_exactly_at_the_purge() -> None:
    """Without its horizon the newest origin would sit on 18 November and its label reach into the window."""
    origin = datetime(2017, 11, 20, tzinfo=UTC)
    newest, second = training_origins(origin, 14 * DAY, 2, purge=2 * DAY)
    assert newest == datetime(2017, 11, 4, tzinfo=UTC)
    assert newest + 14 * DAY == origin - 2 * DAY
    assert newest - second == 14 * DAY


def test_an_origin_on_the_first_row_is_kept_and_one_before_it_is_not() -> None:
    origin = datetime(2017, 11, 20, tzinfo=UTC)
    edge = origin - 14 * DAY
    assert training_origins(origin, 14 * DAY, 1, earliest=edge) == [edge]
    assert training_origins(origin, 14 * DAY, 1, earliest=edge + timedelta(microseconds=1)) == []


def test_history_of_exactly_the_wanted_length_is_enough() -> None:
    first = datetime(2017, 12, 1, 4, 1, 20, tzinfo=UTC)
    (cut,) = rolling_cuts(AS_OF, 3 * DAY, 1, earliest=first, min_history=28 * DAY)
    assert cut.origin - first == 28 * DAY
    with pytest.raises(InsufficientDataError):
        rolling_cuts(AS_OF, 3 * DAY, 1, earliest=first + timedelta(microseconds=1), min_history=28 * DAY)
