"""The exact router against enumeration, and a certificate that can fail."""

import dataclasses
import itertools
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.orders.routing import assignment
from serving.orders.routing.assignment import route_batch
from serving.orders.routing.certificate import dual_bound, flow_cost, shadow_prices
from serving.orders.routing.consolidation import Consolidation
from serving.orders.routing.contracts import (
    CostParameters,
    Demand,
    InvalidRoutingInputError,
    OfferStock,
    RoutingSolverError,
    UnroutableReason,
    Zone,
)
from serving.orders.routing.flow_network import Flow, build_network, require_feasible, solve
from serving.orders.routing.greedy import route_greedy

REGIONS = ("east", "west")
PARAMETERS = CostParameters(
    promised_days=3,
    lateness_penalty_cents_per_day=70,
    split_penalty_cents=50,
    same_region=Zone(0, 1),
    other_region=Zone(300, 3),
)


def offer(supplier, price, stock, region="east", *, sku="k", freight=0, lead=0, moq=1):
    return OfferStock(supplier, sku, stock, price, freight, lead, region, moq)


def line(order, qty, region="east", *, sku="k"):
    return Demand(order, 1, sku, qty, region)


@st.composite
def batches(draw, most_moq=1):
    """Up to four lines and three offers of one or two skus, stock often short."""
    skus = draw(st.sampled_from([("k",), ("k", "m")]))
    amount = st.integers(0, 400)
    lines = [
        line(
            f"o{n}", draw(st.integers(1, 3)), draw(st.sampled_from(REGIONS)), sku=draw(st.sampled_from(skus))
        )
        for n in range(draw(st.integers(0, 4)))
    ]
    offers = [
        offer(
            f"s{n}",
            draw(amount),
            draw(st.integers(0, 5)),
            draw(st.sampled_from(REGIONS)),
            sku=draw(st.sampled_from(skus)),
            freight=draw(amount),
            lead=draw(st.integers(0, 3)),
            moq=draw(st.integers(1, most_moq)),
        )
        for n in range(draw(st.integers(0, 3)))
    ]
    return lines, offers


def cheapest(lines, offers, split_penalty):
    """(units short, cost) of the best plan by trying every one; the cost is written anew here."""
    ways = []
    for one in lines:
        mine = [n for n, other in enumerate(offers) if other.sku_id == one.sku_id]
        splits = itertools.product(range(one.qty + 1), repeat=len(mine))
        ways.append([dict(zip(mine, split, strict=True)) for split in splits if sum(split) <= one.qty])
    best = None
    for plan in itertools.product(*ways):
        taken = [sum(split.get(n, 0) for split in plan) for n in range(len(offers))]
        if any(units > other.available_qty for units, other in zip(taken, offers, strict=True)):
            continue
        if any(0 < units < offers[n].min_order_qty for split in plan for n, units in split.items()):
            continue
        cost = 0
        for one, split in zip(lines, plan, strict=True):
            for n, units in split.items():
                home = offers[n].ship_from_region == one.to_region
                late = max(0, offers[n].lead_time_days + (1 if home else 3) - 3)
                each = (
                    offers[n].supply_price_cents + offers[n].freight_cents + (0 if home else 300) + 70 * late
                )
                cost += units * each
            cost += split_penalty * max(0, sum(1 for units in split.values() if units) - 1)
        score = sum(one.qty for one in lines) - sum(taken), cost
        best = score if best is None or score < best else best
    return best


def assert_conserved(plan, lines, offers):
    """Every line adds up, no offer gives more than it has, no part is too small."""
    of_line = {(one.order_id, one.line_no): one for one in lines}
    got = dict.fromkeys(of_line, 0)
    given_away = {(other.supplier_id, other.sku_id): 0 for other in offers}
    by_key = {(other.supplier_id, other.sku_id): other for other in offers}
    for part in plan.allocations:
        key = part.supplier_id, of_line[part.order_id, part.line_no].sku_id
        assert part.qty >= by_key[key].min_order_qty
        got[part.order_id, part.line_no] += part.qty
        given_away[key] += part.qty
    for missing in plan.unroutable:
        assert missing.short_qty > 0
        got[missing.order_id, missing.line_no] += missing.short_qty
    assert got == {key: one.qty for key, one in of_line.items()}
    assert all(units <= by_key[key].available_qty for key, units in given_away.items())


