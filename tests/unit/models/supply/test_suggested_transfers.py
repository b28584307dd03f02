"""Suggested transfers against every plan that there is, on small cases; spare units and shortages by hand."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import ModelError
from models.supply.transfers.config import TransferConfig
from models.supply.transfers.suggest import Shelf, Transfer, Way, spare_of, suggest, useful_of

FREE_TRIP = TransferConfig(horizon_days=4, keep_days=2, least_cents=0)
NAMES = ("a", "b", "c")


def test_what_is_spare_in_the_east_goes_to_where_it_is_missing():
    shelves = [Shelf("east", 100, 0, 1.0), Shelf("west", 5, 2, 3.0)]
    ways = {("east", "west"): Way(2, 160, 400), ("west", "east"): Way(2, 160, 400)}
    config = TransferConfig(horizon_days=14, keep_days=14, least_cents=2_000)
    # The west sells 42 in 14 days and has 7; the east keeps 14.
    assert suggest(shelves, ways, config) == [Transfer("east", "west", 35, 2, 35 * 160, 35 * 400)]
    assert [round(shelf.cover_days, 2) for shelf in shelves] == [100.0, 2.33]
    assert Shelf("idle", 9, 0, 0.0).cover_days is None


def test_a_transfer_that_does_not_pay_its_trip_is_left_out():
    shelves = [Shelf("east", 100, 0, 0.0), Shelf("west", 0, 0, 1.0)]
    config = TransferConfig(horizon_days=10, least_cents=2_000)
    for gain, found in ((199, 0), (200, 1)):
        assert len(suggest(shelves, {("east", "west"): Way(0, 100, 100 + gain)}, config)) == found
    assert suggest(shelves, {("east", "west"): Way(0, 400, 400)}, FREE_TRIP) == []
    assert suggest(shelves, {}, FREE_TRIP) == []


def test_units_that_come_after_the_horizon_help_nobody():
    shelves = [Shelf("east", 100, 0, 0.0), Shelf("west", 0, 0, 5.0)]
    for days, units in ((0, 20), (3, 5), (4, 0)):
        found = suggest(shelves, {("east", "west"): Way(days, 0, 100)}, FREE_TRIP)
        assert sum(one.qty for one in found) == units


def test_nobody_gives_what_it_will_sell_itself():
    assert spare_of(Shelf("a", 10, 90, 4.5), FREE_TRIP) == 1
    assert spare_of(Shelf("a", 9, 0, 4.5), FREE_TRIP) == 0
    assert useful_of(Shelf("a", 3, 4, 2.0), 0, FREE_TRIP) == 1


def test_settings_out_of_range_are_refused():
    for wrong in ({"horizon_days": 0}, {"keep_days": -1}, {"freight_bps": -1}):
        with pytest.raises(ModelError, match="must"):
            TransferConfig(**wrong)


SHELVES = st.tuples(
    *(
        st.builds(
            Shelf, st.just(name), st.integers(0, 5), st.integers(0, 2), st.sampled_from((0.0, 0.5, 1.0, 1.7))
        )
        for name in NAMES
    )
)
WAYS = st.dictionaries(
    st.sampled_from(list(itertools.permutations(NAMES, 2))),
    st.builds(Way, st.integers(0, 4), st.integers(0, 3), st.integers(0, 6)),
    max_size=4,
)


def best_of_all(shelves, ways, config):
    """The largest gain of every plan: spare units bound who gives, arrivals bound who takes."""
    by_id = {shelf.warehouse_id: shelf for shelf in shelves}
    arcs = sorted(ways.items())
    rooms = [range(spare_of(by_id[pair[0]], config) + 1) for pair, _ in arcs]
    best = 0
    for units in itertools.product(*rooms):
        plan = list(zip(arcs, units, strict=True))
        if is_possible(by_id, plan, config):
            best = max(best, sum(qty * way.gain_cents for (_, way), qty in plan))
    return best


def is_possible(by_id, plan, config):
    for name, shelf in by_id.items():
        if sum(qty for (pair, _), qty in plan if pair[0] == name) > spare_of(shelf, config):
            return False
        for day in range(6):
            late = sum(qty for (pair, way), qty in plan if pair[1] == name and way.days >= day)
            if late > useful_of(shelf, day, config):
                return False
    return True


@settings(max_examples=300, deadline=None)
@given(SHELVES, WAYS)
def test_no_plan_is_worth_more(shelves, ways):
    found = suggest(shelves, ways, FREE_TRIP)
    by_id = {shelf.warehouse_id: shelf for shelf in shelves}
    plan = [(((one.from_warehouse_id, one.to_warehouse_id), Way(one.days, 0, 0)), one.qty) for one in found]
    assert is_possible(by_id, plan, FREE_TRIP)
    assert sum(one.saved_cents - one.cost_cents for one in found) == best_of_all(shelves, ways, FREE_TRIP)
