"""Orders of the eight scenarios, small enough to check by hand."""

import datetime as dt

from settlement_books import PAID

from serving.settlement.sharing.freeze import CartLine, OrderCoupon, freeze
from serving.settlement.sharing.snapshot import Discount, FreightSnapshot, Parties, Party

MANAGER = Party("agent", "a2", has_contract=True, has_service_evidence=True)
SELLER = Party("agent", "a1")


def worked_example(order_id="o1", tier="none", paid_at=PAID):
    """The basket of the settlement design."""
    return freeze(
        order_id=order_id,
        merchant_id="m1",
        consumer_id="c1",
        paid_at=paid_at,
        cart=[
            CartLine(1, "A", (), "S1", 1, 12_900, 7_000),
            CartLine(2, "B", (), "S2", 1, 8_990, 4_800),
            CartLine(3, "C", (), "S2", 3, 5_970, 2_970),
        ],
        coupons=[OrderCoupon(5_000, {"platform": 10_000})],
        freights=[FreightSnapshot("S2", 800)],
        fee_rate_bps=60,
        parties=Parties(Party("agent", "a1", tier), manager=MANAGER),
    )


def sale(order_id, *, cart=None, parties=None, consumer_id="c1", freights=(), coupons=(), paid_at=PAID):
    """One line of 100.00 by S1, supply 60.00, fee 0.60, unless told otherwise."""
    return freeze(
        order_id=order_id,
        merchant_id="m1",
        consumer_id=consumer_id,
        paid_at=paid_at,
        cart=cart or [CartLine(1, "A", (), "S1", 1, 10_000, 6_000)],
        coupons=coupons,
        freights=freights,
        fee_rate_bps=60,
        parties=parties or Parties(Party("merchant", "m1")),
    )


def scenarios():
    """Scenario number to a plan's name and a maker of the order (given its id)."""
    two_suppliers = [
        CartLine(1, "A", (), "S1", 1, 10_000, 6_000),
        CartLine(2, "B", (), "S2", 2, 7_770, 5_001),
    ]
    return {
        1: ("cn_strict", lambda i: sale(i)),
        2: ("cn_strict", lambda i: sale(i, cart=two_suppliers, freights=[FreightSnapshot("S2", 650)])),
        3: (
            "cn_two_level",
            lambda i: sale(
                i,
                parties=Parties(
                    Party("merchant", "m1"),
                    upline=(Party("agent", "u1"), Party("agent", "u2")),
                ),
            ),
        ),
        4: ("worked_20_8_25", lambda i: worked_example(i)),
        5: (
            "cn_strict",
            lambda i: sale(
                i,
                parties=Parties(
                    Party("agent", "a1", "gold"),
                    seller_scheme="agent_store",
                    region_protected=Party("agent", "r1"),
                ),
            ),
        ),
        7: (
            "cn_strict",
            lambda i: sale(
                i,
                parties=Parties(
                    Party("merchant", "m1"),
                    roles={
                        "group_leader": Party("agent", "g1"),
                        "live_anchor": Party("agent", "l1", has_contract=True),
                        "store_guide": Party("agent", "s1"),
                    },
                ),
            ),
        ),
        8: (
            "cn_strict",
            lambda i: sale(
                i,
                cart=[
                    CartLine(1, "A", (), "S1", 1, 10_000, 6_000, (Discount("supplier", 333),)),
                    CartLine(2, "B", (), "S1", 1, 5_001, 3_000),
                ],
                coupons=[OrderCoupon(1_001, {"platform": 5_000, "merchant": 3_000, "supplier": 2_000})],
            ),
        ),
    }


def later(days):
    return PAID + dt.timedelta(days=days)