def test_the_exact_router_leaves_the_near_stock_to_the_line_that_needs_it():
    offers = [offer("a", 100, 1, "east"), offer("b", 380, 1, "west")]
    lines = [line("o1", 1, "west"), line("o2", 1, "east")]
    # o1 at b costs 380, at a 100 + 300 and no day late; o2 at a costs 100, at b 680: greedy errs in nothing.
    assert route_greedy(lines, offers, PARAMETERS).cost_cents == 480
    # With b at 420, greedy gives a to o1 (400 < 420) and o2 pays 720; exact pays 420 + 100.
    offers[1] = offer("b", 420, 1, "west")
    assert route_greedy(lines, offers, PARAMETERS).cost_cents == 400 + 720
    exact = route_batch(lines, offers, PARAMETERS)
    assert [(p.order_id, p.supplier_id) for p in exact.plan.allocations] == [("o1", "b"), ("o2", "a")]
    assert exact.plan.cost_cents == exact.lower_bound_cents == 520
    assert exact.is_optimal
    assert exact.is_proven_optimal
    assert exact.gap_cents == 0


def test_a_unit_is_routed_however_dear_before_it_is_left_short():
    # Two units routed at any price beat one.
    offers = [offer("a", 1, 1), offer("c", 10**9, 1)]
    exact = route_batch([line("o1", 1), line("o2", 1), line("o3", 1)], offers, PARAMETERS)
    assert exact.plan.cost_cents == 10**9 + 1
    assert [(u.short_qty, u.reason) for u in exact.plan.unroutable] == [(1, UnroutableReason.SHORT_STOCK)]
    assert exact.is_proven_optimal
    assert exact.gap_cents == 0


@settings(max_examples=150, deadline=None)
@given(batches())
def test_the_flow_equals_enumeration_without_split_penalty(batch):
    lines, offers = batch
    free = dataclasses.replace(PARAMETERS, split_penalty_cents=0)
    exact = route_batch(lines, offers, free)
    assert (exact.plan.short_qty, exact.plan.cost_cents) == cheapest(lines, offers, 0)
    assert exact.is_optimal
    assert exact.is_proven_optimal
    assert exact.gap_cents == 0
    assert_conserved(exact.plan, lines, offers)


@settings(max_examples=150, deadline=None)
@given(batches())
def test_with_split_penalty_the_optimum_lies_between_bound_and_plan(batch):
    lines, offers = batch
    exact = route_batch(lines, offers, PARAMETERS)
    short, cost = cheapest(lines, offers, PARAMETERS.split_penalty_cents)
    assert exact.plan.short_qty == short
    assert exact.lower_bound_cents <= cost <= exact.plan.cost_cents
    assert exact.is_proven_optimal
    assert_conserved(exact.plan, lines, offers)


@settings(max_examples=150, deadline=None)
@given(batches(most_moq=3))
def test_with_smallest_orders_every_plan_is_possible_and_the_bound_holds(batch):
    lines, offers = batch
    best = cheapest(lines, offers, PARAMETERS.split_penalty_cents)
    exact = route_batch(lines, offers, PARAMETERS)
    greedy = route_greedy(lines, offers, PARAMETERS)
    for plan in (exact.plan, greedy):
        assert_conserved(plan, lines, offers)
        assert best <= (plan.short_qty, plan.cost_cents)
    assert (exact.plan.short_qty, exact.plan.cost_cents) <= (greedy.short_qty, greedy.cost_cents)
    if exact.plan.short_qty == best[0]:
        assert exact.lower_bound_cents <= best[1]


