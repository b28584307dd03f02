"""Agents that sold and sell no more: a task for a person, once a silence. No run, no message, no consumer.

Who is silent is told by the published reviews (`party_reviews`): active, with an order in an earlier month,
and without one in the newest month that is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString

import psycopg

from serving.db import locks
from serving.journeys.engine.ticking import policy_of
from serving.scores.queries import current_snapshot

Connection = psycopg.Connection[Any]

JOURNEY = "dormant_agent"
"""What such tasks stand under, where a journey asks for the others."""
WITHIN = timedelta(days=1)
"""A person should claim one by then, in opening hours."""
MOST_OPEN = 50
"""Tasks of this kind that are open at once: those whose silence costs most come first."""

_REVIEWS: Final[LiteralString] = f"""
newest as (
  select r.* from scores.party_reviews r
  where r.snapshot_id = {current_snapshot("party_reviews")} and r.party_type = 'agent' and r.is_whole
    and r.month_start_on = (select max(m.month_start_on) from scores.party_reviews m
      where m.snapshot_id = {current_snapshot("party_reviews")} and m.is_whole))
"""
_ASK: Final[LiteralString] = f"""
with {_REVIEWS},
worth as (
  select party_id, sum(coalesce(margin_cents, net_sales_cents)) as cents from scores.party_reviews
  where snapshot_id = {current_snapshot("party_reviews")} and party_type = 'agent' group by party_id),
silent as (
  select n.party_id,
    to_char(n.month_start_on - make_interval(months => n.quiet_months::int), 'YYYY-MM') as since,
    coalesce(w.cents, 0) as cents
  from newest n left join worth w using (party_id) where n.is_active and n.quiet_months > 0)
insert into journeys.task (tenant_id, step, journey_id, agent_id, title, sku_ids, asked_at, due_at, state)
select %(tenant)s, s.since, %(journey)s, s.party_id,
  'Sold nothing since ' || s.since || ': ask what is missing', array[]::text[], %(now)s, %(due)s, 'open'
from silent s
where not exists (select from journeys.task t where t.tenant_id = %(tenant)s and t.agent_id = s.party_id
  and (t.step >= s.since or t.state in ('open', 'claimed')))
order by s.cents desc, s.party_id
limit greatest(0, %(most)s - (select count(*) from journeys.task t where t.tenant_id = %(tenant)s
  and t.journey_id = %(journey)s and t.state in ('open', 'claimed')))
"""
# Nobody is asked to wake who sells again, or who is no agent any more.
_DROP: Final[LiteralString] = f"""
with {_REVIEWS}
update journeys.task t set state = 'dropped', ended_at = %(now)s,
  outcome = case when n.is_active then 'sells_again' else 'closed' end
from journeys.task o left join newest n on n.party_id = o.agent_id
where (t.tenant_id, t.task_id) = (o.tenant_id, o.task_id) and t.tenant_id = %(tenant)s
  and t.journey_id = %(journey)s and t.state = 'open' and exists (select from newest)
  and (n.party_id is null or not n.is_active or n.quiet_months = 0)
"""


@dataclass(frozen=True)
class Silences:
    """What a look found.

    Attributes:
        asked: New tasks.
        dropped: Open tasks whose agent sells again, or is none any more.
    """

    asked: int
    dropped: int


def look_after_agents(conn: Connection, tenant_id: str, now: datetime) -> Silences:
    """Make the tasks about agents that fell silent, and drop the open ones about those who sell again.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        now: Business time.
    """
    locks.journeys(conn, tenant_id)
    known = {"tenant": tenant_id, "now": now, "journey": JOURNEY}
    dropped = conn.execute(_DROP, known).rowcount
    due = policy_of(conn, tenant_id).quiet.open_from(now) + WITHIN
    asked = conn.execute(_ASK, known | {"due": due, "most": MOST_OPEN}).rowcount
    return Silences(asked, dropped)
