"""Who enters a journey: spells in segments, events, days of the calendar. Each is assigned once.

The arm is drawn here, before anything is asked that depends on the treatment; everybody who enters has a run,
whichever arm it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, LiteralString, NamedTuple

import psycopg

from serving.consumers.erased import hold_erasures
from serving.db import locks
from serving.db.calendar import local_day, zone_of
from serving.journeys.assignment import arm_of
from serving.journeys.definition.steps import (
    CalendarEntry,
    EventEntry,
    Journey,
    ReminderEntry,
    SegmentEntry,
)
from serving.journeys.reactions import ORDERS
from serving.journeys.versions import Version, live
from serving.scores.queries import current_snapshot

Connection = psycopg.Connection[Any]

LOOK_BACK = timedelta(days=2)
"""How long ago an event may lie by which somebody enters: older news is none."""

BATCH = 1_000
"""Runs that begin with one statement: one for all of a crowd looks through what it wrote itself, again and
again, where the planner has not seen the table grow."""


class Candidate(NamedTuple):
    """Somebody who may enter.

    Attributes:
        consumer_id: Who.
        spell: What makes it this entry and no other: the day of the segment, the event, the day.
    """

    consumer_id: str
    spell: str


def enter_due(conn: Connection, tenant_id: str, now: datetime) -> Counter[str]:
    """Let everybody enter whom a live journey is for now.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        now: Business time.

    Returns:
        New runs by journey.
    """
    hold_erasures(conn)
    locks.journeys(conn, tenant_id)
    entered: Counter[str] = Counter()
    for version in live(conn, tenant_id):
        found = candidates(conn, tenant_id, version.journey, version.live_at, now)
        entered[version.journey.journey_id] += enter(conn, tenant_id, version, found, now)
    return +entered


def candidates(
    conn: Connection, tenant_id: str, journey: Journey, since: datetime | None, now: datetime
) -> list[Candidate]:
    """Whom a journey is for now, by id; whoever is in it already may be among them.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        journey: What it says.
        since: When it came into force: what lies before is no entry; None: whatever is recent.
        now: Business time.
    """
    zone = zone_of(conn, tenant_id)
    more: dict[str, object] = {}
    match journey.entry:
        case SegmentEntry(segment=segment):
            query, more = _ENTERED, {"segment": segment}
        case EventEntry(event="order"):
            query = _ORDERED
        case EventEntry(event=event, without=without):
            query = _DID if without is None else _DID_NOT_ORDER
            more = {"types": ["add_to_cart"] if event == "cart_add" else _VISITS}
        case CalendarEntry(segment=segment, weekday=weekday, hour=hour):
            local = now.astimezone(zone)
            if (local.isoweekday(), local.hour) != (weekday, hour):
                return []
            query, more = _MEMBERS, {"segment": segment, "day": str(local.date())}
        case ReminderEntry(least_bps=least):
            query, more = _REMINDED, {"least": least / 10_000, "day": str(local_day(now, zone))}
    after = journey.entry.after_minutes if isinstance(journey.entry, EventEntry) else 0
    rows = conn.execute(
        query,
        {
            "tenant": tenant_id,
            "until": now - timedelta(minutes=after),
            "now": now,
            "since": max(now - LOOK_BACK - timedelta(minutes=after), since or now - LOOK_BACK),
            **more,
        },
    )
    return [Candidate(*row) for row in rows.fetchall()]


def enter(
    conn: Connection,
    tenant_id: str,
    version: Version,
    found: Sequence[Candidate],
    now: datetime,
    *,
    source: Literal["live", "simulated"] = "live",
) -> int:
    """Assign those who are not in the journey and were not lately.

    Args:
        conn: Inside a transaction of the tenant that holds `hold_erasures` and `locks.journeys`.
        tenant_id: The tenant.
        version: The version in force.
        found: Who may enter.
        now: Business time.
        source: `simulated` marks runs that a replay makes up.

    Returns:
        How many runs are new.
    """
    journey = version.journey
    day = local_day(now, zone_of(conn, tenant_id))
    spells = dict(found)
    arms = {
        consumer_id: arm_of(
            tenant_id,
            journey.journey_id,
            consumer_id,
            day,
            journey.control_bps,
            marketing=journey.purpose == "marketing",
        )
        for consumer_id in sorted(spells)
    }
    new = 0
    for some in _batched(arms, BATCH):
        done = conn.execute(
            _ENTER,
            {
                "tenant": tenant_id,
                "journey": journey.journey_id,
                "version": version.version,
                "now": now,
                "first": journey.steps[0].id,
                "again": now - timedelta(days=journey.again_after_days),
                "consumers": some,
                "spells": [spells[consumer_id] for consumer_id in some],
                "arms": [arms[consumer_id].value for consumer_id in some],
                "source": source,
            },
        )
        new += done.rowcount
    return new


def _batched(names: Iterable[str], size: int) -> Iterator[list[str]]:
    everybody = list(names)
    for first in range(0, len(everybody), size):
        yield everybody[first : first + size]


_VISITS = ["view", "favourite", "add_to_cart", "remove_from_cart", "checkout"]
_ENTER: LiteralString = """
insert into journeys.run
    (tenant_id, journey_id, version, consumer_id, spell, arm, entered_at, step, arrived_at, due_at,
    source)
