"""A funder bears exactly its discount: out of its own share of the line first, the rest is owed. Fen."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.settlement.plans.profiles import load_shipped
from serving.settlement.sharing.freeze import CartLine, freeze
from serving.settlement.sharing.funding import shortfalls
from serving.settlement.sharing.snapshot import Discount, OrderSnapshot, Parties, Party
from serving.settlement.sharing.waterfall import accrue, shortfall_of

NOW = datetime(2026, 11, 1, tzinfo=UTC)
PLAN = load_shipped("cn_strict")
MERCHANT = Party("merchant", "m1", is_verified=True)
AGENT = Party("agent", "a1", tier="gold", is_verified=True)
FRIEND = Party("agent", "a2", is_verified=True)


def order(list_cents, supply_cents, *discounts, seller=MERCHANT, fee_bps=0):
    return freeze(
        order_id="o",
        merchant_id="m1",
        consumer_id="c1",
        paid_at=NOW,
        cart=[CartLine(1, "k", (), "S1", 1, list_cents, supply_cents, discounts)],
        parties=Parties(seller, upline=(FRIEND,)),
        fee_rate_bps=fee_bps,
    )


def owed(snapshot):
    return [(found.party_id, found.discount_cents, found.owed_cents) for found in _found(snapshot)]


def _found(snapshot):
    return shortfalls(snapshot, accrue(snapshot, PLAN))


@pytest.mark.parametrize(
    ("list_cents", "supply_cents", "discount", "expected"),
    [
        # 20% of 90.00 is 18.00 and carries 10.00; at supply 80.00 the share is 10.00; at 85.00 it is 5.00.
        (10_000, 4_000, 1_000, 0),
        (10_000, 8_000, 1_000, 0),
        (10_000, 8_500, 1_000, 500),
        # 50.00 off 100.00 at supply 80.00: the sale leaves no share.
        (10_000, 8_000, 5_000, 5_000),
    ],
)
def test_the_merchants_share_carries_what_it_can(list_cents, supply_cents, discount, expected):
    snapshot = order(list_cents, supply_cents, Discount("merchant", discount, "m1"))
    assert owed(snapshot) == [("m1", discount, expected)]


def test_a_sale_of_an_agent_leaves_the_agents_share_whole():
    snapshot = order(10_000, 4_000, Discount("merchant", 1_000, "m1"), seller=AGENT)
    assert owed(snapshot) == [("m1", 1_000, 1_000)]
    direct = next(leg for leg in accrue(snapshot, PLAN) if leg.kind == "direct")
    assert (direct.payee_id, direct.amount_cents, direct.cut_reason) == ("a1", 2_250, None)


def test_a_suppliers_price_carries_its_discount_on_its_own_line_only():
    assert owed(order(10_000, 4_000, Discount("supplier", 1_000, "S1"))) == [("S1", 1_000, 0)]
    assert owed(order(10_000, 700, Discount("supplier", 1_000, "S1"))) == [("S1", 1_000, 300)]
    # The line went to somebody else: that one is paid in full.
    snapshot = order(10_000, 4_000, Discount("supplier", 1_000, "S2"))
    assert owed(snapshot) == [("S2", 1_000, 1_000)]
    assert next(leg for leg in accrue(snapshot, PLAN) if leg.kind == "supplier").amount_cents == 4_000


def test_price_cuts_without_an_agreement_come_off_the_share_that_is_there():
    snapshot = order(10_000, 8_000, Discount("merchant", 5_000))
    assert owed(snapshot) == []
    assert shortfall_of(snapshot.lines[0]) == 3_000
    agreed = order(10_000, 8_000, Discount("merchant", 5_000, "m1"))
    assert shortfall_of(agreed.lines[0]) == 0  # the platform advances 30.00 and is owed 50.00


def test_an_agreement_is_in_the_snapshot_and_a_snapshot_without_reads_as_before():
    agreed = order(10_000, 8_000, Discount("merchant", 500, "m1"), Discount("platform", 5))
    document = agreed.to_json()
    assert document["lines"][0]["discounts"] == [
        {"funder": "merchant", "cents": 500, "party_id": "m1"},
        {"funder": "platform", "cents": 5},
    ]
    assert OrderSnapshot.from_json(document) == agreed


@given(
    list_cents=st.integers(1, 50_000),
    supply_cents=st.integers(0, 60_000),
    share=st.integers(1, 100),
    seller=st.sampled_from([MERCHANT, AGENT]),
    fee_bps=st.integers(0, 200),
)
def test_who_pays_for_a_discount_changes_nothing_for_the_others(
    list_cents, supply_cents, share, seller, fee_bps
):
    """Against the same sale at the platform's cost exactly the discount moves from merchant to platform."""
    cents = max(1, list_cents * share // 100)
    mine = order(list_cents, supply_cents, Discount("merchant", cents, "m1"), seller=seller, fee_bps=fee_bps)
    theirs = order(list_cents, supply_cents, Discount("platform", cents), seller=seller, fee_bps=fee_bps)

    def got(snapshot):
        sums = {}
        for leg in accrue(snapshot, PLAN):
            payee = (leg.kind if leg.kind in ("channel_fee", "tax") else "", leg.payee_type, leg.payee_id)
            sums[payee] = sums.get(payee, 0) + leg.amount_cents
        for found in _found(snapshot):
            payee = ("", found.party_type, found.party_id)
            sums[payee] = sums.get(payee, 0) - found.owed_cents
            sums["", "platform", "platform"] = sums.get(("", "platform", "platform"), 0) + found.owed_cents
        return sums

    by_merchant, by_platform = got(mine), got(theirs)
    keys = by_merchant.keys() | by_platform.keys()
    moved = {key: by_merchant.get(key, 0) - by_platform.get(key, 0) for key in keys}
    assert {key: change for key, change in moved.items() if change} == {
        ("", "merchant", "m1"): -cents,
        ("", "platform", "platform"): cents,
    }