@settings(max_examples=100, deadline=None)
@given(batches(), st.lists(st.integers(0, 2000), min_size=3, max_size=3))
def test_any_stock_prices_give_a_bound_below_the_optimum(batch, prices):
    network = build_network(*batch, PARAMETERS)
    price = np.array(prices[: len(network.stock)], dtype=np.int64)
    assert dual_bound(network, price) <= flow_cost(network, solve(network))


def test_a_flow_that_is_not_optimal_is_not_proven():
    lines = [line("o1", 1, "west"), line("o2", 1, "east")]
    network = build_network(lines, [offer("a", 100, 1, "east"), offer("b", 420, 1, "west")], PARAMETERS)
    crossed = Flow(1 - solve(network).units, np.zeros(2, dtype=np.int64), True)
    require_feasible(network, crossed)
    assert flow_cost(network, crossed) == 1120
    assert dual_bound(network, shadow_prices(network, crossed)) < 1120
    idle = Flow(np.zeros(4, dtype=np.int64), np.ones(2, dtype=np.int64), True)
    require_feasible(network, idle)
    assert dual_bound(network, shadow_prices(network, idle)) < flow_cost(network, idle)


def test_the_outcome_does_not_believe_the_solver(monkeypatch):
    """A solver that calls a crossed flow optimal is not believed."""
    lines = [line("o1", 1, "west"), line("o2", 1, "east")]
    offers = [offer("a", 100, 1, "east"), offer("b", 420, 1, "west")]

    def crossed(network):
        return Flow(1 - solve(network).units, np.zeros(2, dtype=np.int64), True)

    monkeypatch.setattr(assignment, "solve", crossed)
    outcome = route_batch(lines, offers, PARAMETERS)
    assert outcome.is_optimal
    assert not outcome.is_proven_optimal


@pytest.mark.parametrize(
    ("units", "overflow", "words"),
    [
        ([2, 0], [0, 0], "does not add up at order 'o1' line 1"),
        ([1, 1], [0, 0], "oversells supplier 'a' for sku 'k': 2 of 1"),
        ([1, 0], [0, 0], "does not add up at order 'o2' line 1"),
        ([1, -1], [0, 2], "negative"),
    ],
)
def test_an_impossible_flow_is_refused(units, overflow, words):
    network = build_network([line("o1", 1), line("o2", 1)], [offer("a", 1, 1)], PARAMETERS)
    with pytest.raises(RoutingSolverError, match=words):
        require_feasible(network, Flow(np.array(units), np.array(overflow), True))


def test_stock_prices_below_zero_are_refused():
    network = build_network([line("o1", 1)], [offer("a", 1, 1)], PARAMETERS)
    with pytest.raises(ValueError, match="0 or more"):
        dual_bound(network, np.array([-1]))


@pytest.mark.parametrize(("penalty", "swaps"), [(599, False), (600, False), (601, True)])
def test_a_swap_avoids_a_split_where_it_costs_less_than_the_split(penalty, swaps):
    # No stock is left. o1 (west) has a unit of a (east, 400) and one of b (west, 100); o2 (east) has one of a
    # (100). o1 wholly at a and o2 at b costs 800 + 400 instead of 500 + 100 and the penalty.
    parameters = dataclasses.replace(PARAMETERS, split_penalty_cents=penalty)
    a, b = offer("a", 100, 2, "east"), offer("b", 100, 1, "west")
    lines = {0: line("o1", 2, "west"), 1: line("o2", 1, "east")}
    parts = {0: [(a, 1), (b, 1)], 1: [(a, 1)]}
    stock = {("a", "k"): 0, ("b", "k"): 0}
    Consolidation(lines, parts, [a, b], stock, parameters).run()
    assert parts == ({0: [(a, 2)], 1: [(b, 1)]} if swaps else {0: [(a, 1), (b, 1)], 1: [(a, 1)]})
    assert stock == {("a", "k"): 0, ("b", "k"): 0}


