"""The engine against an independent oracle on random plans and orders: not one fen of difference."""

import os
import random
from collections import Counter
from fractions import Fraction
from math import floor

import pytest
from settlement_oracle import shares
from settlement_worlds import order_of, random_plan, random_world

from serving.settlement.plans.loader import load_plan
from serving.settlement.sharing.leg import COMMISSION_KINDS
from serving.settlement.sharing.reversal import reverse_line
from serving.settlement.sharing.waterfall import accrue

ORDERS_PER_PLAN = 50
HEAVY = 1_000_000 if os.environ.get("MUYUN_NIGHTLY") == "1" else 100_000


def amounts(legs):
    found = Counter()
    for leg in legs:
        found[leg.line_no, leg.kind, leg.payee_type, leg.payee_id] += leg.amount_cents
    return {key: cents for key, cents in found.items() if cents}


def refund_in_steps(rng, legs, net):
    """Refund one line in up to three random steps, compared after each with exact fractions."""
    before = [0] * len(legs)
    refunded = rounding = 0
    for step in sorted(rng.sample(range(1, net + 1), min(net, 3))):
        back, delta = reverse_line(legs, net, step, before, refunded)
        before = [a + b for a, b in zip(before, back, strict=True)]
        rounding += delta
        refunded = step
        for leg, done in zip(legs, before, strict=True):
            sign = -1 if leg.amount_cents < 0 else 1
            assert done == sign * floor(abs(leg.amount_cents) * Fraction(step, net))
        assert rounding == step - sum(before)


def compare(seed, orders):
    rng = random.Random(seed)
    seen = Counter()
    for number in range(orders):
        if number % ORDERS_PER_PLAN == 0:
            document = random_plan(rng, f"plan{number}")
            plan = load_plan(document)
        world = random_world(rng)
        order = order_of(world)
        legs = accrue(order, plan)
        expected, locked, captured = shares(world, document)
        assert amounts(legs) == expected, (seed, number, world, document)
        held = {(leg.line_no, leg.kind, leg.payee_type, leg.payee_id) for leg in legs if leg.is_locked}
        assert held == locked
        assert sum(leg.amount_cents for leg in legs) == captured == order.captured_cents
        line = rng.choice(order.lines)
        if line.net_paid_cents:
            of_line = [leg for leg in legs if leg.line_no == line.line_no]
            refund_in_steps(rng, of_line, line.net_paid_cents)
        seen.update(leg.kind for leg in legs if leg.amount_cents)
        seen.update(reason for leg in legs if leg.cut_reason for reason in leg.cut_reason.split("+"))
    return seen


def test_2000_random_orders_agree_with_the_oracle_and_visit_every_branch():
    seen = compare(20260301, 2_000)
    reasons = (
        "pool merchant_funded supplier_funded region leg_share self_purchase already_seated "
        "natural_person no_contract not_verified no_service_evidence"
    )
    everything = {*reasons.split(), *COMMISSION_KINDS, "supplier", "freight", "channel_fee", "tax", "fund"}
    assert everything | {"platform", "subsidy"} <= set(seen)


@pytest.mark.slow
def test_a_hundred_thousand_random_orders_agree_with_the_oracle():
    compare(7, HEAVY)
