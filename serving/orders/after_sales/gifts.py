"""The gift of a promotion when the goods that earned it go back.

A gift that was not sent goes with them. Of one that the buyer has, its list price stays paid by the other
goods, once, until the gift itself comes back. Whatever gives money back on a line looks before and after, in
its transaction: a refusal undoes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from serving.orders.after_sales.refunding import end_empty_part, give_back, part_of
from serving.orders.errors import GiftKeptError
from serving.orders.fulfilment.rerouting import open_freight_shares
from serving.orders.promotions.claims import gift_of
from serving.orders.records import Order, OrderLine, find_sub_order, lines_of
from serving.orders.states import UNSHIPPED
from serving.orders.webhooks import webhooks

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Stake:
    """How the gift of an order stands.

    Attributes:
        promotion_id: Of which promotion.
        unsent: Lines of the gift that are still to be sent.
        had: Lines of it that the buyer has, by number, and what those units cost by the list, fen.
        is_earned: Whether the other goods that stay cost enough, by their list prices.
        cover_cents: What is paid and could stand for the gift, fen: all that is paid for the other goods
            where they earn it, else what is paid beyond those that stay.
    """

    promotion_id: str
    unsent: tuple[OrderLine, ...]
    had: Mapping[int, int]
    is_earned: bool
    cover_cents: int

    @property
    def stock_keys(self) -> list[tuple[str, str]]:
        """(supplier, sku) of which stock is free again where the gift is taken off."""
        return [(line.supplier_id, line.sku_id) for line in self.unsent]


def stake(conn: Connection, tenant_id: str, order_id: str) -> Stake | None:
    """How the gift of an order stands now; None for an order without one. The order is locked."""
    gift = gift_of(conn, tenant_id, order_id)
    if gift is None:
        return None
    lines = lines_of(conn, tenant_id, order_id)
    back = _back(conn, tenant_id, order_id)
    kept = {line: units_kept(line, back[line.line_no]) for line in lines}
    others = {line: qty for line, qty in kept.items() if line.sku_id not in gift.sku_ids}
    gifts = [line for line in lines if line.sku_id in gift.sku_ids and kept[line]]
    is_earned = gift.is_earned_by(sum(_worth(line, qty) for line, qty in others.items()))
    return Stake(
        gift.promotion_id,
        tuple(line for line in gifts if line.reserved_qty),
        {line.line_no: _worth(line, kept[line]) for line in gifts if not line.reserved_qty},
        is_earned,
        sum(line.open_cents for line in others) if is_earned else paid_beyond(others),
    )


def units_kept(line: OrderLine, units_back: int) -> int:
    """Units of a line that the buyer has or is going to have.

    Money that goes back without units takes none away, but the last fen takes all.

    Args:
        line: The line.
        units_back: Units for which cases gave money back; of a line that cost nothing, those that came back.
    """
    if line.net_paid_cents and not line.open_cents:
        return 0
    return line.reserved_qty + max(0, line.sent_qty - units_back)


def _worth(line: OrderLine, qty: int) -> int:
    """The list price of units of a line, fen."""
    return line.list_price_cents * qty // line.qty


def paid_beyond(kept: Mapping[OrderLine, int]) -> int:
    """What is paid for lines beyond their units that stay, fen; lines to those units."""
    return sum(
        max(0, line.open_cents - -(-line.net_paid_cents * qty // line.qty)) for line, qty in kept.items()
    )


def follow(
    conn: Connection,
    tenant_id: str,
    order: Order,
    before: Stake | None,
    now: datetime,
    *,
    refund_cents: int | None = None,
    is_asked: bool = True,
) -> None:
    """After money went back on a line: take the gift off, or refuse what leaves it to the buyer for nothing.

    Args:
        conn: Inside the transaction of the refund, which holds the order and the stock of `before`.
        tenant_id: The tenant.
        order: The order.
        before: How the gift stood before.
        now: Business time.
        refund_cents: What was asked back, fen, where less could be asked.
        is_asked: False where nobody chose it, since nobody has the goods: then a gift that was sent stays.

    Raises:
        GiftKeptError: The buyer has the gift, and less than its price stays paid for it.
    """
    if before is None:
        return
    after = stake(conn, tenant_id, order.order_id)
    assert after is not None, "a claim that was paid stays taken"
    # What earlier refunds that nobody asked for left uncovered is no debt of the buyer's.
    price = sum(after.had.values())
    missing = min(price, before.cover_cents) - after.cover_cents
    if after.had and is_asked and missing > 0:
        most = None if refund_cents is None else refund_cents - missing
        raise GiftKeptError(after.promotion_id, list(after.had), price, most)
    for line in after.unsent:
        if not after.is_earned or after.cover_cents < _worth(line, line.reserved_qty):
            _take_off(conn, tenant_id, order, line, now)


def _take_off(conn: Connection, tenant_id: str, order: Order, line: OrderLine, now: datetime) -> None:
    order_id, supplier_id = order.order_id, line.supplier_id
    lines = [one for one in lines_of(conn, tenant_id, order_id, supplier_id) if one.reserved_qty]
    freight = open_freight_shares(conn, tenant_id, order_id, supplier_id, lines)
    refund_id = f"{order_id}:{line.line_no}:gift:{supplier_id}"
    give_back(conn, tenant_id, order, line, part_of(line, freight[line.line_no], 0), refund_id, now)
    end_empty_part(conn, tenant_id, order, supplier_id, f"{refund_id}:end", now)
    if find_sub_order(conn, tenant_id, order_id, supplier_id).status in UNSHIPPED:
        webhooks.tell_supplier(conn, tenant_id, order_id, supplier_id, f"line-{line.line_no}-left-0")
    event = "order_line.cancelled"
    webhooks.tell_merchant(conn, tenant_id, order.merchant_id, event, order_id, f"{line.line_no}:0")


def _back(conn: Connection, tenant_id: str, order_id: str) -> dict[int, int]:
    """Line number to units for which cases gave money back; of a line that cost nothing, that came back."""
    rows = conn.execute(
        """
        select l.line_no, case when l.net_paid_cents = 0 then l.back_qty
            else coalesce(sum(coalesce(a.received_qty, a.qty))
                filter (where a.refund_cents > 0), 0)::bigint end
        from orders.order_line l left join orders.after_sale a on a.tenant_id = l.tenant_id
            and a.order_id = l.order_id and a.line_no = l.line_no and a.kind <> 'complaint'
        where l.tenant_id = %s and l.order_id = %s group by l.tenant_id, l.order_id, l.line_no
        """,
        (tenant_id, order_id),
    )
    return dict(rows.fetchall())
