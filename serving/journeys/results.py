"""What came of a journey, counted as assigned; a journey that loses stops by itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, LiteralString

import psycopg

from models.experiments.comparison import Group
from serving.journeys.assignment import Arm
from serving.journeys.definition.steps import Journey
from serving.journeys.reactions import ORDERS, VISITS
from serving.journeys.verdict import Verdict, judge
from serving.journeys.versions import live, stop

Connection = psycopg.Connection[Any]


def verdict_of(
    conn: Connection, tenant_id: str, journey: Journey, now: datetime, *, after_version: int = 0
) -> Verdict:
    """Judge a journey over all its versions; an order that was cancelled or refunded is none.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        journey: The version in force: its goal counts.
        now: Business time; who was assigned less than `goal_days` ago is not counted yet.
        after_version: Only versions above this number count.
    """
    window = timedelta(days=journey.goal_days)
    rows = conn.execute(
        _ORDERED if journey.goal == "order" else _VISITED,
        {
            "tenant": tenant_id,
            "journey": journey.journey_id,
            "after": after_version,
            "until": now - window,
            "now": now,
            "window": window,
        },
    )
    groups = {arm: Group(size, reached) for arm, size, reached in rows}
    nobody = Group(0, 0)
    return judge(groups.get(Arm.TREATED, nobody), groups.get(Arm.CONTROL, nobody), journey.control_bps)


def stop_losing(conn: Connection, tenant_id: str, now: datetime) -> list[str]:
    """Stop every live journey that loses, by its runs since it was stopped last.

    Returns:
        Their ids.
    """
    stopped = dict(conn.execute(_STOPPED, {"tenant": tenant_id}).fetchall())
    losing = [
        version.journey.journey_id
        for version in live(conn, tenant_id)
        if verdict_of(
            conn,
            tenant_id,
            version.journey,
            now,
            after_version=stopped.get(version.journey.journey_id, 0),
        ).loses
    ]
    for journey_id in losing:
        stop(conn, tenant_id, journey_id, "loses", now)
    return losing


_STOPPED: LiteralString = """
select journey_id, max(version) from journeys.version where tenant_id = %(tenant)s and state = 'stopped'
group by journey_id
"""
_REACHED: LiteralString = """
select r.arm, count(*), count(*) filter (where exists (
    select from {source} o where o.tenant_id = r.tenant_id and o.consumer_id = r.consumer_id
        and o.at >= r.entered_at and o.at < r.entered_at + %(window)s and o.at <= %(now)s))
from journeys.run r
where r.tenant_id = %(tenant)s and r.journey_id = %(journey)s and r.version > %(after)s
    and r.entered_at <= %(until)s
group by r.arm
"""
_ORDERED: LiteralString = _REACHED.replace("{source}", ORDERS)
_VISITED: LiteralString = _REACHED.replace("{source}", VISITS)
