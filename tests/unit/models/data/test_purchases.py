"""Purchases from frames as people have them: names, ids, zones, returns, and what is refused."""

from datetime import UTC, date, datetime

import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from models.data import Purchases
from models.errors import FrameError
from models.states import known_at

NAMES = {"consumer_id": "user", "item_id": "sku", "at": "when"}


def naive(*parts):
    """A time that names no zone."""
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)


def lines(**columns):
    return pl.DataFrame({"user": [7, 7, 8], "sku": ["a", "b", "a"], "when": ["2026-01-05"] * 3} | columns)


def test_ids_become_text_and_one_moment_of_a_consumer_is_one_basket():
    frame = Purchases.from_frame(lines(), NAMES).frame
    assert frame["consumer_id"].to_list() == ["7", "7", "8"]
    assert frame["quantity"].to_list() == [1.0, 1.0, 1.0]
    assert frame["basket_id"].n_unique() == 2


def test_pandas_polars_and_arrow_give_the_same():
    polars = lines()
    expected = Purchases.from_frame(polars, NAMES).frame
    for other in (pd.DataFrame(polars.to_dict(as_series=False)), polars.to_arrow(), polars.lazy()):
        assert_frame_equal(Purchases.from_frame(other, NAMES).frame, expected)


def test_whole_numbers_that_a_null_elsewhere_made_floats_keep_their_text():
    frame = lines(user=[7.0, 7.0, 8.0])
    assert Purchases.from_frame(frame, NAMES).frame["consumer_id"].to_list() == ["7", "7", "8"]


