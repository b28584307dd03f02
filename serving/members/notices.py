"""That members were told of being at risk: by a message of the journey that does so, or by a person."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, LiteralString

import psycopg

from serving.db import locks
from serving.members.errors import MemberUnknownError, NotAtRiskError

Connection = psycopg.Connection[Any]

JOURNEY = "level_at_risk"
"""The journey whose messages are notices; one with this name ships."""


def take_from_journeys(conn: Connection, tenant_id: str, zone: str, now: datetime) -> int:
    """Note the notices that messages of the journey were, each time of risk once.

    A message counts from when it went out, if it went out since the member is at risk and did not fail. One
    that failed after it was noted is no notice any more: who was not told is told again, or keeps the level.

    Args:
        conn: Inside a transaction of the tenant that holds `locks.members`.
        tenant_id: The tenant.
        zone: IANA name of the zone of the shops.
        now: Business time.

    Returns:
        New notices.
    """
    values = {"tenant": tenant_id, "journey": JOURNEY, "zone": zone, "now": now}
    conn.execute(_FAILED, values)
    return conn.execute(_FROM_JOURNEYS, values).rowcount


def give(conn: Connection, tenant_id: str, consumer_id: str, by: str, now: datetime) -> datetime:
    """Note that somebody told a member; the first notice of a time of risk stands.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        consumer_id: The member.
        by: Who told.
        now: Business time.

    Returns:
        When the member was told first.

    Raises:
        MemberUnknownError: The consumer is no member.
        NotAtRiskError: The member is not at risk.
    """
    locks.members(conn, tenant_id)
    row = conn.execute(
        "select at_risk_since from members.standing where tenant_id = %s and consumer_id = %s",
        (tenant_id, consumer_id),
    ).fetchone()
    if row is None:
        raise MemberUnknownError(f"consumer {consumer_id} is no member")
    if row[0] is None:
        raise NotAtRiskError(f"member {consumer_id} is not at risk: there is nothing to give notice of")
    conn.execute(
        "insert into members.notice (tenant_id, consumer_id, at_risk_since, told_at, way, told_by)"
        " values (%s, %s, %s, %s, 'person', %s) on conflict do nothing",
        (tenant_id, consumer_id, row[0], now, by),
    )
    told = conn.execute(
        "select told_at from members.notice where tenant_id = %s and consumer_id = %s and at_risk_since = %s",
        (tenant_id, consumer_id, row[0]),
    ).fetchone()
    assert told is not None
    return told[0]


def told_on(conn: Connection, tenant_id: str, zone: str) -> dict[str, date]:
    """Local day on which each member who is at risk was told of it; who was not told is missing."""
    rows = conn.execute(_TOLD, {"tenant": tenant_id, "zone": zone})
    return dict(rows.fetchall())


_FAILED: LiteralString = """
delete from members.notice n using members.standing s
where s.tenant_id = %(tenant)s and n.way = 'journey'
    and (n.tenant_id, n.consumer_id, n.at_risk_since) = (s.tenant_id, s.consumer_id, s.at_risk_since)
    and not exists (select from journeys.message m where m.tenant_id = n.tenant_id
        and m.consumer_id = n.consumer_id and m.journey_id = %(journey)s
        and m.state in ('sent', 'delivered') and m.sent_at = n.told_at)
"""
_FROM_JOURNEYS: LiteralString = """
insert into members.notice (tenant_id, consumer_id, at_risk_since, told_at, way, told_by)
select s.tenant_id, s.consumer_id, s.at_risk_since, min(m.sent_at), 'journey', %(journey)s
from members.standing s
join journeys.message m on m.tenant_id = s.tenant_id and m.consumer_id = s.consumer_id
    and m.journey_id = %(journey)s and m.state in ('sent', 'delivered') and m.sent_at <= %(now)s
    and (m.sent_at at time zone %(zone)s)::date >= s.at_risk_since
where s.tenant_id = %(tenant)s and s.at_risk_since is not null
group by 1, 2, 3
on conflict do nothing
"""
_TOLD: LiteralString = """
select s.consumer_id, (n.told_at at time zone %(zone)s)::date
from members.standing s join members.notice n using (tenant_id, consumer_id, at_risk_since)
where s.tenant_id = %(tenant)s
"""
