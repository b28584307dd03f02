"""Taking of a promotion by an order, in its transaction, and giving back when it ends unpaid.

A unit is a row. An order takes rows that nobody holds and waits for nobody: of ten thousand buyers of a
hundred units the others are refused at once, and what a transaction that fails took is free again with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row

from serving.communities.records import is_member
from serving.db import locks
from serving.orders.errors import (
    NotFoundError,
    PromotionLimitError,
    PromotionRefusedError,
    PromotionSoldOutError,
)
from serving.orders.promotions import groups
from serving.orders.promotions.document import Promotion

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
class Gift:
    """What an order got for nothing beside goods that cost enough.

    Attributes:
        promotion_id: Of which promotion.
        sku_ids: What is given away.
        min_goods_cents: What the other goods cost at least, by their list prices, fen.
    """

    promotion_id: str
    sku_ids: Sequence[str]
    min_goods_cents: int

    def is_earned_by(self, others_cents: int) -> bool:
        """Whether other goods of that list price, fen, earn it."""
        return others_cents >= self.min_goods_cents


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
        gift = Gift(self.promotion.promotion_id, self.promotion.sku_ids, self.promotion.min_goods_cents)
        others = sum(prices[sku] * qty for sku, qty in units.items() if sku not in gift.sku_ids)
        if not gift.is_earned_by(others):
            raise PromotionRefusedError(
                f"The gift of promotion {self.promotion.promotion_id!r} goes with other goods of"
                f" {self.promotion.min_goods_cents} fen or more, not {others}."
            )


@dataclass(frozen=True)
class Held:
    """Units that an order holds without a claim yet; `qty` is 1 where only the budget limits a promotion."""

    promotion: Promotion
    qty: int


def hold(
    conn: Connection,
    tenant_id: str,
    wanted: Wanted,
    order_id: str,
    merchant_id: str,
    consumer_id: str,
    units: Mapping[str, int],
    now: datetime,
) -> Held:
    """Take units that nobody holds, by a statement that waits for nothing, or say why there are none.

    Whoever comes when everything is sold costs one look.

    Args:
        conn: Inside the transaction of the order, which holds nothing yet.
        tenant_id: The tenant.
        wanted: What the order names.
        order_id: The order.
        merchant_id: Its shop.
        consumer_id: Its buyer; who has enough of it keeps no unit from others.
        units: Sku to the units ordered.
        now: Business time.

    Raises:
        NotFoundError: There is no such promotion.
        PromotionRefusedError: It does not hold in this shop, now, or for these goods.
        PromotionSoldOutError: Its units are taken, or being taken.
        PromotionLimitError: The buyer has enough of it.
    """
    left = conn.execute(_ANY_LEFT, {"tenant": tenant_id, "promotion": wanted.promotion_id}).fetchone()
    if left is not None and not left[0]:
        raise PromotionSoldOutError("promotion", wanted.promotion_id)
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            _HOLD.encode(),
            {
                "tenant": tenant_id,
                "promotion": wanted.promotion_id,
                "order": order_id,
                "merchant": merchant_id,
                "consumer": consumer_id,
                "skus": list(units),
                "quantities": list(units.values()),
                "now": now,
            },
        ).fetchone()
    if row is None:
        raise NotFoundError("promotion", wanted.promotion_id)
    promotion = Promotion(**{name: row[name] for name in Promotion.__dataclass_fields__})
    _require_holds(promotion, merchant_id, units, now)
    if wanted.group_id is not None and promotion.group_size is None:
        raise PromotionRefusedError(f"Promotion {promotion.promotion_id!r} has no groups.")
    _require_within(promotion, row["already"], row["qty"])
    if promotion.stock_qty is not None and row["held"] != row["qty"]:
        raise PromotionSoldOutError("promotion", promotion.promotion_id)
    return Held(promotion, row["qty"])


def take(
    conn: Connection,
    tenant_id: str,
    held: Held,
    order_id: str,
    consumer_id: str,
    group_id: str | None,
    now: datetime,
) -> Claim:
    """Claim the units that an order holds, and a seat of a group.

    Args:
        conn: Inside the transaction of `hold`, which keeps erasures up.
        tenant_id: The tenant.
        held: What it holds.
        order_id: The order.
        consumer_id: Its buyer.
        group_id: The group that it joins.
        now: Business time.

    Raises:
        NotFoundError: The promotion has no such group.
        PromotionRefusedError: The group is over, or the buyer is no member of the promotion's community.
        PromotionSoldOutError: The group's seats are taken, or being taken.
        PromotionLimitError: The buyer has enough of it.
    """
    promotion, community_id = held.promotion, held.promotion.community_id
    if community_id is not None and not is_member(
        conn, tenant_id, promotion.merchant_id, community_id, consumer_id
    ):
        raise PromotionRefusedError(
            f"Promotion {promotion.promotion_id!r} is for members of community {community_id!r}."
        )
    locks.promotion_buyer(conn, tenant_id, promotion.promotion_id, consumer_id)
    values = {"tenant": tenant_id, "promotion": promotion.promotion_id, "consumer": consumer_id}
    already = conn.execute(f"select {_ALREADY}".encode(), values).fetchone()
    _require_within(promotion, int(already[0]) if already else 0, held.qty)
    if promotion.group_size is not None:
        group_id = groups.sit_down(conn, tenant_id, promotion, group_id, order_id, consumer_id, now)
    conn.execute(
        "insert into promotions.claim (tenant_id, order_id, promotion_id, consumer_id, qty, group_id, state,"
        " taken_at) values (%(tenant)s, %(order)s, %(promotion)s, %(consumer)s, %(qty)s, %(group)s, 'taken',"
        " %(now)s)",
        {**values, "order": order_id, "qty": held.qty, "group": group_id, "now": now},
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


def gift_of(conn: Connection, tenant_id: str, order_id: str) -> Gift | None:
    """The gift that an order took; None for an order without one."""
    with conn.cursor(row_factory=class_row(Gift)) as cursor:
        return cursor.execute(
            "select p.promotion_id, p.sku_ids, p.min_goods_cents from promotions.claim c"
            " join promotions.promotion p using (tenant_id, promotion_id)"
            " where c.tenant_id = %s and c.order_id = %s and c.state = 'taken' and p.kind = 'gift'",
            (tenant_id, order_id),
        ).fetchone()


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


def _require_within(promotion: Promotion, already: int, qty: int) -> None:
    if already + qty > promotion.per_consumer_qty:
        raise PromotionLimitError(promotion.promotion_id, promotion.per_consumer_qty, already)


_COLUMNS = ", ".join(f"s.{name}" for name in Promotion.__dataclass_fields__)
_ALREADY = (
    "(select coalesce(sum(c.qty), 0)::integer from promotions.claim c where c.tenant_id = %(tenant)s"
    " and c.promotion_id = %(promotion)s and c.consumer_id = %(consumer)s and c.state = 'taken')"
)
_ANY_LEFT = (
    "select p.stock_qty is null or p.status = 'proposed' or exists (select from promotions.unit u"
    " where u.tenant_id = p.tenant_id and u.promotion_id = p.promotion_id and u.order_id is null)"
    " from promotions.promotion p where p.tenant_id = %(tenant)s and p.promotion_id = %(promotion)s"
)
# Materialised: a join that asked for the free rows again would find others, since those are taken by then.
_HOLD = f"""
with said as (
    select p.*, {_ALREADY} as already, case when p.stock_qty is null then 1 else
        (select coalesce(sum(u.qty), 0)::integer from unnest(%(skus)s::text[], %(quantities)s::integer[])
            as u (sku_id, qty) where u.sku_id = any(p.sku_ids)) end as qty
    from promotions.promotion p where p.tenant_id = %(tenant)s and p.promotion_id = %(promotion)s
), free as materialized (
    select unit_no from promotions.unit
    where tenant_id = %(tenant)s and promotion_id = %(promotion)s and order_id is null order by unit_no
    limit (select case when s.status = 'active' and s.starts_at <= %(now)s and s.ends_at > %(now)s
        and s.merchant_id = %(merchant)s and s.already + s.qty <= s.per_consumer_qty then s.qty else 0 end
        from said s){locks.CLAIMED}
), held as (
    update promotions.unit u set order_id = %(order)s from free f
    where u.tenant_id = %(tenant)s and u.promotion_id = %(promotion)s and u.unit_no = f.unit_no returning 1
)
select {_COLUMNS}, s.already, s.qty, (select count(*) from held) as held from said s
"""
