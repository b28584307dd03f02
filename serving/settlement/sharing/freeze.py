"""From a cart at payment to the frozen `OrderSnapshot`: coupon, funder and fee spreading.

Prices, stock and parties are chosen by the caller; nothing is looked up here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from serving.settlement.errors import SnapshotError
from serving.settlement.sharing.rounding import FULL_BPS, largest_remainder, round_half_up_bps
from serving.settlement.sharing.snapshot import (
    FUNDERS,
    Discount,
    FreightSnapshot,
    Funder,
    LineSnapshot,
    OrderSnapshot,
    Parties,
    check_order,
)


@dataclass(frozen=True, slots=True)
class CartLine:
    """One line before the order's coupons; every `_cents` is the total of the line, in fen."""

    line_no: int
    sku_id: str
    category_ids: tuple[str, ...]
    supplier_id: str
    qty: int
    list_price_cents: int
    supply_price_cents: int
    discounts: tuple[Discount, ...] = ()
    tax_cents: int = 0


@dataclass(frozen=True, slots=True)
class OrderCoupon:
    """A coupon on the whole order: fen off, and the funders' shares in bps (they sum to 10000)."""

    cents: int
    funder_split_bps: Mapping[Funder, int]


def split_by_funder(cents: int, funder_split_bps: Mapping[Funder, int]) -> tuple[Discount, ...]:
    """Split one line's discount among its funders by largest remainder; shares of 0 fen are kept out.

    Raises:
        SnapshotError: when the split names an unknown funder or does not sum to 10000 bps.
    """
    unknown = set(funder_split_bps) - set(FUNDERS)
    if unknown or sum(funder_split_bps.values()) != FULL_BPS:
        raise SnapshotError(
            f"funder split {dict(funder_split_bps)} must name {FUNDERS} only and sum to 10000 bps"
        )
    named = [funder for funder in FUNDERS if funder in funder_split_bps]
    shares = largest_remainder(cents, [funder_split_bps[funder] for funder in named])
    return tuple(Discount(funder, share) for funder, share in zip(named, shares, strict=True) if share)


def freeze(
    *,
    order_id: str,
    merchant_id: str,
    consumer_id: str,
    paid_at: datetime,
    cart: Sequence[CartLine],
    parties: Parties,
    coupons: Sequence[OrderCoupon] = (),
    freights: Sequence[FreightSnapshot] = (),
    fee_rate_bps: int = 0,
    plan_id: str | None = None,
    plan_version: int | None = None,
) -> OrderSnapshot:
    """The snapshot of an order at payment.

    Each coupon is spread over what the lines cost after the discounts before it, by largest remainder; the
    channel fee is half-up on the captured amount and spread over the lines' net_paid by largest remainder.

    Raises:
        SnapshotError: when a coupon exceeds the order, a funder split is wrong, or amounts contradict.

    Source: P17; common rules on rounding.
    """
    ordered = sorted(cart, key=lambda line: line.line_no)
    discounts = [list(line.discounts) for line in ordered]
    nets = [line.list_price_cents - sum(d.cents for d in line.discounts) for line in ordered]
    for coupon in coupons:
        if not 0 <= coupon.cents <= sum(nets) or min(nets) < 0:
            raise SnapshotError(
                f"order {order_id}: a coupon of {coupon.cents} fen does not fit lines of {nets} fen"
            )
        for position, share in enumerate(largest_remainder(coupon.cents, nets)):
            discounts[position].extend(split_by_funder(share, coupon.funder_split_bps))
            nets[position] -= share
    captured = sum(nets) + sum(freight.cents for freight in freights)
    if min(nets, default=0) < 0 or captured < 0:
        raise SnapshotError(f"order {order_id}: discounts leave lines of {nets} fen")
    fees = largest_remainder(round_half_up_bps(captured, fee_rate_bps), nets) if nets else ()
    order = OrderSnapshot(
        order_id=order_id,
        merchant_id=merchant_id,
        consumer_id=consumer_id,
        paid_at=paid_at,
        captured_cents=captured,
        lines=tuple(
            LineSnapshot(
                line_no=line.line_no,
                sku_id=line.sku_id,
                category_ids=line.category_ids,
                supplier_id=line.supplier_id,
                qty=line.qty,
                list_price_cents=line.list_price_cents,
                discounts=tuple(discounts[position]),
                net_paid_cents=nets[position],
                supply_price_cents=line.supply_price_cents,
                channel_fee_cents=fees[position],
                tax_cents=line.tax_cents,
            )
            for position, line in enumerate(ordered)
        ),
        freights=tuple(freights),
        parties=parties,
        plan_id=plan_id,
        plan_version=plan_version,
    )
    check_order(order)
    return order
