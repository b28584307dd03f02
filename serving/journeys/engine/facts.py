"""What is known of the consumers of runs, read set by set in the transaction that moves them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString, cast

import psycopg

from serving.channel_tests.records import held_out_among
from serving.db.calendar import local_day, zone_of
from serving.journeys.definition.steps import Channel, Reaction
from serving.journeys.reactions import ORDERS, VISITS
from serving.orders.assortment.orderable import AVAILABLE, IN_FORCE
from serving.quality.levels import STOPPED
from serving.scores.queries import current_snapshot

Connection = psycopg.Connection[Any]

LONGEST = timedelta(days=30)
"""The longest window of a cap: older messages count nowhere."""
_LATE = timedelta(days=1)
"""So long after its decision a message may have gone out, at a provider that was away."""


@dataclass(frozen=True)
class Consumers:
    """What is known of some consumers, by id; who is missing has nothing of the kind.

    Attributes:
        erased: Who was erased.
        opted_out: Channels that are not wanted.
        held_out: Channels that a test of theirs keeps away today.
        marketing: The latest word about being contacted: stated here, else as published.
        complaining: Who has an open case of after-sales.
        sent: Marketing messages of the last 30 days that went out or are about to.
        watched: The same that a control would have got, by journey and consumer.
        visits: Newest event.
        orders: Newest order that stands.
        clicks: Newest click on a message.
        segments: Published segments.
    """

    erased: frozenset[str]
    opted_out: Mapping[str, frozenset[str]]
    held_out: Mapping[str, frozenset[str]]
    marketing: Mapping[str, bool]
    complaining: frozenset[str]
    sent: defaultdict[str, list[tuple[datetime, Channel]]]
    watched: defaultdict[tuple[str, str], list[tuple[datetime, Channel]]]
    visits: Mapping[str, datetime]
    orders: Mapping[str, datetime]
    clicks: Mapping[str, datetime]
    segments: Mapping[str, frozenset[str]]

    def reactions(self, consumer_id: str, since: datetime) -> dict[Reaction, datetime]:
        """The newest reaction of each kind since a moment."""
        kinds: tuple[tuple[Reaction, Mapping[str, datetime]], ...] = (
            ("visit", self.visits),
            ("click", self.clicks),
            ("order", self.orders),
        )
        return {
            kind: newest[consumer_id]
            for kind, newest in kinds
            if consumer_id in newest and newest[consumer_id] >= since
        }


def read(
    conn: Connection, tenant_id: str, consumer_ids: Sequence[str], since: datetime, now: datetime
) -> Consumers:
    """Read what is known now.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        consumer_ids: Whom.
        since: The earliest entry of their runs: older reactions matter to nobody.
        now: Business time; what lies after it is not known.
    """
    values = {
        "tenant": tenant_id,
        "consumers": sorted(set(consumer_ids)),
        "since": since,
        "now": now,
        "month": now - LONGEST - _LATE,
    }

    def rows(query: LiteralString) -> list[tuple[Any, ...]]:
        return conn.execute(query, values).fetchall()

    sent: defaultdict[str, list[tuple[datetime, Channel]]] = defaultdict(list)
    watched: defaultdict[tuple[str, str], list[tuple[datetime, Channel]]] = defaultdict(list)
    for consumer_id, journey_id, state, at, channel in rows(_SENT):
        if state == "would_send":
            watched[journey_id, consumer_id].append((at, channel))
        else:
            sent[consumer_id].append((at, channel))
    return Consumers(
        erased=frozenset(row[0] for row in rows(_ERASED)),
        opted_out=_sets(rows(_OPTED_OUT)),
        held_out=held_out_among(conn, tenant_id, consumer_ids, local_day(now, zone_of(conn, tenant_id))),
        marketing={**dict(rows(_PUBLISHED_CONSENT)), **dict(rows(_STATED_CONSENT))},
        complaining=frozenset(row[0] for row in rows(_COMPLAINING)),
        sent=sent,
        watched=watched,
        visits=dict(rows(_VISITS)),
        orders=dict(rows(_ORDERS)),
        clicks=dict(rows(_CLICKS)),
        segments=_sets(rows(_SEGMENTS)),
    )


def listed(conn: Connection, tenant_id: str, consumer_ids: Sequence[str], most: int) -> dict[str, list[str]]:
    """Skus of the consumers' own published lists that somebody has in stock, best first.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        consumer_ids: Whose.
        most: Skus of each.
    """
    found = conn.execute(_LISTED, {"tenant": tenant_id, "consumers": list(consumer_ids), "most": most})
    return {consumer_id: cast("list[str]", skus) for consumer_id, skus in found.fetchall()}


def _sets(rows: list[tuple[Any, ...]]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for key, value in rows:
        found[key].add(value)
    return {key: frozenset(values) for key, values in found.items()}


_ERASED: LiteralString = """
select c.id from unnest(%(consumers)s::text[]) c (id) join consumers.erasure e
on e.tenant_id = %(tenant)s and e.consumer_digest = consumers.digest(%(tenant)s, c.id)
"""
_OPTED_OUT: LiteralString = """
select consumer_id, channel from journeys.opt_out
where tenant_id = %(tenant)s and consumer_id = any(%(consumers)s) and stated_at <= %(now)s
"""
_STATED_CONSENT: LiteralString = """
select distinct on (consumer_id) consumer_id, granted from consumers.consent
where tenant_id = %(tenant)s and consumer_id = any(%(consumers)s) and purpose = 'marketing'
    and stated_at <= %(now)s
