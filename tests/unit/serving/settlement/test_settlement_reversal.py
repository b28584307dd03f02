"""Refunds: hand-computed splits, the refusals, and what holds for every split of every order."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from settlement_worlds import order_of, random_plan, random_world

from serving.settlement.errors import RefundError
from serving.settlement.plans.loader import load_plan
from serving.settlement.sharing.leg import COMMISSION_KINDS, Leg
from serving.settlement.sharing.reversal import reverse_free_line, reverse_line
from serving.settlement.sharing.waterfall import accrue


def leg(kind, cents):
    return Leg(
        1,
        "S1",
        kind,
        1,
        None,
        "platform",
        "x",
        0,
        "net_paid",
        cents,
        10_000,
        cents,
        cents,
        cents,
        None,
        False,
    )


LEGS = [leg("supplier", 70), leg("direct", 20), leg("platform", 10)]
LOSS = [leg("supplier", 105), leg("subsidy", -5)]


def test_two_halves_reverse_exactly_the_whole():
    first, rounding = reverse_line(LEGS, 100, 33, [0, 0, 0], 0)
    # floor(23.1), floor(6.6), floor(3.3) = 32 of 33 refunded.
    assert (first, rounding) == ((23, 6, 3), 1)
    second, back = reverse_line(LEGS, 100, 100, first, 33)
    assert (second, back) == ((47, 14, 7), -1)


def test_negative_legs_round_toward_zero():
    first, rounding = reverse_line(LOSS, 100, 33, [0, 0], 0)
    # 34.65 and -1.65.
    assert (first, rounding) == ((34, -1), 0)
    second, back = reverse_line(LOSS, 100, 100, first, 33)
    assert (second, back) == ((71, -4), 0)


def test_a_refund_of_nothing_reverses_nothing():
    assert reverse_line(LEGS, 100, 0, [0, 0, 0], 0) == ((0, 0, 0), 0)
    assert reverse_line(LEGS, 100, 33, [23, 6, 3], 33) == ((0, 0, 0), 0)


@pytest.mark.parametrize(
    ("net", "cumulative", "before", "refunded_before", "why"),
    [
        (100, 101, [0, 0, 0], 0, "never exceed"),
        (100, 32, [23, 6, 3], 33, "only grow"),
        (100, -1, [0, 0, 0], 0, "only grow"),
        (100, 10, [0, 0], 0, "3 legs but 2"),
        (99, 10, [0, 0, 0], 0, "do not sum to the line.s 99"),
        (100, 10, [8, 0, 0], 5, "8 fen were reversed before, more than the 7"),
    ],
)
def test_refunds_that_cannot_be_are_refused(net, cumulative, before, refunded_before, why):
    with pytest.raises(RefundError, match=why):
        reverse_line(LEGS, net, cumulative, before, refunded_before)


def test_a_free_line_is_reversed_by_its_units():
    """Three units: a third of 70 is 23 fen, two thirds are 46, all of them 70."""
    free = [leg("supplier", 70), leg("subsidy", -70)]
    assert reverse_line(free, 0, 0, [0, 0], 0) == ((0, 0), 0)
    assert reverse_free_line(free, 3, 1, [0, 0]) == ((23, -23), 0)
    assert reverse_free_line(free, 3, 2, [23, -23]) == ((23, -23), 0)
    assert reverse_free_line(free, 3, 3, [46, -46]) == ((24, -24), 0)
    assert reverse_free_line(free, 3, 3, [0, 0]) == ((70, -70), 0)
    assert reverse_free_line(free, 3, 3, [70, -70]) == ((0, 0), 0)


def test_what_no_leg_of_a_free_line_gives_back_is_rounding():
    """A seventh of 100, 30, 20 and -150: floor(14.3), floor(4.3), floor(2.9), -floor(21.4) sum to -1."""
    free = [leg("supplier", 100), leg("direct", 30), leg("platform", 20), leg("subsidy", -150)]
    first, rounding = reverse_free_line(free, 7, 1, [0, 0, 0, 0])
    assert (first, rounding) == ((14, 4, 2, -21), 1)
    assert reverse_free_line(free, 7, 7, first) == ((86, 26, 18, -129), -1)


@pytest.mark.parametrize(
    ("legs", "qty", "gone", "before", "why"),
    [
        (LEGS, 3, 1, [0, 0, 0], "do not sum to the line.s 0"),
        ([leg("supplier", 70), leg("subsidy", -70)], 3, 1, [0], "2 legs but 1"),
        ([leg("supplier", 70), leg("subsidy", -70)], 3, 4, [0, 0], "4 units cannot be gone of a line of 3"),
        ([leg("supplier", 70), leg("subsidy", -70)], 3, 1, [46, -46], "46 fen were reversed before"),
    ],
)
def test_units_that_cannot_go_back_are_refused(legs, qty, gone, before, why):
    with pytest.raises(RefundError, match=why):
        reverse_free_line(legs, qty, gone, before)


@given(st.lists(st.integers(-5_000, 5_000), min_size=1, max_size=6), st.integers(1, 12), st.data())
@settings(max_examples=300, deadline=None)
def test_any_split_of_units_ends_at_exactly_the_whole(amounts, qty, data):
    free = [leg("supplier", cents) for cents in (*amounts, -sum(amounts))]
    steps = sorted(data.draw(st.lists(st.integers(0, qty), max_size=8)))
    before, rounding = [0] * len(free), 0
    for gone in [*steps, qty]:
        back, delta = reverse_free_line(free, qty, gone, before)
        for one, cents in zip(free, back, strict=True):
            assert cents * (1 if one.amount_cents >= 0 else -1) >= 0
        before = [a + b for a, b in zip(before, back, strict=True)]
        rounding += delta
        # What is left sums to 0, and is the same whatever the way there.
        assert sum(before) + rounding == 0
        assert (tuple(before), rounding) == reverse_free_line(free, qty, gone, [0] * len(free))
    assert before == [one.amount_cents for one in free]
    assert rounding == 0


@st.composite
def settled_orders(draw):
    rng = random.Random(draw(st.integers(0, 2**32)))
    order = order_of(random_world(rng))
    plan = load_plan(random_plan(rng, "p"))
    return order, plan, accrue(order, plan)


@given(settled_orders())
@settings(max_examples=150, deadline=None)
def test_legs_sum_to_what_was_captured_and_payees_stay_in_the_pool(settled):
    order, plan, legs = settled
    assert sum(leg.amount_cents for leg in legs) == order.captured_cents
    for line in order.lines:
        mine = [leg for leg in legs if leg.line_no == line.line_no]
        assert sum(leg.amount_cents for leg in mine) == line.net_paid_cents
        paid = sum(leg.amount_cents for leg in mine if leg.kind in COMMISSION_KINDS)
        supplier = sum(leg.amount_cents for leg in mine if leg.kind == "supplier")
        margin = line.net_paid_cents - supplier - line.channel_fee_cents - line.tax_cents
        assert paid <= max(0, min(margin, line.net_paid_cents * plan.pool_cap_bps // 10_000))
    assert all(leg.level <= plan.max_paid_levels <= 2 for leg in legs)
    assert all(0 <= leg.amount_cents <= leg.wanted_cents for leg in legs if leg.kind != "subsidy")
    assert all((leg.amount_cents < leg.wanted_cents) == (leg.cut_reason is not None) for leg in legs)


@given(settled_orders(), st.data())
@settings(max_examples=150, deadline=None)
def test_any_split_of_refunds_ends_at_exactly_the_whole(settled, data):
    order, _, legs = settled
    line = order.lines[0]
    net = line.net_paid_cents
    mine = [leg for leg in legs if leg.line_no == line.line_no]
    steps = sorted(data.draw(st.lists(st.integers(0, net), max_size=8)))
    before, refunded, rounding = [0] * len(mine), 0, 0
    for step in [*steps, net]:
        back, delta = reverse_line(mine, net, step, before, refunded)
        for one, cents in zip(mine, back, strict=True):
            assert cents * (1 if one.amount_cents >= 0 else -1) >= 0
        assert sum(back) + delta == step - refunded
        before = [a + b for a, b in zip(before, back, strict=True)]
        assert all(abs(done) <= abs(one.amount_cents) for done, one in zip(before, mine, strict=True))
        refunded, rounding = step, rounding + delta
    if net:
        assert before == [one.amount_cents for one in mine]
    assert rounding == 0
