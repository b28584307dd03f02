"""Coupons of an order: what a storefront may grant, and how they fall on the lines. Pure.

Source: P17 of the settlement rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from serving.orders.errors import DiscountRefusedError
from serving.settlement.plans.plan import PlanVersion
from serving.settlement.plans.rules import CouponRule
from serving.settlement.sharing.rounding import FULL_BPS, largest_remainder
from serving.settlement.sharing.snapshot import FUNDERS, Funder

CouponKind = Literal["threshold", "percentage"]
MOST_DISCOUNT_BPS = 5_000
"""Most of the goods' price that the coupons of an order take off together. Source: assumed."""


@dataclass(frozen=True)
class Coupon:
    """A coupon on the whole order.

    Attributes:
        kind: `threshold` (buy for this much, get that much off) or `percentage`.
        discount_cents: What it takes off, in fen.
        funder_split_bps: Who pays for it; sums to 10000.
    """

    kind: CouponKind
    discount_cents: int
    funder_split_bps: Mapping[Funder, int]


@dataclass(frozen=True)
class CouponLimits:
    """What a storefront may grant.

    Attributes:
        most_of_kind: Most coupons of each kind.
        most_discount_bps: Most of the goods' price that all coupons take off together.
        most_funder_bps: Largest share of a coupon that may be put on each funder.
        thresholds: (price of the goods from which, most that a threshold coupon takes off), fen; without any,
            only the limits above hold.
    """

    most_of_kind: Mapping[CouponKind, int]
    most_discount_bps: int
    most_funder_bps: Mapping[Funder, int]
    thresholds: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, plan: PlanVersion) -> CouponLimits:
        """The limits of a plan: its coupon rule, and a merchant may always bear more itself.

        A plan without one takes no coupon that anybody but the merchant pays for.
        """
        rule = plan.only(CouponRule)
        shares: dict[Funder, int] = {"platform": 0, "supplier": 0}
        shares |= rule.funder_split_bps if rule else {}
        return cls(
            most_of_kind={
                "threshold": rule.max_threshold_coupons if rule else 1,
                "percentage": rule.max_percentage_coupons if rule else 1,
            },
            most_discount_bps=MOST_DISCOUNT_BPS,
            most_funder_bps={**shares, "merchant": FULL_BPS},
            thresholds=tuple((step.threshold_cents, step.off_cents) for step in rule.thresholds)
            if rule
            else (),
        )


def spread(coupons: Sequence[Coupon], list_prices: Sequence[int], limits: CouponLimits) -> list[int]:
    """What the coupons take off each line, one coupon after the other, by largest remainder.

    Args:
        coupons: In the order in which they apply.
        list_prices: Price of each line before coupons, fen, by line number.
        limits: What is allowed.

    Returns:
        Discount of each line, fen.

    Raises:
        DiscountRefusedError: Naming the limit that is passed.
    """
    check(coupons, sum(list_prices), limits)
    nets = list(list_prices)
    for coupon in coupons:
        for position, share in enumerate(largest_remainder(coupon.discount_cents, nets)):
            nets[position] -= share
    return [price - net for price, net in zip(list_prices, nets, strict=True)]


def check(coupons: Sequence[Coupon], goods_cents: int, limits: CouponLimits) -> None:
    """Refuse coupons beyond the limits.

    Raises:
        DiscountRefusedError: Naming the limit that is passed.
    """
    for kind, most in limits.most_of_kind.items():
        given = sum(coupon.kind == kind for coupon in coupons)
        if given > most:
            raise DiscountRefusedError(
                f"{given} {kind} coupons on one order: at most {most} may be combined."
            )
    total = sum(coupon.discount_cents for coupon in coupons)
    most_cents = goods_cents * limits.most_discount_bps // FULL_BPS
    if total > most_cents:
        raise DiscountRefusedError(
            f"Coupons of {total} fen on goods of {goods_cents} fen: at most {most_cents} may be taken off."
        )
    for coupon in coupons:
        if coupon.kind == "threshold" and limits.thresholds:
            off = max((off for price, off in limits.thresholds if goods_cents >= price), default=0)
            if coupon.discount_cents > off:
                raise DiscountRefusedError(
                    f"A threshold coupon of {coupon.discount_cents} fen on goods of {goods_cents} fen: "
                    f"the plan grants at most {off}."
                )
        split = coupon.funder_split_bps
        if set(split) - set(FUNDERS) or min(split.values(), default=0) < 0 or sum(split.values()) != FULL_BPS:
            raise DiscountRefusedError(
                f"The funder split {dict(split)} must name {', '.join(FUNDERS)} only and sum to {FULL_BPS}."
            )
        for funder, share in split.items():
            if share > limits.most_funder_bps.get(funder, 0):
                raise DiscountRefusedError(
                    f"The {funder} bears {share} bps of a coupon: "
                    f"at most {limits.most_funder_bps.get(funder, 0)} may be put on it."
                )
