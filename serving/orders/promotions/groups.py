"""Groups of buyers: seats, waiting, completion. What becomes of a group that does not fill: `ending`.

A group is complete in the transaction of the payment that fills it, or it ends; whoever does either holds its
row, so it happens once. Until it is complete nobody is told to ship its orders.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row

from serving.db import locks
from serving.orders.errors import NotFoundError, PromotionRefusedError, PromotionSoldOutError
from serving.orders.promotions.document import Promotion

Connection = psycopg.Connection[Any]
GroupStatus = Literal["open", "complete", "ended"]


@dataclass(frozen=True)
class Group:
    """A group of buyers.

    Attributes:
        group_id: Its id.
        promotion_id: Of which group-buy.
        size: Buyers that it needs.
        status: `open`, `complete`, or `ended` without enough buyers.
        opened_at: When its first buyer ordered.
        expires_at: First moment at which it ends.
        taken: Seats that orders have.
        paid: Seats whose orders are paid.
    """

    group_id: str
    promotion_id: str
    size: int
    status: GroupStatus
    opened_at: datetime
    expires_at: datetime
    taken: int
    paid: int


_SELECT = """
select g.group_id, g.promotion_id, g.size, g.status, g.opened_at, g.expires_at, s.taken, s.paid
from promotions.buying_group g cross join lateral (
    select count(s.order_id) as taken, count(*) filter (where o.paid_at is not null) as paid
    from promotions.seat s left join orders.customer_order o using (tenant_id, order_id)
    where s.tenant_id = g.tenant_id and s.group_id = g.group_id) s
