"""What an agreed discount leaves to its funder after the funder's own leg has carried what it can. Pure.

A funder bears exactly its discount: its leg of the line is cut by it (`waterfall`), and the rest is owed.
What was paid with points cuts no leg: who took them owes all of it.

Source: P17.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from serving.settlement.sharing.leg import Leg
from serving.settlement.sharing.snapshot import LineSnapshot, OrderSnapshot


class Shortfall(NamedTuple):
    """What a funder owes for its discount on one line.

    Attributes:
        line_no: The line.
        supplier_id: Who ships it.
        party_type: `merchant` or `supplier`.
        party_id: The funder.
        discount_cents: What it agreed to on this line, fen.
        owed_cents: What its leg does not carry, fen; 0 when it carries all.
    """

    line_no: int
    supplier_id: str
    party_type: str
    party_id: str
    discount_cents: int
    owed_cents: int


def shortfalls(order: OrderSnapshot, legs: Sequence[Leg]) -> tuple[Shortfall, ...]:
    """The agreed discounts of an order, each with what its funder's leg does not carry.

    Args:
        order: The order as it was paid.
        legs: Its legs, as `waterfall.accrue` made them.

    Returns:
        One per line and funder, by line; none for discounts of the platform or without an agreement.
    """
    return tuple(
        found
        for line in order.lines
        for found in line_shortfalls(line, [leg for leg in legs if leg.line_no == line.line_no])
    )


def line_shortfalls(line: LineSnapshot, legs: Sequence[Leg]) -> list[Shortfall]:
    """The same for one line and its legs."""
    agreed: dict[tuple[str, str], int] = {}
    points: dict[tuple[str, str], int] = {}
    for discount in line.discounts:
        if discount.party_id is not None and discount.funder != "platform":
            key = (discount.funder, discount.party_id)
            agreed[key] = agreed.get(key, 0) + discount.cents
            points[key] = points.get(key, 0) + discount.cents * discount.is_points
    found = []
    for (party_type, party_id), cents in agreed.items():
        in_points = points[party_type, party_id]
        # Without a coupon beside the points, no cut of the leg is this funder's agreed discount.
        owed = cents if cents == in_points else cents - _carried(legs, party_type, party_id)
        found.append(Shortfall(line.line_no, line.supplier_id, party_type, party_id, cents, owed))
    return found


def _carried(legs: Sequence[Leg], party_type: str, party_id: str) -> int:
    """What the funder's own leg of the line was cut by for its discounts, fen."""
    if party_type == "supplier":
        cut = [leg for leg in legs if leg.kind == "supplier" and leg.payee_id == party_id]
        return sum(leg.base_cents - leg.amount_cents for leg in cut)
    for leg in legs:
        is_own = leg.kind == "direct" and (leg.payee_type, leg.payee_id) == (party_type, party_id)
        if is_own and "merchant_funded" in (leg.cut_reason or "").split("+"):
            compensated = sum(other.amount_cents for other in legs if other.kind == "region")
            return min(leg.wanted_cents, leg.left_cents) - leg.amount_cents - compensated
    return 0
