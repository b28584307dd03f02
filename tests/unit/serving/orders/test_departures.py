"""When a warehouse can hand units over: hand-computed days, and every rule against a walk over the days."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.orders.routing.contracts import CostParameters, OfferStock, Zone
from serving.orders.warehouses.calendar import MOST_DAYS, Warehouse, departure, most_units
from serving.orders.warehouses.choosing import Departure, Warehouses

SHANGHAI, URUMQI = ZoneInfo("Asia/Shanghai"), ZoneInfo("Asia/Urumqi")
MONDAY = date(2026, 11, 2)
AT_FOUR = datetime(2026, 11, 2, 8, tzinfo=UTC)  # 16:00 in Shanghai
SECOND = timedelta(seconds=1)


def house(
    name="w", supplier="S", region="east", capacity=None, cut_off=960, days="12345", closed=(), zone=SHANGHAI
):
    return Warehouse(name, supplier, region, capacity, cut_off, days, frozenset(closed), zone)


def leaves(warehouse, now=AT_FOUR, lead=0, qty=1, booked=None):
    day = departure(warehouse, now, lead, qty, booked or {})
    return None if day is None else (day - MONDAY).days


def test_the_cut_off_itself_is_in_time_and_a_moment_later_is_not():
    assert leaves(house()) == 0
    assert leaves(house(), AT_FOUR + timedelta(microseconds=1)) == 1
    assert leaves(house(cut_off=None)) == 1
    assert leaves(house(cut_off=1440), datetime(2026, 11, 2, 15, 59, 59, tzinfo=UTC)) == 0
    assert leaves(house(cut_off=0), datetime(2026, 11, 1, 16, tzinfo=UTC)) == 0


def test_the_clock_is_that_of_the_warehouse():
    # 16:00 in Shanghai is 14:00 in Urumqi: two hours before its cut-off, or two hours after a noon one.
    assert leaves(house(), AT_FOUR + SECOND) == 1
    assert leaves(house(zone=URUMQI), AT_FOUR + SECOND) == 0
    # Sunday 17:00 UTC is Monday 01:00 in Shanghai.
    assert leaves(house(), datetime(2026, 11, 1, 17, tzinfo=UTC)) == 0


def test_days_on_which_nobody_works_are_passed_over():
    friday_evening = AT_FOUR + timedelta(days=4, hours=1)
    assert leaves(house(), friday_evening) == 7
    assert leaves(house(days="1234567"), friday_evening) == 5
    assert leaves(house(closed=[MONDAY + timedelta(days=7)]), friday_evening) == 8
    # Lead days are days of the calendar; what ends on a Saturday leaves on Monday.
    assert leaves(house(), lead=5) == 7
    assert leaves(house(), lead=4) == 4


def test_a_day_takes_as_many_units_as_it_has_room_for():
    assert leaves(house(capacity=10), qty=4, booked={MONDAY: 6}) == 0
    assert leaves(house(capacity=10), qty=4, booked={MONDAY: 7}) == 1
    assert leaves(house(capacity=10), qty=11) is None
    assert leaves(house(capacity=0)) is None


def test_what_is_closed_beyond_reach_ships_nothing():
    shut = [MONDAY + timedelta(days=n) for n in range(MOST_DAYS)]
    assert leaves(house(days="1234567", closed=shut)) == MOST_DAYS
    assert leaves(house(days="1234567", closed=[*shut, MONDAY + timedelta(days=MOST_DAYS)])) is None


@given(
    st.integers(0, 20_000),
    st.integers(0, 9),
    st.integers(1, 5),
    st.sets(st.sampled_from("1234567"), min_size=1),
    st.one_of(st.none(), st.integers(0, 1440)),
    st.one_of(st.none(), st.integers(1, 6)),
    st.dictionaries(st.integers(0, 30), st.integers(0, 6)),
    st.sets(st.integers(0, 20)),
)
def test_no_earlier_day_would_have_done(minutes, lead, qty, days, cut_off, capacity, taken, shut):
    now = datetime(2026, 11, 1, 16, tzinfo=UTC) + timedelta(minutes=minutes)
    closed = {MONDAY + timedelta(days=n) for n in shut}
    booked = {MONDAY + timedelta(days=n): units for n, units in taken.items()}
    warehouse = house(capacity=capacity, cut_off=cut_off, days="".join(sorted(days)), closed=closed)
    local = now.astimezone(SHANGHAI)

    def works(day):
        return str(day.isoweekday()) in days and day not in closed

    # Walk: the order waits at the door until a working day whose cut-off it did not miss.
    day = local.date()
    while not works(day) or (
        day == local.date() and (cut_off is None or local.hour * 60 + local.minute > cut_off)
    ):
        day += timedelta(days=1)
    day += timedelta(days=lead)
    expected = None
    for _ in range(200):
        if works(day) and (capacity is None or booked.get(day, 0) + qty <= capacity):
            expected = day
            break
        day += timedelta(days=1)
    assert departure(warehouse, now, lead, qty, booked) == expected


@given(
    st.integers(0, 6),
    st.dictionaries(st.integers(0, 3), st.integers(0, 9)),
    st.sets(st.integers(0, 3)),
)
def test_for_the_most_units_there_is_a_day_and_for_one_more_there_is_none(capacity, taken, opened):
    shut = [MONDAY + timedelta(days=n) for n in range(MOST_DAYS + 1) if n not in opened]
    booked = {MONDAY + timedelta(days=n): units for n, units in taken.items()}
    warehouse = house(capacity=capacity, days="1234567", closed=shut)
    most = most_units(warehouse, AT_FOUR, 0, booked)
    found = [qty for qty in range(1, 9) if departure(warehouse, AT_FOUR, 0, qty, booked) is not None]
    assert most == max(found, default=0)


def test_nothing_limits_an_open_house_without_a_limit():
    assert most_units(house(), AT_FOUR, 0, {MONDAY: 10**6}) is None
    shut = [MONDAY + timedelta(days=n) for n in range(MOST_DAYS + 1)]
    assert most_units(house(closed=shut), AT_FOUR, 0, {}) == 0


COST = CostParameters(
    zones={("west", "north"): Zone(100, 2), ("east", "north"): Zone(300, 1)}, promised_days=3
)


def offer(supplier="S", units=50, lead=0, region="east"):
    return OfferStock(supplier, "milk", units, 1000, 0, lead, region)


def among(*houses, now=AT_FOUR, booked=None):
    counted = {one.warehouse_id: Counter((booked or {}).get(one.warehouse_id, {})) for one in houses}
    return Warehouses(houses, counted, now, SHANGHAI)


def test_the_way_decides_then_lateness_then_the_earlier_promise():
    west, east = house("w-west", region="west"), house("w-east", region="east")
    chosen = among(west, east).choose(offer(), 1, "north", COST)
    assert chosen == Departure("w-west", MONDAY, MONDAY + timedelta(days=2))
    # Full until Thursday: two days late are 200 dearer than the way from the east, which is 200 dearer: a tie
    # of cost, and the earlier promise wins.
    full = {"w-west": {MONDAY + timedelta(days=n): 9 for n in range(3)}}
    west = house("w-west", region="west", capacity=9)
    assert among(west, east, booked=full).choose(offer(), 1, "north", COST).warehouse_id == "w-east"
    # A day less, and the west is cheaper again.
    full = {"w-west": {MONDAY + timedelta(days=n): 9 for n in range(2)}}
    assert among(west, east, booked=full).choose(offer(), 1, "north", COST) == Departure(
        "w-west", MONDAY + timedelta(days=2), MONDAY + timedelta(days=4)
    )


def test_own_warehouses_come_before_those_of_the_platform_and_only_of_the_region():
    own, hub, far = house("own"), house("hub", supplier=None), house("far", supplier=None, region="west")
    assert [one.warehouse_id for one in among(own, hub, far).of(offer())] == ["own"]
    assert [one.warehouse_id for one in among(own, hub, far).of(offer("T"))] == ["hub"]
    assert among(own, far).of(offer("T")) == []


def test_without_a_warehouse_the_lead_time_counts_in_days_of_the_tenant():
    found = among().choose(offer(lead=2), 1, "east", CostParameters())
    assert found == Departure(None, MONDAY + timedelta(days=2), MONDAY + timedelta(days=3))
    assert among().as_shipped([offer(lead=2)], {"milk": 1}, "east", COST) == [offer(lead=2)]


def test_routing_sees_the_days_the_region_and_the_room_of_the_warehouse():
    (seen,) = among(house("w", region="west", capacity=20, cut_off=None)).as_shipped(
        [offer(units=50)], {"milk": 30}, "north", COST
    )
    assert (seen.ship_from_region, seen.lead_time_days, seen.available_qty) == ("west", 1, 20)
    (none,) = among(house(capacity=0)).as_shipped([offer()], {"milk": 1}, "north", COST)
    assert none.available_qty == 0
    # What a larger one could send if it were open promises nothing.
    shut = [MONDAY + timedelta(days=n) for n in range(MOST_DAYS + 1)]
    for large in (house("large", capacity=100, closed=shut), house("large", closed=shut)):
        houses = among(large, house("small", capacity=2))
        (seen,) = houses.as_shipped([offer()], {"milk": 5}, "north", COST)
        assert (seen.available_qty, seen.lead_time_days) == (2, 0)


def test_the_next_line_of_an_order_sees_what_the_first_took():
    houses = among(house(capacity=10))
    first = houses.choose(offer(), 6, "east", COST)
    houses.book(first, offer(), 6)
    assert houses.choose(offer(), 4, "east", COST).ships_on == MONDAY
    assert houses.choose(offer(), 5, "east", COST).ships_on == MONDAY + timedelta(days=1)


@pytest.mark.parametrize("capacity", [1, 4, 5])
def test_a_line_larger_than_a_day_leaves_on_none(capacity):
    assert (among(house(capacity=capacity)).choose(offer(), 5, "east", COST) is None) == (capacity < 5)
