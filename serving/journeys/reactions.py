"""Orders and visits of consumers: recorded by the API, brought by a shop's feeds, or made up by a replay.

A shop whose orders come by files only has no order in the operational database: what its feeds tell is taken
in here, with every run, and counts like what the API recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, LiteralString, NamedTuple

import psycopg

from serving.consumers.erased import hold_erasures
from serving.db import locks

Connection = psycopg.Connection[Any]
Source = Literal["feed", "simulated"]

ORDERS: LiteralString = """(
    select tenant_id, consumer_id, paid_at as at from orders.customer_order
    where paid_at is not null and status not in ('cancelled', 'refunded')
    union all
    select tenant_id, consumer_id, occurred_at from journeys.reaction where kind = 'order' and stands)"""
"""Orders that stand: tenant_id, consumer_id, at. An order that both know is there twice: ask for any."""
VISITS: LiteralString = """(
    select tenant_id, consumer_id, occurred_at as at from events.event
    where sku_id is not null
        and event_type in ('view', 'favourite', 'add_to_cart', 'remove_from_cart', 'checkout')
    union all
    select tenant_id, consumer_id, occurred_at from journeys.reaction where kind = 'visit' and stands)"""
"""Visits: tenant_id, consumer_id, at."""

LEADS_TO = timedelta(days=7)
"""An order so soon after a delivered message is what it led to; the last message before the order has it."""


class Reaction(NamedTuple):
    """An order or a visit.

    Attributes:
        reaction_id: Its name in its source.
        consumer_id: Whose.
        kind: What it was.
        occurred_at: When.
    """

    reaction_id: str
    consumer_id: str
    kind: Literal["order", "visit"]
    occurred_at: datetime


def take_in(
    conn: Connection,
    tenant_id: str,
    source: Source,
    reactions: Sequence[Reaction],
    *,
    since: datetime | None = None,
    about: Sequence[str] = (),
) -> int:
    """Keep what a source tells; runs of these consumers are looked at with the next tick.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        source: Who tells it.
        reactions: One may be told again.
        since: The source told everything from this moment on about the consumers of `about`: what it does
            not tell any more was cancelled or refunded, and does not stand; None: there may be more.
        about: These consumers.

    Returns:
        How many are new, or changed.
    """
    hold_erasures(conn)
    locks.journeys(conn, tenant_id)
    values = {
        "tenant": tenant_id,
        "source": source,
        "ids": [one.reaction_id for one in reactions],
        "consumers": [one.consumer_id for one in reactions],
        "kinds": [one.kind for one in reactions],
        "times": [one.occurred_at for one in reactions],
        "since": since,
        "about": list(about),
    }
    new = conn.execute(_TAKE, values).fetchall()
    gone = conn.execute(_WITHDRAW, values).rowcount if since is not None else 0
    if new:
        conn.execute(
            _WAKE,
            {"tenant": tenant_id, "consumers": [row[0] for row in new], "times": [row[1] for row in new]},
        )
    return len(new) + gone


def mark_conversions(conn: Connection, tenant_id: str, now: datetime) -> int:
    """Note on delivered messages of the last 60 days the order that each led to; one that fell is taken back.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        now: Business time.

    Returns:
        Messages whose note changed.
    """
    hold_erasures(conn)
    locks.journeys(conn, tenant_id)
    values = {"tenant": tenant_id, "now": now, "within": LEADS_TO, "since": now - timedelta(days=60)}
    return conn.execute(_CONVERTED, values).rowcount


# Nobody who was erased comes in again with a feed.
_TAKE: LiteralString = """
insert into journeys.reaction as r (tenant_id, source, reaction_id, consumer_id, kind, occurred_at, stands)
select distinct on (t.kind, t.id) %(tenant)s, %(source)s, t.id, t.consumer_id, t.kind, t.at, true
from unnest(%(ids)s::text[], %(consumers)s::text[], %(kinds)s::text[], %(times)s::timestamptz[])
    as t (id, consumer_id, kind, at)
where not exists (select from consumers.erasure e where e.tenant_id = %(tenant)s
    and e.consumer_digest = consumers.digest(%(tenant)s, t.consumer_id))
order by t.kind, t.id
on conflict (tenant_id, source, kind, reaction_id) do update
set consumer_id = excluded.consumer_id, occurred_at = excluded.occurred_at, stands = true
where (r.consumer_id, r.occurred_at, r.stands)
    is distinct from (excluded.consumer_id, excluded.occurred_at, true)
returning r.consumer_id, r.occurred_at
"""
_WITHDRAW: LiteralString = """
update journeys.reaction r set stands = false
where r.tenant_id = %(tenant)s and r.source = %(source)s and r.stands and r.occurred_at >= %(since)s
    and r.consumer_id = any(%(about)s)
    and not exists (select from unnest(%(ids)s::text[], %(kinds)s::text[]) as t (id, kind)
        where t.id = r.reaction_id and t.kind = r.kind)
"""
_WAKE: LiteralString = """
update journeys.run r set due_at = least(r.due_at, t.at)
from (select consumer_id, max(at) as at
    from unnest(%(consumers)s::text[], %(times)s::timestamptz[]) as t (consumer_id, at) group by 1) t
where r.tenant_id = %(tenant)s and r.consumer_id = t.consumer_id and r.due_at > t.at
    and r.entered_at <= t.at
"""
_CONVERTED: LiteralString = f"""
with told as (
    select m.message_id, m.consumer_id, m.converted_at, coalesce(m.told_at, m.sent_at) as at,
        lead(coalesce(m.told_at, m.sent_at)) over (
            partition by m.consumer_id order by coalesce(m.told_at, m.sent_at), m.message_id) as next_at
    from journeys.message m
    where m.tenant_id = %(tenant)s and m.state = 'delivered' and m.sent_at >= %(since)s
), led as (
    select t.message_id, t.converted_at as known, (
        select min(o.at) from {ORDERS} o
        where o.tenant_id = %(tenant)s and o.consumer_id = t.consumer_id and o.at >= t.at
            and o.at < least(t.at + %(within)s, coalesce(t.next_at, 'infinity')) and o.at <= %(now)s) as at
    from told t
)
update journeys.message m set converted_at = led.at, xact_id = pg_current_xact_id()
from led
where m.tenant_id = %(tenant)s and m.message_id = led.message_id and led.known is distinct from led.at
"""
