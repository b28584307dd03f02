"""The bound that knows splits, and the search for better plans, against enumeration and by hand."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.orders.routing.alike import alike_lines
from serving.orders.routing.assignment import route_batch
from serving.orders.routing.contracts import OfferStock
from serving.orders.routing.flow_network import build_network
from serving.orders.routing.greedy import route_greedy
from serving.orders.routing.split_bound import Penalties, SplitRelaxation, cuts
from tests.unit.serving.orders.routing.test_routing_assignment import (
    PARAMETERS,
    assert_conserved,
    batches,
    cheapest,
    line,
    offer,
)


def relaxed(lines, offers):
    network = build_network(lines, offers, PARAMETERS)
    penalties = Penalties(PARAMETERS.split_penalty_cents, network.overflow_cents)
    return network, SplitRelaxation(alike_lines(network), penalties)


def bound_at(lines, offers, price):
    _, relaxation = relaxed(lines, offers)
    return relaxation.bound(np.array(price, dtype=np.int64)).tolist()


def test_every_cut_of_three_units_is_there_once():
    assert cuts(3) == ((3,), (2, 1), (1, 1, 1), (2,), (1, 1), (1,), ())


def test_the_bound_knows_that_a_line_must_be_split():
    # One unit each: two parts and the penalty of 50. A unit of a at 20 more: 2 x 120 + 50 - 20, the optimum.
    assert bound_at([line("o1", 2)], [offer("a", 100, 1), offer("b", 120, 1)], [0, 0]) == [250]
    assert bound_at([line("o1", 2)], [offer("a", 100, 1), offer("b", 120, 1)], [20, 0]) == [270]
    # a has both: whole at 200.
    assert bound_at([line("o1", 2)], [offer("a", 100, 2), offer("b", 120, 1)], [0, 0]) == [200]


def test_the_bound_knows_smallest_orders():
    # b ships two or more: one of a and one of b is no plan; two of b is the cheapest, at 2 x 120.
    assert bound_at([line("o1", 2)], [offer("a", 100, 1), offer("b", 120, 2, moq=2)], [0, 0]) == [240]


def test_scarce_stock_has_a_price():
    # Two lines of one unit, one unit at 100, one at 160. Stock of a at 60: 160 + 160 - 60 = the optimum, 260.
    lines, offers = [line("o1", 1), line("o2", 1)], [offer("a", 100, 1), offer("b", 160, 5)]
    assert bound_at(lines, offers, [0, 0]) == [200]
    assert bound_at(lines, offers, [60, 0]) == [260]
    network, relaxation = relaxed(lines, offers)
    raised = relaxation.raise_prices(np.zeros(2, dtype=np.int64), np.array([320]))
    assert relaxation.bound(raised).tolist() == [260]
    assert (raised >= 0).all()
    assert (raised <= network.overflow_cents).all()


def test_a_price_below_zero_is_refused():
    with pytest.raises(ValueError, match="0 or more"):
        bound_at([line("o1", 1)], [offer("a", 100, 1)], [-1])


@settings(max_examples=150, deadline=None)
@given(batches(most_moq=3), st.lists(st.integers(0, 2000), min_size=3, max_size=3))
def test_no_price_lifts_the_bound_above_the_optimum(batch, prices):
    network, relaxation = relaxed(*batch)
    short, cost = cheapest(*batch, PARAMETERS.split_penalty_cents)
    price = np.array(prices[: len(network.stock)], dtype=np.int64)
    assert relaxation.bound(price).sum() <= cost + network.overflow_cents * short


@settings(max_examples=150, deadline=None)
@given(batches())
def test_a_search_to_the_end_finds_the_optimum_with_splits(batch):
    exact = route_batch(*batch, PARAMETERS, close_enough=0)
    best = cheapest(*batch, PARAMETERS.split_penalty_cents)
    assert (exact.plan.short_qty, exact.plan.cost_cents) == best
    assert exact.lower_bound_cents <= best[1]
    assert_conserved(exact.plan, *batch)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_lines_too_large_to_be_cut_anew_keep_their_parts(data):
    lines = [line("big", data.draw(st.integers(7, 9))), line("o1", data.draw(st.integers(1, 3)))]
    offers = [offer(f"s{n}", data.draw(st.integers(0, 300)), data.draw(st.integers(0, 9))) for n in range(2)]
    exact = route_batch(lines, offers, PARAMETERS, close_enough=0)
    short, cost = cheapest(lines, offers, PARAMETERS.split_penalty_cents)
    assert exact.plan.short_qty == short
    assert exact.lower_bound_cents <= cost <= exact.plan.cost_cents
    assert_conserved(exact.plan, lines, offers)


def tangled(seed):
    """Forty lines whose units nearly all fit exactly: the flow splits many of them."""
    random = np.random.default_rng(seed)
    lines = [
        line(f"o{n:02d}", int(random.integers(1, 5)), random.choice(["east", "west"])) for n in range(40)
    ]
    wanted = sum(one.qty for one in lines)
    stock = random.multinomial(wanted + 3, np.full(8, 1 / 8))
    offers = [
        offer(f"s{n}", int(random.integers(100, 200)), int(stock[n]), random.choice(["east", "west"]))
        for n in range(8)
    ]
    return lines, offers


@pytest.mark.parametrize("seed", range(3))
def test_the_search_beats_the_flow_and_greedy_and_the_bound_stays_below(seed):
    lines, offers = tangled(seed)
    flow = route_batch(lines, offers, PARAMETERS, close_enough=1)
    exact = route_batch(lines, offers, PARAMETERS)
    greedy = route_greedy(lines, offers, PARAMETERS)
    assert exact.plan.cost_cents < min(flow.plan.cost_cents, greedy.cost_cents)
    assert flow.lower_bound_cents <= exact.lower_bound_cents <= exact.plan.cost_cents
    assert exact.gap_to_bound == exact.gap_cents / exact.lower_bound_cents
    assert_conserved(exact.plan, lines, offers)


def test_the_search_ends_at_the_share_that_is_close_enough():
    lines, offers = tangled(0)
    begun = route_batch(lines, offers, PARAMETERS, close_enough=1)
    share = Fraction(begun.gap_cents, begun.lower_bound_cents)
    assert route_batch(lines, offers, PARAMETERS, close_enough=share) == begun
    further = route_batch(lines, offers, PARAMETERS, close_enough=share - Fraction(1, 10**9))
    assert further.plan.cost_cents < begun.plan.cost_cents


def test_a_plan_of_the_solver_that_breaks_a_limit_is_not_taken(monkeypatch):
    lines, offers = tangled(0)
    begun = route_batch(lines, offers, PARAMETERS, close_enough=1)

    def everything(cents, **_):
        return scipy.optimize.OptimizeResult(x=np.ones(len(cents)), status=0)

    monkeypatch.setattr(scipy.optimize, "milp", everything)
    assert route_batch(lines, offers, PARAMETERS).plan == begun.plan


def test_nothing_on_offer_is_no_gap():
    assert route_batch([], [], PARAMETERS).gap_to_bound == 0
    free = [OfferStock("a", "k", 1, 0, 0, 0, "east")]
    assert route_batch([line("o1", 1)], free, PARAMETERS).gap_to_bound == 0


def test_a_line_of_the_most_units_is_cut_without_loss():
    # Six single units: 6 x 100 + 5 penalties of 50.
    offers = [offer(f"s{n}", 100, 1) for n in range(6)]
    exact = route_batch([line("o1", 6)], offers, PARAMETERS)
    assert exact.plan.cost_cents == exact.lower_bound_cents == 850
    dear = dataclasses.replace(PARAMETERS, split_penalty_cents=10**6)
    assert route_batch([line("o1", 6)], offers, dear).plan.short_qty == 0
