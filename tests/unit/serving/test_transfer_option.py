"""The alternative `transfer` by hand and against every choice of warehouses, on small cases."""

import itertools
from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.orders.routing.contracts import CostParameters, Demand, OfferStock
from serving.orders.routing.cost import zone
from serving.watch.alternatives.lines import ConcernedLine
from serving.watch.alternatives.rehousing import OtherHouse, transfer_option

WAYS = CostParameters(split_penalty_cents=10**6)
TODAY = date(2026, 11, 1)
OFFER = OfferStock("S1", "tea", 0, 1000, 0, 0, "east", 1)


def line(order="o1", qty=2, region="east", has_left=False):
    demand = Demand(order, 1, "tea", qty, region)
    return ConcernedLine(demand, "S1", has_left, ("tea",), TODAY + timedelta(days=1))


def house(name, free=0, *, region="east", days=0, brought=None, cents=20):
    later = None if brought is None else brought + days
    return OtherHouse(name, region, free, days, brought, later, cents)


def option(lines, *houses, days_late=2.0):
    return transfer_option(lines, {"tea": OFFER}, {"tea": houses}, "east", TODAY, days_late, WAYS)


def told(found):
    return {move.order_id: (move.to_warehouse_id, move.brought_days) for move in found.moves}


def test_what_lies_there_is_taken_before_what_has_to_be_brought():
    found = option([line(), line("o2")], house("W2", 2, brought=2))
    assert sorted(told(found).values(), key=str) == [("W2", 2), ("W2", None)]
    # Handling of two units; a day before it was to leave, and two days later, the wait being two days.
    assert found.cost_change_cents == 40
    assert found.arrival_change_days == ((0 - 1 - 2) + (2 - 1 - 2)) / 2


def test_a_way_to_the_buyer_that_costs_more_is_told():
    found = option([line()], house("W2", 9, region="west"))
    assert (told(found), found.cost_change_cents) == ({"o1": ("W2", None)}, 2 * 400)
    assert option([line()], house("W2", 9, region="west"), days_late=None).arrival_change_days is None


def test_nothing_that_left_and_nothing_without_room_moves():
    assert option([line(has_left=True)], house("W2", 9)) is None
    assert option([line()], OtherHouse("W2", "east", 9, None, 2, None, 20)) is None
    assert option([line(qty=3)], house("W2", 2), house("W3", 2)) is None
    assert option([line()]) is None
    assert transfer_option([line()], {}, {}, "east", TODAY, 1.0, WAYS) is None


def cost_of(one, other, is_brought):
    days = other.days_when_brought if is_brought else other.days
    way = zone(other.region_code, one.demand.to_region, WAYS)
    late = max(0, days + way.transit_days - WAYS.promised_days) * WAYS.lateness_penalty_cents_per_day
    unit = 1000 + way.surcharge_cents + late + (other.brought_cents if is_brought else 0)
    return unit * one.demand.qty


HOUSES = st.tuples(
    *(
        st.builds(
            house,
            st.just(name),
            st.integers(0, 4),
            region=st.sampled_from(("east", "west")),
            days=st.integers(0, 7),
            brought=st.just(2),
            cents=st.integers(0, 300),
        )
        for name in ("W2", "W3")
    )
)
LINES = st.lists(st.tuples(st.just(1), st.sampled_from(("east", "west"))), min_size=1, max_size=3)


@settings(deadline=None)
@given(HOUSES, LINES)
def test_no_choice_of_warehouses_costs_less(houses, wanted):
    """Of lines of one unit; with larger ones the assignment is within its bound, as in ordering."""
    lines = [line(f"o{n}", qty, region) for n, (qty, region) in enumerate(wanted)]
    found = option(lines, *houses)
    choices = list(itertools.product(houses, (False, True)))
    best = None
    for plan in itertools.product(choices, repeat=len(lines)):
        taken = dict.fromkeys(("W2", "W3"), 0)
        for one, (other, is_brought) in zip(lines, plan, strict=True):
            taken[other.warehouse_id] += 0 if is_brought else one.demand.qty
        if all(taken[other.warehouse_id] <= other.free_qty for other in houses):
            cost = sum(cost_of(one, *berth) for one, berth in zip(lines, plan, strict=True))
            best = cost if best is None else min(best, cost)
    assert found is not None
    assert len(found.moves) == len(lines)
    by_id = {other.warehouse_id: other for other in houses}
    mine = {
        move.order_id: (by_id[move.to_warehouse_id], move.brought_days is not None) for move in found.moves
    }
    assert sum(cost_of(one, *mine[one.demand.order_id]) for one in lines) == best
