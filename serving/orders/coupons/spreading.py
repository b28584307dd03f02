"""How coupons fall on the lines of an order and on their funders, fen by fen. Pure.

Unit prices come first, then threshold coupons, then percentages, each over what the lines cost after the one
before; a fen is never lost: the cuts of a coupon sum to its discount, those of its funders on a line to the
line's share.

Source: P17; common rules on rounding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from serving.orders.coupons.programme import CouponKind, Terms
from serving.orders.errors import DiscountRefusedError
from serving.settlement.plans.plan import PlanVersion
from serving.settlement.plans.rules import CouponRule
from serving.settlement.sharing.freeze import split_by_funder
from serving.settlement.sharing.rounding import FULL_BPS, largest_remainder
from serving.settlement.sharing.snapshot import Funder

_TURN: Mapping[CouponKind, int] = {"unit_price": 0, "threshold": 1, "percentage": 2}
MOST_DISCOUNT_BPS = 5_000
"""Most of the goods' price that the coupons of an order take off together. Source: assumed."""


@dataclass(frozen=True)
class Goods:
    """A line as coupons see it; `price_cents` is of the whole line of `qty` units, before coupons."""

    line_no: int
    sku_id: str
    category_ids: tuple[str, ...]
    supplier_id: str
    price_cents: int
    qty: int = 1


@dataclass(frozen=True)
class Used:
    """A coupon that is to be applied."""

    code: str
    terms: Terms


class Cut(NamedTuple):
    """What one coupon takes off one line at the cost of one funder, fen; the platform's id is empty."""

    code: str
    line_no: int
    funder: Funder
    party_id: str
    cents: int


@dataclass(frozen=True)
class CouponLimits:
    """What a plan lets coupons be, whatever their programmes say.

    Attributes:
        most_of_kind: Most coupons of each kind on one order.
        most_discount_bps: Most of the goods' price that all coupons take off together.
        most_platform_bps: Largest share of a coupon that the platform bears; merchants and suppliers bear
            what they agreed to.
        thresholds: (price of the goods from which, most that a threshold coupon takes off), fen, for coupons
            that the platform bears a share of; without any, only the limits above hold.
    """

    most_of_kind: Mapping[CouponKind, int]
    most_discount_bps: int
    most_platform_bps: int
    thresholds: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, plan: PlanVersion) -> CouponLimits:
        """The limits of a plan: its coupon rule. Under a plan without one the platform bears nothing."""
        rule = plan.only(CouponRule)
        return cls(
            most_of_kind={
                "threshold": rule.max_threshold_coupons if rule else 1,
                "percentage": rule.max_percentage_coupons if rule else 1,
                "unit_price": 1,
            },
            most_discount_bps=MOST_DISCOUNT_BPS,
            most_platform_bps=rule.funder_split_bps.get("platform", 0) if rule else 0,
            thresholds=tuple((step.threshold_cents, step.off_cents) for step in rule.thresholds)
            if rule
            else (),
        )


def spread(coupons: Sequence[Used], goods: Sequence[Goods], limits: CouponLimits) -> list[Cut]:
    """What the coupons take off each line, and at whose cost.

    Args:
        coupons: Each at most once, in any order.
        goods: The lines of the order, by number.
        limits: What the plan lets them be.

    Returns:
        Cuts of 1 fen or more, by coupon in the order in which they apply, then by line and funder.

    Raises:
        DiscountRefusedError: Naming the coupon and the term or limit that it does not meet.
    """
    _check_together(coupons, limits)
    nets = [line.price_cents for line in goods]
    cuts: list[Cut] = []
    for coupon in sorted(coupons, key=lambda used: (_TURN[used.terms.kind], used.code)):
        chosen = [position for position, line in enumerate(goods) if holds_for(coupon.terms, line)]
        price = sum(goods[position].price_cents for position in chosen)
        weights = [nets[position] for position in chosen]
        above = _above_unit_price(coupon.terms, [goods[position] for position in chosen], weights)
        cents = _discount(coupon, price, sum(weights), sum(above), limits)
        shares = above if coupon.terms.kind == "unit_price" else largest_remainder(cents, weights)
        for position, share in zip(chosen, shares, strict=True):
            nets[position] -= share
            for part in split_by_funder(share, coupon.terms.split_bps):
                bearer = coupon.terms.share_of(part.funder)
                assert bearer is not None, "the split names funders of the terms only"
                cuts.append(
                    Cut(coupon.code, goods[position].line_no, part.funder, bearer.party_id, part.cents)
                )
    total, price = sum(cut.cents for cut in cuts), sum(line.price_cents for line in goods)
    most = price * limits.most_discount_bps // FULL_BPS
    if total > most:
        raise DiscountRefusedError(
            f"Coupons of {total} fen on goods of {price} fen: at most {most} may be taken off."
        )
    return cuts