where g.tenant_id = %(tenant)s
"""


def page(
    conn: Connection, tenant_id: str, promotion_id: str, *, only_open: bool, after: str, limit: int
) -> list[Group]:
    """Groups of a promotion by id after the given one."""
    with conn.cursor(row_factory=class_row(Group)) as cursor:
        return cursor.execute(
            (
                f"{_SELECT} and g.promotion_id = %(promotion)s and g.group_id > %(after)s"
                " and (not %(only_open)s or g.status = 'open') order by g.group_id limit %(limit)s"
            ).encode(),
            {
                "tenant": tenant_id,
                "promotion": promotion_id,
                "only_open": only_open,
                "after": after,
                "limit": limit,
            },
        ).fetchall()


def sit_down(
    conn: Connection,
    tenant_id: str,
    promotion: Promotion,
    group_id: str | None,
    order_id: str,
    consumer_id: str,
    now: datetime,
) -> str:
    """Give an order that is being placed a seat: of a group that is open, or the first one of a new group.

    A buyer has one seat of a group: who buys more buys it with the same order, or in another group.

    Returns:
        The group.

    Raises:
        NotFoundError: The promotion has no such group.
        PromotionRefusedError: The group is complete or over, or the buyer has a seat of it.
        PromotionSoldOutError: Every seat is taken, or being taken.
    """
    if group_id is None:
        group_id = _open(conn, tenant_id, promotion, now)
    locks.group_stays(conn, tenant_id, group_id)
    values = {"tenant": tenant_id, "group": group_id, "order": order_id}
    row = conn.execute(
        "select promotion_id, status, expires_at from promotions.buying_group"
        " where tenant_id = %(tenant)s and group_id = %(group)s",
        values,
    ).fetchone()
    if row is None or row[0] != promotion.promotion_id:
        raise NotFoundError("buying-group", group_id)
    if row[1] != "open" or now >= row[2]:
        raise PromotionRefusedError(
            f"Group {group_id!r} is {row[1]}; it took buyers until {row[2].isoformat()}. Open another one."
        )
    if conn.execute(_SITS, values | {"consumer": consumer_id}).fetchone() is not None:
        raise PromotionRefusedError(
            f"The buyer has a seat of group {group_id!r}: its other seats are for other buyers."
        )
    if conn.execute(_SIT, values).rowcount != 1:
        raise PromotionSoldOutError("group", group_id)
    return group_id


def _open(conn: Connection, tenant_id: str, promotion: Promotion, now: datetime) -> str:
    group_id = f"bg-{secrets.token_hex(8)}"
    ends = min(promotion.ends_at, now + timedelta(minutes=promotion.group_minutes or 0))
    conn.execute(
        "insert into promotions.buying_group (tenant_id, group_id, promotion_id, size, status, opened_at,"
        " expires_at) values (%s, %s, %s, %s, 'open', %s, %s)",
        (tenant_id, group_id, promotion.promotion_id, promotion.group_size, now, ends),
    )
    conn.execute(
        "insert into promotions.seat (tenant_id, group_id, seat_no) select %s, %s, generate_series(1, %s)",
        (tenant_id, group_id, promotion.group_size),
    )
    return group_id


def is_waiting(conn: Connection, tenant_id: str, order_id: str) -> bool:
    """Whether an order is of a group that is not complete: nothing of it is to be shipped."""
    row = conn.execute(
        "select g.status from promotions.claim c join promotions.buying_group g using (tenant_id, group_id)"
        " where c.tenant_id = %s and c.order_id = %s",
        (tenant_id, order_id),
    ).fetchone()
    return row is not None and row[0] != "complete"


def hold_group(conn: Connection, tenant_id: str, order_id: str) -> str | None:
    """Before an order of a group is paid: hold the group, then the orders that have its seats.

    Args:
        conn: Inside a transaction of the tenant that holds no order.
        tenant_id: The tenant.
        order_id: The order that is paid.

    Returns:
        The group; None for an order without one.
    """
    row = conn.execute(
        "select group_id from promotions.claim"
        " where tenant_id = %s and order_id = %s and group_id is not null",
        (tenant_id, order_id),
    ).fetchone()
    if row is None:
        return None
    group_id = str(row[0])
    locks.group(conn, tenant_id, group_id)
    locks.orders(conn, tenant_id, sorted({order_id, *_seated(conn, tenant_id, group_id)}))
    return group_id


def complete_if_paid(conn: Connection, tenant_id: str, group_id: str, now: datetime) -> Sequence[str]:
    """Complete a group whose every seat is paid; its group and orders are held.

    Args:
        conn: Inside the transaction of the payment.
        tenant_id: The tenant.
        group_id: The group.
        now: Business time.

    Returns:
        The orders of which suppliers are told now; none while the group waits, or where it has ended.
    """
    done = conn.execute(
        "update promotions.buying_group g set status = 'complete', closed_at = %(now)s"
        " where g.tenant_id = %(tenant)s and g.group_id = %(group)s and g.status = 'open'"
        " and g.size = (select count(*) from promotions.seat s join orders.customer_order o"
        " using (tenant_id, order_id) where s.tenant_id = g.tenant_id and s.group_id = g.group_id"
        " and o.status = 'paid')",
        {"tenant": tenant_id, "group": group_id, "now": now},
    ).rowcount
    return _seated(conn, tenant_id, group_id) if done else []


def _seated(conn: Connection, tenant_id: str, group_id: str) -> list[str]:
    rows = conn.execute(
        "select order_id from promotions.seat where tenant_id = %s and group_id = %s"
        " and order_id is not null order by 1",
        (tenant_id, group_id),
    )
    return [order_id for (order_id,) in rows]


_SITS = (
    "select from promotions.claim where tenant_id = %(tenant)s and group_id = %(group)s"
    " and consumer_id = %(consumer)s and state = 'taken'"
)
_SIT = (
    "with free as materialized (select seat_no from promotions.seat where tenant_id = %(tenant)s"
    f" and group_id = %(group)s and order_id is null order by seat_no limit 1{locks.CLAIMED})"
    " update promotions.seat s set order_id = %(order)s from free f"
    " where s.tenant_id = %(tenant)s and s.group_id = %(group)s and s.seat_no = f.seat_no"
)
