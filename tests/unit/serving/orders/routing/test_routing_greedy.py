"""Costs, records and the greedy router, by hand."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.orders.routing.contracts import (
    CostParameters,
    Demand,
    InvalidRoutingInputError,
    OfferStock,
    UnroutableReason,
    Zone,
)
from serving.orders.routing.cost import allocations_of, unit_cost
from serving.orders.routing.greedy import route_greedy

PARAMETERS = CostParameters(
    promised_days=4,
    lateness_penalty_cents_per_day=100,
    split_penalty_cents=600,
    same_region=Zone(0, 1),
    other_region=Zone(400, 3),
    zones={("north", "island"): Zone(1500, 7)},
)


def offer(supplier, price, stock, region="north", *, sku="k", freight=500, lead=1, moq=1):
    return OfferStock(supplier, sku, stock, price, freight, lead, region, moq)


def line(order, qty, region="north", *, no=1, sku="k"):
    return Demand(order, no, sku, qty, region)


def chosen(plan):
    return [(part.order_id, part.supplier_id, part.qty) for part in plan.allocations]


def test_the_parts_of_the_stated_cost_by_hand():
    near = unit_cost(offer("s", 1000, 9), "north", PARAMETERS)
    assert (near.supply_cents, near.freight_cents, near.lateness_cents) == (1000, 500, 0)
    other = unit_cost(offer("s", 1000, 9, lead=2), "south", PARAMETERS)  # 2 + 3 days, 1 late
    assert (other.freight_cents, other.lateness_cents, other.total_cents) == (900, 100, 2000)
    island = unit_cost(offer("s", 1000, 9), "island", PARAMETERS)  # 1 + 7 days, 4 late
    assert (island.freight_cents, island.lateness_cents) == (2000, 400)


def test_a_second_supplier_of_a_line_costs_the_split_penalty_and_every_further_one_again():
    parts = [(offer("a", 10, 9), 1), (offer("b", 20, 9), 2), (offer("c", 30, 9), 1)]
    priced = allocations_of(line("o", 4), parts, PARAMETERS)
    assert [(p.supplier_id, p.split_cents) for p in priced] == [("b", 0), ("a", 600), ("c", 600)]
    assert [p.cost_cents for p in priced] == [1040, 1110, 1130]


def test_a_line_goes_whole_to_the_cheapest_offer_that_has_enough():
    plan = route_greedy(
        [line("o", 3)], [offer("a", 1000, 2), offer("b", 1200, 3), offer("c", 1300, 9)], PARAMETERS
    )
    assert chosen(plan) == [("o", "b", 3)]
    assert plan.cost_cents == 3 * 1700
    assert (plan.routed_qty, plan.short_qty) == (3, 0)


def test_a_line_is_split_only_when_no_offer_has_enough():
    plan = route_greedy([line("o", 5)], [offer("a", 1000, 2), offer("b", 1200, 4)], PARAMETERS)
    assert chosen(plan) == [("o", "b", 3), ("o", "a", 2)]
    assert plan.cost_cents == 3 * 1700 + 2 * 1500 + 600


def test_freight_and_lateness_can_outweigh_the_price():
    offers = [offer("far", 1000, 5), offer("near", 1900, 5, "island")]
    assert chosen(route_greedy([line("o", 1, "island")], offers, PARAMETERS)) == [("o", "near", 1)]
    assert chosen(route_greedy([line("o", 1)], offers, PARAMETERS)) == [("o", "far", 1)]


def test_the_smaller_order_and_line_comes_first_and_equal_costs_go_to_the_smaller_supplier_id():
    offers = [offer("b", 1000, 1), offer("a", 1000, 1)]
    lines = [line("o2", 1), line("o1", 1, no=2), line("o1", 1, no=1)]
    plan = route_greedy(lines, offers, PARAMETERS)
    assert [(p.order_id, p.line_no, p.supplier_id) for p in plan.allocations] == [
        ("o1", 1, "a"),
        ("o1", 2, "b"),
    ]
    assert [(u.order_id, u.short_qty, u.reason) for u in plan.unroutable] == [
        ("o2", 1, UnroutableReason.SHORT_STOCK)
    ]


@pytest.mark.parametrize(
    ("offers", "routed", "reason"),
    [
        ([], 0, UnroutableReason.NO_OFFER),
        ([offer("a", 1, 9, sku="other")], 0, UnroutableReason.NO_OFFER),
        ([offer("a", 1, 0)], 0, UnroutableReason.SHORT_STOCK),
        ([offer("a", 1, 1)], 1, UnroutableReason.SHORT_STOCK),
        ([offer("a", 1, 9, moq=3)], 0, UnroutableReason.BELOW_MIN_ORDER),
        ([offer("a", 1, 1), offer("b", 2, 1, moq=2)], 1, UnroutableReason.BELOW_MIN_ORDER),
    ],
)
def test_what_cannot_be_routed_says_how_much_and_why(offers, routed, reason):
    plan = route_greedy([line("o", 2)], offers, PARAMETERS)
    assert plan.routed_qty == routed
    assert [(u.short_qty, u.reason) for u in plan.unroutable] == [(2 - routed, reason)]


def test_a_rejecting_supplier_is_left_out_by_leaving_out_its_offer():
    offers = [offer("a", 1000, 9), offer("b", 1200, 9)]
    assert chosen(route_greedy([line("o", 1)], offers, PARAMETERS)) == [("o", "a", 1)]
    assert chosen(route_greedy([line("o", 1)], offers[1:], PARAMETERS)) == [("o", "b", 1)]


@given(st.integers(0, 2**32))
def test_the_order_of_the_arguments_does_not_matter(seed):
    draw = random.Random(seed)
    lines = [line(f"o{n}", draw.randint(1, 4), draw.choice(["north", "south"])) for n in range(6)]
    offers = [offer(f"s{n}", draw.randint(1, 3) * 100, draw.randint(0, 6)) for n in range(4)]
    plan = route_greedy(lines, offers, PARAMETERS)
    draw.shuffle(lines)
    draw.shuffle(offers)
    assert route_greedy(lines, offers, PARAMETERS) == plan


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: line("", 1), "order_id"),
        (lambda: line("o", 0), "'o' line 1: qty"),
        (lambda: line("o", -1), "qty"),
        (lambda: line("o", 1.0), "qty"),
        (lambda: line("o", True), "qty"),
        (lambda: line("o", 1, ""), "to_region"),
        (lambda: line("o", 1, None), "to_region"),
        (lambda: line("o", 1, no=-1), "line_no"),
        (lambda: offer("a", -1, 1), "supplier 'a' for sku 'k': supply_price_cents"),
        (lambda: offer("a", 9.5, 1), "supply_price_cents"),
        (lambda: offer("a", 1, -1), "available_qty"),
        (lambda: offer("a", 1, 1, freight=10**11), "freight_cents"),
        (lambda: offer("a", 1, 1, lead=-1), "lead_time_days"),
        (lambda: offer("a", 1, 1, moq=0), "min_order_qty"),
        (lambda: offer("", 1, 1), "supplier_id"),
        (lambda: Zone(-1, 0), "surcharge_cents"),
        (lambda: Zone(0, -1), "transit_days"),
        (lambda: CostParameters(split_penalty_cents=-1), "split_penalty_cents"),
        (lambda: CostParameters(promised_days=None), "promised_days"),
        (lambda: route_greedy([line("o", 1), line("o", 2)], []), "'o' line 1 stands twice"),
        (
            lambda: route_greedy([], [offer("a", 1, 1), offer("a", 2, 1)]),
            "supplier 'a' for sku 'k' stands twice",
        ),
    ],
)
def test_impossible_input_is_refused_by_name(make, words):
    with pytest.raises(InvalidRoutingInputError, match=words):
        make()