select %(tenant)s, %(journey)s, %(version)s, c.consumer_id, c.spell, c.arm, %(now)s, %(first)s,
    %(now)s, %(now)s, %(source)s
from unnest(%(consumers)s::text[], %(spells)s::text[], %(arms)s::text[]) as c (consumer_id, spell, arm)
where not exists (
        select from journeys.run r where r.tenant_id = %(tenant)s and r.consumer_id = c.consumer_id
            and r.journey_id = %(journey)s and (r.ended_at is null or r.entered_at > %(again)s))
    and not exists (
        select from consumers.erasure e where e.tenant_id = %(tenant)s
            and e.consumer_digest = consumers.digest(%(tenant)s, c.consumer_id))
order by c.consumer_id
on conflict (tenant_id, journey_id, consumer_id, spell) do nothing
"""
_ENTERED: LiteralString = f"""
select m.consumer_id, m.segment || ':' || m.entered_on from scores.segment_members m
where m.snapshot_id = {current_snapshot("segment_members")} and m.segment = %(segment)s and m.left_on is null
    and m.entered_on between (%(since)s::timestamptz - interval '1 day')::date
        and (%(now)s::timestamptz + interval '1 day')::date
order by 1
"""
_MEMBERS: LiteralString = f"""
select m.consumer_id, %(day)s from scores.segment_members m
where m.snapshot_id = {current_snapshot("segment_members")} and m.segment = %(segment)s and m.left_on is null
order by 1
"""
# Of several kinds of goods the likeliest; whoever was in it lately does not enter by another one.
_REMINDED: LiteralString = f"""
select b.consumer_id, 'rebuy:' || (i.item ->> 'category_id') || ':' || %(day)s
from scores.rebuy_reminders b cross join lateral (
    select item from jsonb_array_elements(b.items) with ordinality as e (item, place)
    where (item ->> 'rebuy_probability')::float >= %(least)s order by place limit 1) i
where b.snapshot_id = {current_snapshot("rebuy_reminders")}
order by b.consumer_id
"""
_ORDERED: LiteralString = """
select distinct on (consumer_id) consumer_id, 'order:' || order_id from (
    select consumer_id, order_id, paid_at as at from orders.customer_order where tenant_id = %(tenant)s
    union all
    select consumer_id, reaction_id, occurred_at from journeys.reaction
    where tenant_id = %(tenant)s and kind = 'order' and stands) o
where at between %(since)s and %(until)s
order by consumer_id, at desc, order_id
"""
_DID: LiteralString = """
select distinct on (consumer_id) consumer_id, 'event:' || event_id from events.event
where tenant_id = %(tenant)s and consumer_id is not null and event_type = any(%(types)s)
    and occurred_at between %(since)s and %(until)s
order by consumer_id, occurred_at desc, event_id
"""
_DID_NOT_ORDER: LiteralString = f"""
select d.consumer_id, d.spell from (
    select distinct on (consumer_id) consumer_id, 'event:' || event_id as spell, occurred_at from events.event
    where tenant_id = %(tenant)s and consumer_id is not null and event_type = any(%(types)s)
        and occurred_at between %(since)s and %(now)s
    order by consumer_id, occurred_at desc, event_id) d
where d.occurred_at <= %(until)s and not exists (
    select from orders.customer_order o where o.tenant_id = %(tenant)s and o.consumer_id = d.consumer_id
        and o.placed_at >= d.occurred_at and o.placed_at <= %(now)s)
    and not exists (
    select from {ORDERS} o where o.tenant_id = %(tenant)s and o.consumer_id = d.consumer_id
        and o.at >= d.occurred_at and o.at <= %(now)s)
order by 1
"""