@pytest.mark.parametrize(
    ("when", "zone", "expected"),
    [
        (date(2026, 1, 5), "UTC", datetime(2026, 1, 5, tzinfo=UTC)),
        (date(2026, 1, 5), "Asia/Shanghai", datetime(2026, 1, 4, 16, tzinfo=UTC)),
        (naive(2026, 1, 5, 8), "Asia/Shanghai", datetime(2026, 1, 5, 0, tzinfo=UTC)),
        (pd.Timestamp("2026-01-05 08:00", tz="Asia/Shanghai"), "UTC", datetime(2026, 1, 5, 0, tzinfo=UTC)),
        (
            pd.Timestamp("2026-01-05 08:00", tz="Europe/Paris"),
            "Asia/Shanghai",
            datetime(2026, 1, 5, 7, tzinfo=UTC),
        ),
        ("2026-01-05T08:00:00", "America/New_York", datetime(2026, 1, 5, 13, tzinfo=UTC)),
        # New York skips from 02:00 to 03:00 on that night, and has 01:30 twice on the other.
        (naive(2026, 3, 8, 2, 30), "America/New_York", datetime(2026, 3, 8, 7, 30, tzinfo=UTC)),
        (naive(2026, 11, 1, 1, 30), "America/New_York", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
    ],
)
def test_any_zone_becomes_utc(when, zone, expected):
    frame = pd.DataFrame({"user": [1], "sku": [2], "when": [when]})
    assert Purchases.from_frame(frame, NAMES, zone=zone).frame["at"].to_list() == [expected]


@pytest.mark.parametrize(
    ("frame", "names", "said"),
    [
        (lines().drop("sku"), NAMES, "no column 'sku'; it has user, when"),
        (lines(), NAMES | {"colour": "user"}, "purchases have no column colour"),
        (lines(), NAMES | {"quantity": "pieces"}, "no column 'pieces'"),
        (lines(user=[7, None, 8]), NAMES, "column 'user': 1 of 3 values are missing"),
        (lines(user=[7.5, 7.0, 8.0]), NAMES, "not fractions"),
        (lines(when=[1, 2, 3]), NAMES, "column 'when' holds Int64, not times"),
        (
            lines(when=["soon", "later", "now"]),
            NAMES,
            "column 'when': not every text is an ISO time, e.g. 'soon'",
        ),
        (lines(quantity=[1, 0, 2]), NAMES, "neither purchase nor return"),
        (lines(quantity=["1", "2", "3"]), NAMES, "column 'quantity' holds String, not numbers"),
        (lines(quantity=[1.0, float("inf"), 2.0]), NAMES, "1 values are infinite"),
        ([1, 2], NAMES, "a frame of Polars, pandas or Arrow is needed, not list"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(frame, names, said):
    with pytest.raises(FrameError, match=said):
        Purchases.from_frame(frame, names)


def test_an_unknown_zone_is_named():
    with pytest.raises(FrameError, match="'Mars/Base' is no time zone"):
        Purchases.from_frame(lines(), NAMES, zone="Mars/Base")


def test_slices_hold_their_end_and_not_their_beginning():
    days = Purchases.from_frame(lines(when=["2026-01-05", "2026-01-06", "2026-01-07"]), NAMES)
    fifth, sixth = datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC)
    assert days.until(sixth).frame.height == 2
    assert days.between(fifth, sixth).frame["item_id"].to_list() == ["b"]


def test_a_moment_without_a_zone_is_no_moment():
    purchases = Purchases.from_frame(lines(), NAMES)
    with pytest.raises(FrameError, match="moment 2026-01-06 00:00:00 names no time zone"):
        purchases.until(naive(2026, 1, 6))
    with pytest.raises(FrameError, match="end 2026-01-06 00:00:00 names no time zone"):
        purchases.between(datetime(2026, 1, 5, tzinfo=UTC), naive(2026, 1, 6))


def returned(quantities, values=None):
    days = [date(2026, 1, day + 1) for day in range(len(quantities))]
    columns = {
        "consumer_id": ["c"] * len(days),
        "item_id": ["i"] * len(days),
        "at": days,
        "quantity": quantities,
    }
    return Purchases.from_frame(pl.DataFrame(columns | ({"value_cents": values} if values else {})))


@pytest.mark.parametrize(
    ("quantities", "kept"),
    [
        ([2, 3, -4], [1.0]),  # the newest first: 3 of the second day, 1 of the first
        ([2, -2], []),
        ([2, -2, 5], [5.0]),  # a return takes nothing of what was bought after it
        ([-2, 5], [5.0]),
        ([1, -3, 2], [2.0]),  # more came back than was bought here
    ],
)
def test_a_return_takes_from_the_newest_purchase_before_it(quantities, kept):
    assert returned(quantities).net().frame["quantity"].to_list() == kept


def test_a_partly_returned_line_is_worth_its_part():
    net = returned([4, -1], [1000.0, -250.0]).net().frame
    assert net.select("quantity", "value_cents").rows() == [(3.0, 750.0)]


def test_a_return_is_not_known_before_it_happened():
    purchases = returned([2, -2])
    assert purchases.until(datetime(2026, 1, 1, tzinfo=UTC)).net().frame["quantity"].to_list() == [2.0]


def test_states_tell_a_line_before_and_since_something_came_back():
    states = returned([4, 2, -3, -3], [400.0, 80.0, -90.0, -90.0]).states()
    days = [pl.col(name).dt.day() for name in ("at", "received_at", "superseded_at")]
    assert states.select(*days, "quantity", "value_cents").rows() == [
        (1, 1, 3, 4.0, 400.0),
        (1, 3, 4, 3.0, 300.0),
        (2, 2, 3, 2.0, 80.0),
    ]
    assert returned([4, 2]).states()["superseded_at"].null_count() == 2


def test_what_comes_back_at_once_was_never_there():
    lines = pl.DataFrame(
        {"consumer_id": "c", "item_id": "i", "at": date(2026, 1, 1), "basket_id": ["1", "2"],
         "quantity": [3, -1]}
    )  # fmt: skip
    assert Purchases.from_frame(lines).states().select("quantity", "superseded_at").rows() == [(2.0, None)]


@given(st.lists(st.integers(-4, 4).filter(bool), min_size=1, max_size=12), st.integers(1, 13))
def test_states_known_at_a_moment_are_what_was_kept_by_then(quantities, day):
    moment = datetime(2026, 1, day, tzinfo=UTC)
    purchases = returned(quantities)
    known = purchases.states().filter((pl.col("at") <= moment) & known_at(moment))
    assert known.drop("received_at", "superseded_at").equals(purchases.until(moment).net().frame)


@given(st.lists(st.integers(-4, 4).filter(bool), min_size=1, max_size=12))
def test_what_is_kept_is_what_was_bought_less_what_came_back(quantities):
    """Against a count of single pieces, each of which leaves a stack of those at hand."""
    at_hand = []
    for day, quantity in enumerate(quantities):
        at_hand += [day] * max(quantity, 0)
        del at_hand[max(len(at_hand) + min(quantity, 0), 0) :]
    expected = [float(at_hand.count(day)) for day in sorted(set(at_hand))]
    assert returned(quantities).net().frame["quantity"].to_list() == expected
