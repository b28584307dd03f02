"""Whether the outbox kept the rules: counted over what went out, by other words than those of the guards.

Cap, quiet hours, consent, opt-out, hold-outs of channels and double sends are counted from the times at which
messages really went out and from what was known then. 0 everywhere, or the engine has a fault.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, LiteralString

import psycopg

from serving.channel_tests.records import is_drawn
from serving.db.calendar import zone_of

Connection = psycopg.Connection[Any]


def count(conn: Connection, tenant_id: str, since: datetime, until: datetime) -> dict[str, int]:
    """How many messages that went out broke each rule.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        since: Messages that went out from then on are judged.
        until: Up to then.
    """
    values = {
        "tenant": tenant_id,
        "since": since,
        "until": until,
        "zone": str(zone_of(conn, tenant_id)),
    }
    found = {}
    for name, query in _RULES.items():
        row = conn.execute(query, values).fetchone()
        found[name] = int(row[0]) if row else 0
    found["channel_held_out"] = sum(
        is_drawn(tenant_id, test_id, share, consumer_id)
        for test_id, share, consumer_id in conn.execute(_TESTED, values)
    )
    return found


_OUT: LiteralString = """
    from journeys.message m where m.tenant_id = %(tenant)s and m.sent_at between %(since)s and %(until)s
"""
# The cap as windows that end with each message: so many before it, itself included.
_CAP: LiteralString = """
select count(*) from (
    select sent_at,
        count(*) over (partition by consumer_id order by sent_at
            range between interval '23:59:59.999999' preceding and current row) as day,
        count(*) over (partition by consumer_id order by sent_at
            range between interval '167:59:59.999999' preceding and current row) as week,
        count(*) over (partition by consumer_id order by sent_at
            range between interval '719:59:59.999999' preceding and current row) as month
    from journeys.message
    where tenant_id = %(tenant)s and purpose = 'marketing' and sent_at is not null
        and sent_at between %(since)s::timestamptz - interval '30 days' and %(until)s) w
where sent_at >= %(since)s and (day > 1 or week > 2 or month > 6)
"""
_QUIET: LiteralString = f"""
select count(*) {_OUT}
    and not (m.sent_at at time zone %(zone)s)::time between time '09:00' and time '20:59:59.999999'
"""
# What was said and had come in before the message went out; a later word says nothing about it.
_CONSENT: LiteralString = f"""
select count(*) {_OUT} and m.purpose = 'marketing' and not coalesce((
    select c.granted from consumers.consent c
    where c.tenant_id = m.tenant_id and c.consumer_id = m.consumer_id and c.purpose = 'marketing'
        and c.stated_at <= m.sent_at and c.received_at < m.sent_at
    order by c.stated_at desc limit 1), true)
"""
_OPTED_OUT: LiteralString = f"""
select count(*) {_OUT} and exists (
    select from journeys.message told
    join journeys.receipt r on r.tenant_id = told.tenant_id and r.message_id = told.message_id
    where told.tenant_id = m.tenant_id and told.consumer_id = m.consumer_id and told.channel = m.channel
        and r.kind = 'opted_out' and r.fits and r.received_at < m.sent_at)
"""
# A test binds from its declaration on and until it is given up; the lot knows no pseudonym.
_TESTED: LiteralString = """
select t.test_id, t.off_share_bps, m.consumer_id
from journeys.message m join channel_tests.test t on t.tenant_id = m.tenant_id and t.channel = m.channel
where m.tenant_id = %(tenant)s and m.sent_at between %(since)s and %(until)s and m.purpose = 'marketing'
    and m.consumer_id not like 'erased-%%' and t.kind = 'holdout' and t.made_at < m.sent_at
    and (m.sent_at at time zone %(zone)s)::date >= t.starts_on
    and (m.sent_at at time zone %(zone)s)::date < t.ends_on
    and (t.stopped_at is null or t.stopped_at > m.sent_at)
"""
_TWICE: LiteralString = f"""
select coalesce(sum(copies - 1), 0) from (
    select count(*) as copies {_OUT} group by m.run_id, m.step, m.decided_at::date having count(*) > 1) d
"""
_RULES = {
    "frequency_cap": _CAP,
    "quiet_hours": _QUIET,
    "consent": _CONSENT,
    "opted_out": _OPTED_OUT,
    "sent_twice": _TWICE,
}