def test_no_part_stays_below_the_smallest_order_of_its_supplier():
    # The flow alone takes 2 of a and 1 of b, which ships 2 or more; 1 of a and 2 of b leave nothing short.
    lines, offers = [line("o1", 3)], [offer("a", 1, 2), offer("b", 2, 2, moq=2)]
    exact = route_batch(lines, offers, PARAMETERS)
    assert [(part.supplier_id, part.qty) for part in exact.plan.allocations] == [("b", 2), ("a", 1)]
    assert_conserved(exact.plan, lines, offers)
    # With one unit of b the line stays short.
    offers[1] = offer("b", 2, 1, moq=2)
    outcome = route_batch(lines, offers, PARAMETERS)
    assert [(u.short_qty, u.reason) for u in outcome.plan.unroutable] == [
        (1, UnroutableReason.BELOW_MIN_ORDER)
    ]


def test_the_same_batch_in_another_order_gives_the_same_plan():
    draw = random.Random(3)
    lines = [
        line(f"o{n:02d}", draw.randint(1, 4), draw.choice(REGIONS), sku=draw.choice("km")) for n in range(40)
    ]
    offers = [
        offer(f"s{n}", draw.randint(1, 9) * 10, draw.randint(5, 12), draw.choice(REGIONS), sku=sku)
        for n in range(5)
        for sku in "km"
    ]
    first = route_batch(lines, offers, PARAMETERS)
    draw.shuffle(lines)
    draw.shuffle(offers)
    assert route_batch(lines, offers, PARAMETERS) == first


@pytest.mark.parametrize("seed", range(4))
def test_a_scarce_batch_is_proven_and_never_dearer_than_greedy(seed):
    draw = random.Random(seed)
    lines = [line(f"o{n:03d}", draw.choice([1, 1, 1, 2, 3]), draw.choice(REGIONS)) for n in range(300)]
    each = sum(one.qty for one in lines) * 11 // 100 + 1
    offers = [
        offer(f"s{n}", draw.randint(1000, 1100), each, draw.choice(REGIONS), lead=draw.randint(0, 4))
        for n in range(10)
    ]
    exact, greedy = route_batch(lines, offers, PARAMETERS), route_greedy(lines, offers, PARAMETERS)
    assert exact.is_proven_optimal
    assert exact.plan.short_qty == greedy.short_qty == 0
    assert exact.lower_bound_cents <= exact.plan.cost_cents <= greedy.cost_cents
    assert_conserved(exact.plan, lines, offers)


def test_nothing_to_route_and_nothing_on_offer():
    assert route_batch([], [], PARAMETERS).plan.allocations == ()
    assert route_batch([], [offer("a", 1, 1)], PARAMETERS).is_proven_optimal
    outcome = route_batch([line("o", 2)], [], PARAMETERS)
    assert [(u.short_qty, u.reason) for u in outcome.plan.unroutable] == [(2, UnroutableReason.NO_OFFER)]
    assert outcome.is_proven_optimal
    assert outcome.gap_cents == 0


def test_amounts_beyond_exact_arithmetic_are_refused():
    with pytest.raises(InvalidRoutingInputError, match="exact arithmetic"):
        route_batch(
            [line(f"o{n}", 10**7) for n in range(30)],
            [offer("a", 10**10, 1), offer("b", 10**10, 1)],
            PARAMETERS,
        )


def test_what_stands_twice_is_refused():
    with pytest.raises(InvalidRoutingInputError, match="twice"):
        route_batch([line("o", 1), line("o", 1)], [], PARAMETERS)


def test_a_process_that_routes_single_orders_loads_neither_the_solver_nor_pandas():
    code = (
        "import sys, serving.orders.routing.greedy;"
        "print([name for name in ('ortools', 'pandas', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
