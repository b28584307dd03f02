"""How communities fare by week: members, what they order and write, what their promotions cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row

from serving.settlement.books.refunds import FREE_UNITS_KEPT

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Week:
    """A community in one local week, Monday to Sunday; the running one counts up to now.

    Attributes:
        community_id: The community.
        merchant_id: Its shop.
        title: Its title.
        week_on: The Monday.
        members: Members at the end.
        joined: Stays that began.
        left_members: Stays that ended.
        active_members: Members who had an order paid, or wrote.
        orders: Orders of members in the shop that were paid in the week and stand.
        net_sales_cents: What they brought less refunds and freight, fen.
        margin_cents: The same less supply prices of what was not refunded, fen.
        promotion_orders: Of them, those of promotions of the community.
        promotion_cost_cents: What those promotions took off, fen, whoever bears it.
        texts: Texts of members in the week.
        complaints: Of them, those that blame.
    """

    community_id: str
    merchant_id: str
    title: str
    week_on: date
    members: int
    joined: int
    left_members: int
    active_members: int
    orders: int
    net_sales_cents: int
    margin_cents: int
    promotion_orders: int
    promotion_cost_cents: int
    texts: int
    complaints: int


def weeks_of(
    conn: Connection,
    tenant_id: str,
    zone: str,
    now: datetime,
    weeks: int,
    only: tuple[str, str] | None = None,
) -> list[Week]:
    """Communities by week, the newest first; weeks before a community was made are left out.

    An order or a text counts where its consumer was a member at that moment. Orders that came by files only
    are not in here.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        zone: IANA name of the zone whose weeks count.
        now: Business time.
        weeks: How many, the running one among them.
        only: Shop and id of the one that is asked for; None: all.
    """
    with conn.cursor(row_factory=class_row(Week)) as cursor:
        return cursor.execute(
            _WEEKS,
            {
                "tenant": tenant_id,
                "zone": zone,
                "now": now,
                "back": timedelta(weeks=weeks - 1),
                "merchant": only and only[0],
                "community": only and only[1],
            },
        ).fetchall()


_WEEKS: LiteralString = f"""
with week as (
    select w::date as week_on, w at time zone %(zone)s as starts_at,
        (w + interval '7 days') at time zone %(zone)s as ends_at
    from generate_series(date_trunc('week', %(now)s::timestamptz at time zone %(zone)s) - %(back)s,
        date_trunc('week', %(now)s::timestamptz at time zone %(zone)s), interval '7 days') w
), asked as (
    select c.*, w.* from communities.community c cross join week w
    where c.tenant_id = %(tenant)s and c.made_at < w.ends_at and (%(community)s::text is null
        or c.merchant_id = %(merchant)s and c.community_id = %(community)s)
), sold as (
    select a.merchant_id, a.community_id, a.week_on, o.consumer_id, o.order_id,
        o.captured_cents - o.freight_cents - l.refunded_cents as net_cents, l.supply_cents,
        p.promotion_id is not null as is_promoted,
        case when p.promotion_id is null then 0 else r.discount_cents end as cost_cents
    from asked a
    join orders.customer_order o on o.tenant_id = a.tenant_id and o.merchant_id = a.merchant_id
        and o.paid_at >= a.starts_at and o.paid_at < a.ends_at and o.status not in ('cancelled', 'refunded')
    cross join lateral (
        select sum(l.refunded_cents)::bigint as refunded_cents,
            coalesce(sum(case
                when l.net_paid_cents > 0
                    then l.supply_price_cents * (l.net_paid_cents - l.refunded_cents) / l.net_paid_cents
                else l.supply_price_cents * {FREE_UNITS_KEPT} / l.qty end), 0)::bigint as supply_cents
        from orders.order_line l where l.tenant_id = o.tenant_id and l.order_id = o.order_id) l
    left join promotions.claim k on k.tenant_id = o.tenant_id and k.order_id = o.order_id
        and k.state = 'taken'
    left join promotions.promotion p on p.tenant_id = k.tenant_id and p.promotion_id = k.promotion_id
        and p.merchant_id = a.merchant_id and p.community_id = a.community_id
    left join coupons.redemption r on r.tenant_id = o.tenant_id and r.order_id = o.order_id
        and r.code = p.code
    where exists (select from communities.member m where m.tenant_id = a.tenant_id
        and m.merchant_id = a.merchant_id and m.community_id = a.community_id
        and m.consumer_id = o.consumer_id
        and m.joined_at <= o.paid_at and (m.left_at is null or m.left_at > o.paid_at))
), wrote as (
    select a.merchant_id, a.community_id, a.week_on, f.consumer_id, f.sentiment = 'negative' as blames
    from asked a
    join feedback.message f on f.tenant_id = a.tenant_id and f.merchant_id = a.merchant_id
        and f.occurred_at >= a.starts_at and f.occurred_at < a.ends_at
    where exists (select from communities.member m where m.tenant_id = a.tenant_id
        and m.merchant_id = a.merchant_id and m.community_id = a.community_id
        and m.consumer_id = f.consumer_id
        and m.joined_at <= f.occurred_at and (m.left_at is null or m.left_at > f.occurred_at))
)
select a.community_id, a.merchant_id, a.title, a.week_on, s.members, s.joined, s.left_members,
    (select count(*) from (
        select consumer_id from sold where (sold.merchant_id, sold.community_id, sold.week_on)
            = (a.merchant_id, a.community_id, a.week_on)
        union select consumer_id from wrote where (wrote.merchant_id, wrote.community_id, wrote.week_on)
            = (a.merchant_id, a.community_id, a.week_on)) u) as active_members,
    o.orders, o.net_sales_cents, o.margin_cents, o.promotion_orders, o.promotion_cost_cents,
    t.texts, t.complaints
from asked a
cross join lateral (
    select count(*) filter (where m.joined_at < a.ends_at
            and (m.left_at is null or m.left_at >= a.ends_at)) as members,
        count(*) filter (where m.joined_at >= a.starts_at and m.joined_at < a.ends_at) as joined,
        count(*) filter (where m.left_at >= a.starts_at and m.left_at < a.ends_at) as left_members
    from communities.member m where m.tenant_id = a.tenant_id and m.merchant_id = a.merchant_id
        and m.community_id = a.community_id) s
cross join lateral (
    select count(*) as orders, coalesce(sum(net_cents), 0)::bigint as net_sales_cents,
        coalesce(sum(net_cents - supply_cents), 0)::bigint as margin_cents,
        count(*) filter (where is_promoted) as promotion_orders,
        coalesce(sum(cost_cents), 0)::bigint as promotion_cost_cents
    from sold where (sold.merchant_id, sold.community_id, sold.week_on)
        = (a.merchant_id, a.community_id, a.week_on)) o
cross join lateral (
    select count(*) as texts, count(*) filter (where blames) as complaints
    from wrote where (wrote.merchant_id, wrote.community_id, wrote.week_on)
        = (a.merchant_id, a.community_id, a.week_on)) t
order by a.week_on desc, a.community_id, a.merchant_id
"""
