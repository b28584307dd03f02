"""Communities, their members and their calendar in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row

from serving.communities.errors import (
    CommunityClosedError,
    CommunityConflictError,
    CommunityUnknownError,
    ForbiddenWordsError,
)
from serving.communities.grades import WINDOW, Grade, grade_of
from serving.consumers.erased import require_not_erased
from serving.db import locks
from serving.materials.advertising import forbidden

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class NewCommunity:
    """A community to be.

    Attributes:
        community_id: The shop's name of it; another shop may use the same.
        merchant_id: Whose consumers it gathers.
        title: For people.
        theme: What it is about.
        rules: What its members keep to.
        owner_type: `agent` or `merchant`.
        owner_id: Who leads it.
    """

    community_id: str
    merchant_id: str
    title: str
    theme: str
    rules: str
    owner_type: str
    owner_id: str


@dataclass(frozen=True)
class Community(NewCommunity):
    """A community as stored.

    Attributes:
        made_at: When.
        closed_at: When it was closed; None while it lives.
        members: Members now.
    """

    made_at: datetime
    closed_at: datetime | None
    members: int


@dataclass(frozen=True)
class Member:
    """A member now.

    Attributes:
        consumer_id: Who.
        joined_at: Since when.
        via: How the consumer came, in a word.
        orders: Orders of the last 90 days in the shop that were paid and not refunded.
        texts: Texts of the last 90 days.
        spent_cents: What those orders brought, fen.
    """

    consumer_id: str
    joined_at: datetime
    via: str
    orders: int
    texts: int
    spent_cents: int

    @property
    def grade(self) -> Grade:
        """How the member stands."""
        return grade_of(self.orders, self.texts, self.spent_cents)


@dataclass(frozen=True)
class Activity:
    """Something that a community is told or invited to; a promotion of the community is one, too.

    Attributes:
        activity_id: Its name.
        title: For people.
        content: What is posted; of a promotion its method.
        tag: Of what kind it is.
        starts_at: First moment.
        ends_at: First moment after it.
        promotion_id: The promotion that it is; None of other content.
    """

    activity_id: str
    title: str
    content: str
    tag: str
    starts_at: datetime
    ends_at: datetime
    promotion_id: str | None = None


_NEW = tuple(NewCommunity.__dataclass_fields__)
_SELECT = (
    f"select {', '.join(_NEW)}, made_at, closed_at, (select count(*) from communities.member m"
    " where m.tenant_id = c.tenant_id and m.merchant_id = c.merchant_id and m.community_id = c.community_id"
    " and m.left_at is null) as members"
    " from communities.community c where tenant_id = %(tenant)s"
)


def make(conn: Connection, tenant_id: str, new: NewCommunity, by: str, now: datetime) -> bool:
    """Keep a community; the same words again are the community that there is.

    Returns:
        Whether it is new.

    Raises:
        CommunityConflictError: The id says something else.
    """
    values = {name: getattr(new, name) for name in _NEW}
    made = conn.execute(
        f"insert into communities.community (tenant_id, {', '.join(_NEW)}, made_by, made_at)"
        f" values (%(tenant)s, {', '.join(f'%({name})s' for name in _NEW)}, %(by)s, %(now)s)"
        " on conflict (tenant_id, merchant_id, community_id) do nothing".encode(),
        {**values, "tenant": tenant_id, "by": by, "now": now},
    ).rowcount
    if not made:
        kept = find(conn, tenant_id, new.merchant_id, new.community_id)
        if {name: getattr(kept, name) for name in _NEW} != values:
            raise CommunityConflictError(
                f"community {new.community_id!r} says something else; give this one its own id"
            )
    return made == 1


def close(conn: Connection, tenant_id: str, merchant_id: str, community_id: str, now: datetime) -> bool:
    """Close a community: nobody joins and nothing is planned any more; whoever is in it leaves.

    Returns:
        Whether it is new.
    """
    locks.community(conn, tenant_id, merchant_id, community_id)
    done = conn.execute(
        "update communities.community set closed_at = %s"
        " where tenant_id = %s and merchant_id = %s and community_id = %s and closed_at is null",
        (now, tenant_id, merchant_id, community_id),
    ).rowcount
    if done:
        conn.execute(
            "update communities.member set left_at = greatest(joined_at, %s)"
            " where tenant_id = %s and merchant_id = %s and community_id = %s and left_at is null",
            (now, tenant_id, merchant_id, community_id),
        )
    return done == 1


def find(conn: Connection, tenant_id: str, merchant_id: str, community_id: str) -> Community:
    """A community of a shop.

    Raises:
        CommunityUnknownError: There is none, or it is another shop's.
    """
    with conn.cursor(row_factory=class_row(Community)) as cursor:
        found = cursor.execute(
            f"{_SELECT} and merchant_id = %(merchant)s and community_id = %(community)s".encode(),
            {"tenant": tenant_id, "merchant": merchant_id, "community": community_id},
        ).fetchone()
    if found is None:
        raise CommunityUnknownError(f"there is no community {community_id!r} of shop {merchant_id!r}")
    return found


def page(
    conn: Connection, tenant_id: str, merchant_id: str | None, *, after: tuple[str, str], limit: int
) -> list[Community]:
    """Communities by id and shop after the given ones, of a shop or of all."""
    with conn.cursor(row_factory=class_row(Community)) as cursor:
        return cursor.execute(
            f"{_SELECT} and (community_id, merchant_id) > (%(after)s, %(after_shop)s)"
            " and (%(merchant)s::text is null or merchant_id = %(merchant)s)"
            " order by community_id, merchant_id limit %(limit)s".encode(),
            {
                "tenant": tenant_id,
                "merchant": merchant_id,
                "after": after[0],
                "after_shop": after[1],
                "limit": limit,
            },
        ).fetchall()


def join(
    conn: Connection,
    tenant_id: str,
    merchant_id: str,
    community_id: str,
    consumer_id: str,
    via: str,
    now: datetime,
) -> bool:
    """A consumer who agreed is in a community from now on.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        merchant_id: The shop.
        community_id: Which of its communities.
        consumer_id: Who agreed.
        via: How the consumer came, in a word.
        now: Business time.

    Returns:
        Whether it is new.

    Raises:
        CommunityUnknownError: There is none.
        CommunityClosedError: It is closed.
        ConsumerErasedError: The consumer was erased.
    """
    require_not_erased(conn, tenant_id, consumer_id, "nobody joins under this id any more")
    _require_open(conn, tenant_id, merchant_id, community_id)
    return (
        conn.execute(
            "insert into communities.member (tenant_id, merchant_id, community_id, consumer_id, joined_at,"
            " via) values (%s, %s, %s, %s, %s, %s) on conflict"
            " (tenant_id, merchant_id, community_id, consumer_id) where left_at is null do nothing",
            (tenant_id, merchant_id, community_id, consumer_id, now, via),
        ).rowcount
        == 1
    )


def leave(
    conn: Connection, tenant_id: str, merchant_id: str, community_id: str, consumer_id: str, now: datetime
) -> None:
    """A member leaves.

    Raises:
        CommunityUnknownError: The consumer is no member.
    """
    done = conn.execute(
        "update communities.member set left_at = greatest(joined_at, %s)"
        " where tenant_id = %s and merchant_id = %s and community_id = %s and consumer_id = %s"
        " and left_at is null",
        (now, tenant_id, merchant_id, community_id, consumer_id),
    ).rowcount
    if not done:
        raise CommunityUnknownError(f"consumer {consumer_id!r} is no member of community {community_id!r}")


def is_member(
    conn: Connection, tenant_id: str, merchant_id: str, community_id: str, consumer_id: str
) -> bool:
    """Whether a consumer is in a community now."""
    row = conn.execute(
        "select 1 from communities.member where tenant_id = %s and merchant_id = %s and community_id = %s"
        " and consumer_id = %s and left_at is null",
        (tenant_id, merchant_id, community_id, consumer_id),
    )
    return row.fetchone() is not None


def members(
    conn: Connection, tenant_id: str, community: Community, now: datetime, *, after: str, limit: int
) -> list[Member]:
    """Members now by id after the given one, with what they did in the shop in the last 90 days."""
    with conn.cursor(row_factory=class_row(Member)) as cursor:
        return cursor.execute(
            _MEMBERS,
            {
                "tenant": tenant_id,
                "community": community.community_id,
                "merchant": community.merchant_id,
                "since": now - WINDOW,
                "now": now,
                "after": after,
                "limit": limit,
            },
        ).fetchall()


def plan_activity(
    conn: Connection,
    tenant_id: str,
    merchant_id: str,
    community_id: str,
    activity: Activity,
    by: str,
    now: datetime,
) -> bool:
    """Put something into the calendar of a community.

    Returns:
        Whether it is new.

    Raises:
        CommunityClosedError: The community is closed.
        CommunityConflictError: The id stands for something else.
        ForbiddenWordsError: Title or content say what advertisements must not say.
    """
    _require_open(conn, tenant_id, merchant_id, community_id)
    for name, text in (("title", activity.title), ("content", activity.content)):
        if hits := forbidden(text):
            raise ForbiddenWordsError(f"{name}: {'; '.join(map(str, hits))}")
    values = (activity.title, activity.content, activity.tag, activity.starts_at, activity.ends_at)
    made = conn.execute(
        "insert into communities.activity (tenant_id, merchant_id, community_id, activity_id, title, content,"
        " tag, starts_at, ends_at, made_by, made_at)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
        (tenant_id, merchant_id, community_id, activity.activity_id, *values, by, now),
    ).rowcount
    if not made:
        kept = conn.execute(
            "select title, content, tag, starts_at, ends_at from communities.activity"
            " where tenant_id = %s and merchant_id = %s and community_id = %s and activity_id = %s",
            (tenant_id, merchant_id, community_id, activity.activity_id),
        ).fetchone()
        if kept != values:
            raise CommunityConflictError(
                f"activity {activity.activity_id!r} says something else; give this one its own id"
            )
    return made == 1


def calendar(
    conn: Connection,
    tenant_id: str,
    merchant_id: str,
    community_id: str,
    first: datetime,
    last: datetime,
    tag: str | None,
) -> Sequence[Activity]:
    """What a community has between two moments, by start; its promotions in force among it.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        merchant_id: The shop.
        community_id: Which of its communities.
        first: What ends after it.
        last: What starts before it.
        tag: Only of this kind; a promotion's is `promotion`.
    """
    with conn.cursor(row_factory=class_row(Activity)) as cursor:
        return cursor.execute(
            _CALENDAR,
            {
                "tenant": tenant_id,
                "merchant": merchant_id,
                "community": community_id,
                "first": first,
                "last": last,
                "tag": tag,
            },
        ).fetchall()


def _require_open(conn: Connection, tenant_id: str, merchant_id: str, community_id: str) -> None:
    locks.community_stays(conn, tenant_id, merchant_id, community_id)
    if find(conn, tenant_id, merchant_id, community_id).closed_at is not None:
        raise CommunityClosedError(f"community {community_id!r} is closed")


_MEMBERS: LiteralString = """
select m.consumer_id, m.joined_at, m.via, o.orders, t.texts, o.spent_cents
from communities.member m
cross join lateral (
    select count(*) as orders, coalesce(sum(captured_cents - refunded_cents), 0)::bigint as spent_cents
    from orders.customer_order o where o.tenant_id = m.tenant_id and o.consumer_id = m.consumer_id
        and o.merchant_id = %(merchant)s and o.paid_at > %(since)s and o.paid_at <= %(now)s
        and o.status <> 'refunded') o
cross join lateral (
    select count(*) as texts from feedback.message f where f.tenant_id = m.tenant_id
        and f.consumer_id = m.consumer_id and f.merchant_id = %(merchant)s
        and f.occurred_at > %(since)s and f.occurred_at <= %(now)s) t
where m.tenant_id = %(tenant)s and m.merchant_id = %(merchant)s and m.community_id = %(community)s
    and m.left_at is null and m.consumer_id > %(after)s order by m.consumer_id limit %(limit)s
"""
_CALENDAR: LiteralString = """
select * from (
    select activity_id, title, content, tag, starts_at, ends_at, null as promotion_id
    from communities.activity where tenant_id = %(tenant)s and merchant_id = %(merchant)s
        and community_id = %(community)s
    union all
    select promotion_id, title, kind, 'promotion', starts_at, ends_at, promotion_id
    from promotions.promotion where tenant_id = %(tenant)s and merchant_id = %(merchant)s
        and community_id = %(community)s and status = 'active'
) a
where ends_at > %(first)s and starts_at < %(last)s and (%(tag)s::text is null or tag = %(tag)s)
order by starts_at, activity_id limit 500
"""
