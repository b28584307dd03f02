"""Taking of a promotion by an order, in its transaction, and giving back when it ends unpaid.

A unit is a row. An order takes rows that nobody holds and waits for nobody: of ten thousand buyers of a
hundred units the others are refused at once, and what a transaction that fails took is free again with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from serving.db import locks
from serving.orders.errors import PromotionLimitError, PromotionRefusedError, PromotionSoldOutError
from serving.orders.promotions import groups
from serving.orders.promotions.document import Promotion
from serving.orders.promotions.records import find

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Wanted:
    """What an order asks of a promotion.

    Attributes:
        promotion_id: Which.
        group_id: The group that it joins; None opens one, where buyers buy in groups.
    """

    promotion_id: str
    group_id: str | None = None


@dataclass(frozen=True)
class Claim:
    """What an order took.

    Attributes:
        promotion: Of which promotion.
        code: The coupon that takes its discount off.
    """

    promotion: Promotion
    code: str

    def require_basket(self, prices: Mapping[str, int], units: Mapping[str, int]) -> None:
        """Refuse a gift beside goods that cost too little, by their list prices.

        Raises:
            PromotionRefusedError: With what is missing.
        """
        if self.promotion.kind != "gift":
            return
        others = sum(prices[sku] * qty for sku, qty in units.items() if sku not in self.promotion.sku_ids)
        if others < self.promotion.min_goods_cents:
            raise PromotionRefusedError(
                f"The gift of promotion {self.promotion.promotion_id!r} goes with other goods of"
                f" {self.promotion.min_goods_cents} fen or more, not {others}."
            )


def take(
    conn: Connection,
    tenant_id: str,
    wanted: Wanted,
    order_id: str,
    merchant_id: str,
    consumer_id: str,
    units: Mapping[str, int],
    now: datetime,
) -> Claim:
    """Take units of a promotion and a seat of a group for an order that is being placed.

    Args:
        conn: Inside the transaction of the order, which holds no stock yet.
        tenant_id: The tenant.
        wanted: What the order names.
        order_id: The order.
        merchant_id: Its shop.
        consumer_id: Its buyer.
        units: Sku to the units ordered.
        now: Business time.

    Raises:
        NotFoundError: There is no such promotion in the shop, or no such group of it.
        PromotionRefusedError: It does not hold now, or not for these goods.
        PromotionSoldOutError: Its units or the group's seats are taken, or being taken.
        PromotionLimitError: The buyer has enough of it.
    """
    promotion = find(conn, tenant_id, wanted.promotion_id)
    _require_holds(promotion, merchant_id, units, now)
    if (wanted.group_id is not None) and promotion.group_size is None:
        raise PromotionRefusedError(f"Promotion {promotion.promotion_id!r} has no groups.")
    qty = sum(units.get(sku, 0) for sku in promotion.sku_ids) if promotion.stock_qty is not None else 1
    values = {"tenant": tenant_id, "promotion": promotion.promotion_id, "order": order_id, "qty": qty}
    if promotion.stock_qty is not None and conn.execute(_ANY_LEFT, values).fetchone() is None:
        raise PromotionSoldOutError("promotion", promotion.promotion_id)
    locks.promotion_buyer(conn, tenant_id, promotion.promotion_id, consumer_id)
    taken = conn.execute(_TAKEN, {**values, "consumer": consumer_id}).fetchone()
    already = int(taken[0]) if taken else 0
    if already + qty > promotion.per_consumer_qty:
        raise PromotionLimitError(promotion.promotion_id, promotion.per_consumer_qty, already)
    if promotion.stock_qty is not None and conn.execute(_TAKE, values).rowcount != qty:
        raise PromotionSoldOutError("promotion", promotion.promotion_id)
    group_id = None
    if promotion.group_size is not None:
        group_id = groups.sit_down(conn, tenant_id, promotion, wanted.group_id, order_id, now)
    conn.execute(
        "insert into promotions.claim (tenant_id, order_id, promotion_id, consumer_id, qty, group_id, state,"
        " taken_at) values (%(tenant)s, %(order)s, %(promotion)s, %(consumer)s, %(qty)s, %(group)s, 'taken',"
        " %(now)s)",
        {**values, "consumer": consumer_id, "group": group_id, "now": now},
    )
    assert promotion.code is not None, "an active promotion has its coupon"
    return Claim(promotion, promotion.code)


def give_back(conn: Connection, tenant_id: str, order_id: str) -> bool:
    """An order ends before it was a sale: its units and its seat are free again.

    Args:
        conn: Inside a transaction of the tenant that holds the order.
        tenant_id: The tenant.
        order_id: The order.

    Returns:
        Whether it held any.
    """
    values = {"tenant": tenant_id, "order": order_id}
    held = conn.execute(
        "update promotions.claim set state = 'given_back'"
        " where tenant_id = %(tenant)s and order_id = %(order)s and state = 'taken'",
        values,
    ).rowcount
    if held:
        for table in ("unit", "seat"):
            conn.execute(
                f"update promotions.{table} set order_id = null"
                " where tenant_id = %(tenant)s and order_id = %(order)s".encode(),
                values,
            )
    return held == 1


def give_back_refunded(conn: Connection, tenant_id: str, order_id: str) -> bool:
    """A paid order was refunded in full: it leaves a group that is not complete; else what it bought is sold.

    Returns:
        Whether it gave anything back.
    """
    return groups.is_waiting(conn, tenant_id, order_id) and give_back(conn, tenant_id, order_id)


def _require_holds(promotion: Promotion, merchant_id: str, units: Mapping[str, int], now: datetime) -> None:
    name = promotion.promotion_id
    if promotion.merchant_id != merchant_id:
        raise PromotionRefusedError(f"There is no promotion {name!r} in the shop {merchant_id!r}.")
    if promotion.status != "active":
        raise PromotionRefusedError(f"Promotion {name!r} is {promotion.status}.")
    if not promotion.starts_at <= now < promotion.ends_at:
        raise PromotionRefusedError(
            f"Promotion {name!r} holds from {promotion.starts_at.isoformat()} until"
            f" {promotion.ends_at.isoformat()}."
        )
    if promotion.sku_ids and not any(units.get(sku) for sku in promotion.sku_ids):
        raise PromotionRefusedError(f"The order has nothing that promotion {name!r} is about.")
    if promotion.group_size is not None and set(units) != set(promotion.sku_ids):
        raise PromotionRefusedError(
            f"An order of group-buy {name!r} holds nothing else: it ends as a whole where the group fails."
        )


_ANY_LEFT = (
    "select from promotions.unit where tenant_id = %(tenant)s and promotion_id = %(promotion)s"
    " and order_id is null limit 1"
)
_TAKEN = (
    "select coalesce(sum(qty), 0) from promotions.claim where tenant_id = %(tenant)s"
    " and promotion_id = %(promotion)s and consumer_id = %(consumer)s and state = 'taken'"
)
# Materialised: a join that asked for the free rows again would find others, since those are taken by then.
_TAKE = (
    "with free as materialized (select unit_no from promotions.unit where tenant_id = %(tenant)s"
    " and promotion_id = %(promotion)s and order_id is null"
    f" order by unit_no limit %(qty)s{locks.CLAIMED})"
    " update promotions.unit u set order_id = %(order)s from free f"
    " where u.tenant_id = %(tenant)s and u.promotion_id = %(promotion)s and u.unit_no = f.unit_no"
)
