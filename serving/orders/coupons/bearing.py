"""Whether the funders' own shares of a sale carry their discounts, looked at before the order is placed.

The order is settled on paper: the shop's plan in force, the parties as they stand, the channel's fee as
expected. At payment the true fee decides; what a share then misses by it is the funder's receivable.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from serving.orders.coupons.redeeming import Redemption
from serving.orders.errors import DiscountRefusedError
from serving.settlement.plans.plan import PlanVersion
from serving.settlement.sharing.freeze import CartLine, freeze
from serving.settlement.sharing.funding import shortfalls
from serving.settlement.sharing.snapshot import Parties
from serving.settlement.sharing.waterfall import accrue


def is_agreed(redemption: Redemption) -> bool:
    """Whether a merchant or supplier bears any of it: only then there is something to look at."""
    return any(cut.party_id for cut in redemption.cuts)


def require_borne(
    redemption: Redemption,
    plan: PlanVersion,
    merchant_id: str,
    consumer_id: str,
    cart: Sequence[CartLine],
    parties: Parties,
    fee_rate_bps: int,
    now: datetime,
) -> None:
    """Refuse coupons whose funders would owe, where their programme says so.

    Args:
        redemption: What the coupons take off.
        plan: The plan in force.
        merchant_id: The shop.
        consumer_id: The buyer.
        cart: The lines with their discounts.
        parties: Who would be paid.
        fee_rate_bps: What the channel is expected to keep.
        now: Business time.

    Raises:
        DiscountRefusedError: Naming the coupon and what is missing.
    """
    order = freeze(
        order_id="quote",
        merchant_id=merchant_id,
        consumer_id=consumer_id,
        paid_at=now,
        cart=cart,
        parties=parties,
        fee_rate_bps=fee_rate_bps,
        plan_id=plan.plan_id,
        plan_version=plan.version,
    )
    for short in shortfalls(order, accrue(order, plan)):
        if short.owed_cents == 0:
            continue
        for cut in redemption.cuts:
            is_same = (cut.line_no, cut.funder, cut.party_id) == short[0:1] + short[2:4]
            programme = (redemption.programmes or {})[cut.code]
            if is_same and programme.terms.beyond_share == "refuse":
                raise DiscountRefusedError(
                    f"Coupon {cut.code}: {short.party_type} {short.party_id!r} would bear "
                    f"{short.discount_cents} fen of line {short.line_no}, but its share of this sale carries "
                    f"only {short.discount_cents - short.owed_cents}."
                )
