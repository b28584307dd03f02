"""What became of the runs of a journey, one by one: the ground of every table of effects."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, LiteralString, NamedTuple

import psycopg

from serving.journeys.definition.steps import Journey
from serving.journeys.reactions import ORDERS, VISITS

Connection = psycopg.Connection[Any]

MESSAGE_CENTS = {"sms": 5, "wecom": 0, "mini_program": 0, "email": 0}
"""What a message costs that went out, fen; assumed. `MUYUN_MESSAGE_CENTS` says otherwise."""


def costs_of(stated: Mapping[str, int]) -> dict[str, int]:
    """What a message costs by channel, fen: as stated, else as assumed."""
    return MESSAGE_CENTS | dict(stated)


class Lived(NamedTuple):
    """A run.

    Attributes:
        consumer_id: Who.
        arm: Treated, control or universal.
        source: `live`, or `simulated` by a replay.
        entered_at: When it was assigned.
        is_ripe: It was assigned at least `goal_days` ago, so that the verdict counts it.
        reached: The goal was reached in time.
        sent: Messages that went out.
        delivered: Of them, those that came.
        failed: Of them, those that did not.
        clicked: Of them, those whose link was opened.
        opted_out: Of them, those after which the consumer wanted no more.
        cost_cents: What they cost, fen.
    """

    consumer_id: str
    arm: str
    source: str
    entered_at: datetime
    is_ripe: bool
    reached: bool
    sent: int
    delivered: int
    failed: int
    clicked: int
    opted_out: int
    cost_cents: int


def lived(
    conn: Connection, tenant_id: str, journey: Journey, costs: Mapping[str, int], now: datetime
) -> list[Lived]:
    """Runs of all versions of a journey, oldest first.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        journey: The version whose goal counts.
        costs: What a message costs by channel, fen.
        now: Business time.
    """
    window = timedelta(days=journey.goal_days)
    rows = conn.execute(
        _ORDERED if journey.goal == "order" else _VISITED,
        {
            "tenant": tenant_id,
            "journey": journey.journey_id,
            "now": now,
            "window": window,
            "channels": list(costs),
            "costs": list(costs.values()),
        },
    )
    return [Lived(*row) for row in rows]


def ways(conn: Connection, tenant_id: str) -> list[tuple[str, int, str, str, str, str, int]]:
    """How many runs went which way: journey, version, arm, step, next step, why it ended, runs."""
    return conn.execute(
        "select journey_id, version, arm, step, next_step, reason, sum(runs)::bigint from journeys.passage"
        " where tenant_id = %s group by 1, 2, 3, 4, 5, 6 order by 1, 2, 3, 4, 5, 6",
        (tenant_id,),
    ).fetchall()


_LIVED: LiteralString = """
select r.consumer_id, r.arm, r.source, r.entered_at, r.entered_at <= %(now)s - %(window)s,
    exists (select from {source} o where o.tenant_id = r.tenant_id and o.consumer_id = r.consumer_id
        and o.at >= r.entered_at and o.at < r.entered_at + %(window)s and o.at <= %(now)s),
    coalesce(m.sent, 0), coalesce(m.delivered, 0), coalesce(m.failed, 0), coalesce(m.clicked, 0),
    coalesce(m.opted_out, 0), coalesce(m.cost, 0)::bigint
from journeys.run r
left join (
    select l.run_id, count(*) as sent, count(*) filter (where l.state = 'delivered') as delivered,
        count(*) filter (where l.state = 'failed') as failed, count(l.clicked_at) as clicked,
        count(l.opted_out_at) as opted_out, sum(c.cents) as cost
    from journeys.message l
    left join unnest(%(channels)s::text[], %(costs)s::bigint[]) as c (channel, cents) using (channel)
    where l.tenant_id = %(tenant)s and l.journey_id = %(journey)s and l.sent_at <= %(now)s
    group by l.run_id
) m using (run_id)
where r.tenant_id = %(tenant)s and r.journey_id = %(journey)s and r.entered_at <= %(now)s
order by r.run_id
"""
_ORDERED: LiteralString = _LIVED.replace("{source}", ORDERS)
_VISITED: LiteralString = _LIVED.replace("{source}", VISITS)