def holds_for(terms: Terms, line: Goods) -> bool:
    """Whether a coupon may take something off a line; a supplier funds only what it ships."""
    supplier = terms.share_of("supplier")
    return (
        (not terms.sku_ids or line.sku_id in terms.sku_ids)
        and (not terms.category_ids or not set(terms.category_ids).isdisjoint(line.category_ids))
        and (supplier is None or supplier.party_id == line.supplier_id)
    )


def _check_together(coupons: Sequence[Used], limits: CouponLimits) -> None:
    if len({coupon.code for coupon in coupons}) != len(coupons):
        raise DiscountRefusedError("A code stands twice; each counts once.")
    alone = [coupon.code for coupon in coupons if not coupon.terms.stacks]
    if alone and len(coupons) > 1:
        raise DiscountRefusedError(f"Coupon {alone[0]} is used alone, not with others.")
    for kind, given in Counter(coupon.terms.kind for coupon in coupons).items():
        most = limits.most_of_kind.get(kind, 0)
        if given > most:
            raise DiscountRefusedError(
                f"{given} {kind} coupons on one order: at most {most} may be combined."
            )


def _above_unit_price(terms: Terms, chosen: Sequence[Goods], nets: Sequence[int]) -> list[int]:
    """What each line costs above the unit price of a coupon, fen; nothing without one."""
    if terms.unit_price_cents is None:
        return []
    unit = terms.unit_price_cents
    return [max(0, net - unit * line.qty) for line, net in zip(chosen, nets, strict=True)]


def _discount(coupon: Used, price: int, net: int, above: int, limits: CouponLimits) -> int:
    terms = coupon.terms
    if price == 0:
        raise DiscountRefusedError(f"Coupon {coupon.code} holds for no line of this order.")
    if price < terms.min_goods_cents:
        raise DiscountRefusedError(
            f"Coupon {coupon.code} is for goods of {terms.min_goods_cents} fen or more, not {price}."
        )
    if terms.kind == "threshold":
        cents = min(terms.off_cents or 0, net)
    elif terms.kind == "unit_price":
        cents = above
    else:
        cents = net * (terms.off_bps or 0) // FULL_BPS
        cents = cents if terms.cap_cents is None else min(cents, terms.cap_cents)
    if cents == 0:
        raise DiscountRefusedError(f"Coupon {coupon.code} takes nothing off this order.")
    by_platform = terms.split_bps.get("platform", 0)
    if by_platform > limits.most_platform_bps:
        raise DiscountRefusedError(
            f"The platform bears {by_platform} bps of coupon {coupon.code}: "
            f"at most {limits.most_platform_bps} may be put on it by the plan of this shop."
        )
    if by_platform and terms.kind == "threshold" and limits.thresholds:
        off = max((off for start, off in limits.thresholds if price >= start), default=0)
        if cents > off:
            raise DiscountRefusedError(
                f"Coupon {coupon.code} takes {cents} fen off goods of {price} fen: "
                f"the plan of this shop grants at most {off} at the platform's cost."
            )
    return cents