order by consumer_id, stated_at desc
"""
_PUBLISHED_CONSENT: LiteralString = f"""
select consumer_id, (tags ->> 'consent_marketing')::boolean from scores.profiles
where snapshot_id = {current_snapshot("profiles")} and consumer_id = any(%(consumers)s)
    and tags ->> 'consent_marketing' in ('true', 'false')
"""
_COMPLAINING: LiteralString = """
select distinct o.consumer_id
from orders.after_sale a join orders.customer_order o using (tenant_id, order_id)
where a.tenant_id = %(tenant)s and o.consumer_id = any(%(consumers)s) and a.resolved_at is null
    and a.opened_at <= %(now)s
"""
# A message counts from when it went out; one that waits for its provider may go out at any moment.
# One look by consumer: a planner that has not seen the outbox grow would read all of it for each batch.
_SENT: LiteralString = """
select m.* from unnest(%(consumers)s::text[]) c (id) cross join lateral (
    select consumer_id, journey_id, state,
        case when state = 'waiting' then %(now)s else coalesce(sent_at, decided_at) end as at, channel
    from journeys.message
    where tenant_id = %(tenant)s and consumer_id = c.id and decided_at > %(month)s
        and purpose = 'marketing' and (state in ('waiting', 'sent', 'delivered', 'would_send')
            or state = 'failed' and sent_at is not null)
    offset 0) m
order by m.at
"""
_VISITS: LiteralString = f"""
select consumer_id, max(at) from {VISITS} v
where tenant_id = %(tenant)s and consumer_id = any(%(consumers)s) and at between %(since)s and %(now)s
group by consumer_id
"""
_ORDERS: LiteralString = f"""
select consumer_id, max(at) from {ORDERS} o
where tenant_id = %(tenant)s and consumer_id = any(%(consumers)s) and at between %(since)s and %(now)s
group by consumer_id
"""
_CLICKS: LiteralString = """
select consumer_id, max(clicked_at) from journeys.message
where tenant_id = %(tenant)s and consumer_id = any(%(consumers)s) and clicked_at between %(since)s and %(now)s
group by consumer_id
"""
_SEGMENTS: LiteralString = f"""
select consumer_id, segment from scores.segment_members
where snapshot_id = {current_snapshot("segment_members")} and consumer_id = any(%(consumers)s)
    and left_on is null
"""
# A consumer has a list at each merchant: the longest is taken, which is that of where most is known of them.
# Whether a sku can be sold is asked once, however many lists have it.
_LISTED: LiteralString = f"""
with own as (
    select distinct on (consumer_id) consumer_id, items from scores.recommendations
    where snapshot_id = {current_snapshot("recommendations")} and consumer_id = any(%(consumers)s)
    order by consumer_id, item_count desc, merchant_id
), listed as materialized (
    select own.consumer_id, i.item ->> 'sku_id' as sku_id, i.place
    from own cross join lateral jsonb_array_elements(own.items) with ordinality i (item, place)
), sold as materialized (
    select l.sku_id from (select distinct sku_id from listed) l
    where exists (
        select from orders.offer o join orders.stock s using (tenant_id, supplier_id, sku_id)
        where o.tenant_id = %(tenant)s and o.sku_id = l.sku_id and {IN_FORCE}
            and {AVAILABLE} >= o.min_order_qty)
        and not exists ({STOPPED} and b.sku_id = l.sku_id)
)
select consumer_id, (array_agg(sku_id order by place))[:%(most)s]
from listed join sold using (sku_id) group by consumer_id
"""
