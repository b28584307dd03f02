"""Freezing an order: spreading, funders, refusals, and the way through JSON."""

import json
import random
from dataclasses import replace
from datetime import datetime

import pytest
from settlement_worlds import PAID_AT, order_of, random_world

from serving.settlement.errors import SnapshotError
from serving.settlement.sharing.freeze import CartLine, OrderCoupon, freeze, split_by_funder
from serving.settlement.sharing.snapshot import (
    Discount,
    FreightSnapshot,
    OrderSnapshot,
    Parties,
    Party,
    check_order,
)

SELLER = Parties(Party("merchant", "m1"))


def frozen(cart, **more):
    given = {
        "order_id": "o1",
        "merchant_id": "m1",
        "consumer_id": "c1",
        "paid_at": PAID_AT,
        "parties": SELLER,
    }
    return freeze(cart=cart, **(given | more))


def line(no=1, price=1_000, supply=500, **more):
    return CartLine(no, "A", ("K1", "K0"), "S1", 1, price, supply, **more)


def test_a_second_coupon_spreads_over_what_the_first_left():
    cart = [line(1, 1_000), line(2, 1_000, discounts=(Discount("merchant", 500),))]
    order = frozen(
        cart, coupons=[OrderCoupon(300, {"platform": 10_000}), OrderCoupon(120, {"supplier": 10_000})]
    )
    # 300 over 1000 : 500, then 120 over 800 : 400.
    assert [tuple((d.funder, d.cents) for d in found.discounts) for found in order.lines] == [
        (("platform", 200), ("supplier", 80)),
        (("merchant", 500), ("platform", 100), ("supplier", 40)),
    ]
    assert [found.net_paid_cents for found in order.lines] == [720, 360]


def test_funders_share_a_discount_by_largest_remainder():
    assert split_by_funder(101, {"supplier": 5_000, "merchant": 5_000}) == (
        Discount("merchant", 51),
        Discount("supplier", 50),
    )
    assert split_by_funder(1, {"platform": 9_999, "supplier": 1}) == (Discount("platform", 1),)


def test_lines_are_ordered_and_the_fee_of_a_free_order_with_freight_is_spread():
    cart = [line(2, 0, 0), line(1, 0, 0)]
    order = frozen(cart, freights=[FreightSnapshot("S1", 1_000)], fee_rate_bps=60)
    assert [found.line_no for found in order.lines] == [1, 2]
    assert [found.channel_fee_cents for found in order.lines] == [3, 3]
    assert order.captured_cents == 1_000


def test_an_order_comes_back_from_json_unchanged():
    rng = random.Random(3)
    for _ in range(50):
        order = order_of(random_world(rng))
        assert OrderSnapshot.from_json(json.loads(json.dumps(order.to_json()))) == order


@pytest.mark.parametrize(
    "split", [{"platform": 9_999}, {"platform": 5_000, "supplier": 5_001}, {"bank": 10_000}]
)
def test_a_wrong_funder_split_is_refused(split):
    with pytest.raises(SnapshotError, match="funder split"):
        frozen([line()], coupons=[OrderCoupon(10, split)])


@pytest.mark.parametrize("cents", [-1, 1_001])
def test_a_coupon_that_does_not_fit_is_refused(cents):
    with pytest.raises(SnapshotError, match="does not fit"):
        frozen([line()], coupons=[OrderCoupon(cents, {"platform": 10_000})])


REFUSED_CARTS = {
    "no lines": [],
    "same line_no": [line(1), line(1)],
    "quantity 0": [replace(line(), qty=0)],
    "negative amount": [line(supply=-1)],
    "discounts leave": [line(discounts=(Discount("platform", 1_001),))],
}


@pytest.mark.parametrize("why", REFUSED_CARTS)
def test_impossible_carts_are_refused(why):
    with pytest.raises(SnapshotError, match=why):
        frozen(REFUSED_CARTS[why])


def broken(order):
    first = order.lines[0]
    yield "captured", replace(order, captured_cents=1)
    yield "time zone", replace(order, paid_at=datetime(2026, 1, 1))  # noqa: DTZ001
    yield "is not net_paid", replace(order, lines=(replace(first, net_paid_cents=999), *order.lines[1:]))
    yield "same supplier", replace(order, freights=(FreightSnapshot("S1", 0), FreightSnapshot("S1", 0)))
    yield "freight is negative", replace(order, freights=(FreightSnapshot("S1", -1),))


def test_a_snapshot_that_contradicts_itself_is_refused_also_when_read():
    for why, order in broken(frozen([line()])):
        with pytest.raises(SnapshotError, match=why):
            check_order(order)
        with pytest.raises(SnapshotError, match=why):
            OrderSnapshot.from_json(order.to_json())


@pytest.mark.parametrize("change", [{"lines": None}, {"paid_at": "yesterday"}, {"parties": {}}])
def test_an_unreadable_snapshot_is_refused(change):
    with pytest.raises(SnapshotError, match="cannot be read"):
        OrderSnapshot.from_json(frozen([line()]).to_json() | change)
