"""Promotions in the database: put forward, approved by a second person, closed, read."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from serving.agents.errors import UnknownSceneError
from serving.agents.scenes import find as find_scene
from serving.communities.errors import CommunityError
from serving.communities.records import find as find_community
from serving.db import locks
from serving.orders.coupons import issuing, store
from serving.orders.errors import (
    InvalidRequestError,
    NotFoundError,
    OwnPromotionError,
    PromotionStateError,
)
from serving.orders.promotions.document import NewPromotion, Promotion, check, coupon_terms
from serving.orders.promotions.guard import require_guarded

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Counts:
    """What orders took of a promotion.

    Attributes:
        left_qty: Units that nobody has; None where only the budget limits it.
        orders: Orders that stand.
        paid_orders: Those of them that were paid.
        spent_cents: What it took off, fen.
        open_groups: Groups of buyers that wait.
        complete_groups: Groups that are complete.
    """

    left_qty: int | None
    orders: int
    paid_orders: int
    spent_cents: int
    open_groups: int
    complete_groups: int


_COLUMNS = ", ".join(Promotion.__dataclass_fields__)
_SELECT = f"select {_COLUMNS} from promotions.promotion where tenant_id = %(tenant)s"


def propose(
    conn: Connection,
    tenant_id: str,
    new: NewPromotion,
    issuer: tuple[str, str],
    by: str,
    now: datetime,
) -> Promotion:
    """Put a promotion forward, with the coupon programme that pays for it; the issuer's own share is agreed.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        new: What it is.
        issuer: `platform` and nothing, or `merchant` and its id.
        by: Whose key it was.
        now: Business time.

    Raises:
        InvalidRequestError: It contradicts itself.
        NotListedError: The shop does not sell one of its skus.
        PriceGuardError: It sells below the floor at the shop's own cost.
    """
    check(new)
    terms = coupon_terms(new)
    require_guarded(conn, tenant_id, new.merchant_id, new.kind, terms)
    _require_scene(conn, tenant_id, new)
    _require_community(conn, tenant_id, new)
    programme = store.open_programme(
        conn, tenant_id, *issuer, f"promotion: {new.title}"[:200], terms, by, now
    )
    made = Promotion(
        promotion_id=f"pm-{secrets.token_hex(8)}",
        merchant_id=new.merchant_id,
        kind=new.kind,
        title=new.title,
        sku_ids=list(new.sku_ids),
        starts_at=new.starts_at,
        ends_at=new.ends_at,
        price_cents=terms.unit_price_cents,
        min_goods_cents=new.min_goods_cents,
        stock_qty=new.stock_qty,
        per_consumer_qty=new.per_consumer_qty,
        group_size=new.group_size,
        group_minutes=new.group_minutes,
        scene_id=new.scene_id,
        community_id=new.community_id,
        programme_id=programme.programme_id,
        code=None,
        status="proposed",
        made_by=by,
        approved_by=None,
    )
    values = {name: getattr(made, name) for name in Promotion.__dataclass_fields__}
    conn.execute(
        f"insert into promotions.promotion (tenant_id, {_COLUMNS}, made_at) values (%(tenant)s,"
        f" {', '.join(f'%({name})s' for name in values)}, %(now)s)".encode(),
        {**values, "tenant": tenant_id, "now": now},
    )
    return made


def approve(conn: Connection, tenant_id: str, promotion_id: str, by: str, now: datetime) -> bool:
    """A second person agrees: from its start orders may take of it.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        promotion_id: Which.
        by: Whose key it is; another one than of who put it forward.
        now: Business time.

    Returns:
        Whether it is new.

    Raises:
        NotFoundError: There is none.
        OwnPromotionError: The same key put it forward.
        PromotionStateError: It is closed or over, or a funder has not agreed.
        PriceGuardError: By the prices of now it sells below the floor at the shop's own cost.
    """
    locks.promotion(conn, tenant_id, promotion_id)
    found = find(conn, tenant_id, promotion_id)
    if found.status == "active":
        return False
    if found.status == "closed" or now >= found.ends_at:
        raise PromotionStateError(f"Promotion {promotion_id!r} is closed, or its time is over.")
    if by == found.made_by:
        raise OwnPromotionError(
            f"Promotion {promotion_id!r} was put forward with this key: another person's approves it."
        )
    programme = store.find(conn, tenant_id, found.programme_id)
    if programme.status != "active":
        raise PromotionStateError(
            f"Programme {found.programme_id!r} of promotion {promotion_id!r} is {programme.status}:"
            " every funder agrees first."
        )
    require_guarded(conn, tenant_id, found.merchant_id, found.kind, programme.terms)
    most = programme.terms.budget_count
    coupons = issuing.issue(conn, tenant_id, found.programme_id, now, max_uses=most, by_promotion=True)
    conn.execute(
        "update promotions.promotion set status = 'active', code = %s, approved_by = %s, approved_at = %s"
        " where tenant_id = %s and promotion_id = %s",
        (coupons[0].code, by, now, tenant_id, promotion_id),
    )
    conn.execute(
        "insert into promotions.unit (tenant_id, promotion_id, unit_no)"
        " select %s, %s, generate_series(1, %s)",
        (tenant_id, promotion_id, found.stock_qty or 0),
    )
    return True


def close(conn: Connection, tenant_id: str, promotion_id: str, by: str, now: datetime) -> bool:
    """End a promotion and its programme: no order takes of it any more; groups that are open still may end.

    Returns:
        Whether it is new.

    Raises:
        NotFoundError: There is none.
    """
    locks.promotion(conn, tenant_id, promotion_id)
    found = find(conn, tenant_id, promotion_id)
    if found.status == "closed":
        return False
    conn.execute(
        "update promotions.promotion set status = 'closed', closed_by = %s, closed_at = %s"
        " where tenant_id = %s and promotion_id = %s",
        (by, now, tenant_id, promotion_id),
    )
    store.close(conn, tenant_id, found.programme_id, by, now)
    return True


def find(conn: Connection, tenant_id: str, promotion_id: str) -> Promotion:
    """A promotion.

    Raises:
        NotFoundError: There is none.
    """
    with conn.cursor(row_factory=class_row(Promotion)) as cursor:
        found = cursor.execute(
            f"{_SELECT} and promotion_id = %(promotion)s".encode(),
            {"tenant": tenant_id, "promotion": promotion_id},
        ).fetchone()
    if found is None:
        raise NotFoundError("promotion", promotion_id)
    return found


def page(
    conn: Connection,
    tenant_id: str,
    *,
    merchant_id: str | None,
    open_at: datetime | None,
    after: str,
    limit: int,
) -> list[Promotion]:
    """Promotions by id after the given one.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        merchant_id: Of this shop; None: of all.
        open_at: Only those of which an order may take at that moment; None: all.
        after: Id of the last one seen.
        limit: Most promotions.
    """
    with conn.cursor(row_factory=class_row(Promotion)) as cursor:
        return cursor.execute(
            (
                f"{_SELECT} and promotion_id > %(after)s"
                " and (%(merchant)s::text is null or merchant_id = %(merchant)s)"
                " and (%(at)s::timestamptz is null or status = 'active' and starts_at <= %(at)s"
                " and ends_at > %(at)s) order by promotion_id limit %(limit)s"
            ).encode(),
            {
                "tenant": tenant_id,
                "merchant": merchant_id,
                "at": open_at,
                "after": after,
                "limit": limit,
            },
        ).fetchall()


def counts_of(conn: Connection, tenant_id: str, promotions: Sequence[Promotion]) -> dict[str, Counts]:
    """What orders took of promotions, by id."""
    rows = conn.execute(
        """
        select p.promotion_id,
            case when p.stock_qty is not null and p.status <> 'proposed' then (select count(*)
                from promotions.unit u where u.tenant_id = p.tenant_id
                and u.promotion_id = p.promotion_id and u.order_id is null)
            else p.stock_qty end,
            c.orders, c.paid, g.spent_cents, b.opened, b.complete
        from promotions.promotion p
        join coupons.programme g using (tenant_id, programme_id)
        cross join lateral (
            select count(*) as orders, count(o.paid_at) as paid from promotions.claim c
            join orders.customer_order o using (tenant_id, order_id)
            where c.tenant_id = p.tenant_id and c.promotion_id = p.promotion_id and c.state = 'taken') c
        cross join lateral (
            select count(*) filter (where b.status = 'open') as opened,
                count(*) filter (where b.status = 'complete') as complete from promotions.buying_group b
            where b.tenant_id = p.tenant_id and b.promotion_id = p.promotion_id) b
        where p.tenant_id = %s and p.promotion_id = any(%s)
        """,
        (tenant_id, [one.promotion_id for one in promotions]),
    )
    return {promotion_id: Counts(*values) for promotion_id, *values in rows}


def _require_scene(conn: Connection, tenant_id: str, new: NewPromotion) -> None:
    if new.scene_id is None:
        return
    try:
        scene = find_scene(conn, tenant_id, new.scene_id)
    except UnknownSceneError as error:
        raise InvalidRequestError("scene_id", str(error)) from error
    if scene.merchant_id != new.merchant_id or (new.kind == "live" and scene.kind != "live_session"):
        wanted = "live session" if new.kind == "live" else "scene"
        raise InvalidRequestError("scene_id", f"no {wanted} {new.scene_id} of merchant {new.merchant_id}")
    if not (scene.opens_at <= new.starts_at and new.ends_at <= scene.closes_at):
        raise InvalidRequestError(
            "scene_id",
            f"scene {new.scene_id} is open from {scene.opens_at.isoformat()} until"
            f" {scene.closes_at.isoformat()}: the promotion must lie within",
        )


def _require_community(conn: Connection, tenant_id: str, new: NewPromotion) -> None:
    if new.community_id is None:
        return
    locks.community_stays(conn, tenant_id, new.merchant_id, new.community_id)
    try:
        found = find_community(conn, tenant_id, new.merchant_id, new.community_id)
    except CommunityError as error:
        raise InvalidRequestError("community_id", str(error)) from error
    if found.closed_at is not None:
        raise InvalidRequestError("community_id", f"community {new.community_id!r} is closed")
