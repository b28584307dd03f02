"""What came of a journey, counted as assigned; a journey that loses stops by itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, LiteralString, NamedTuple

import psycopg

from models.experiments.comparison import Group
from serving.journeys.assignment import Arm
from serving.journeys.definition.steps import Journey
from serving.journeys.reactions import ORDERS, VISITS
from serving.journeys.verdict import Verdict, judge
from serving.journeys.versions import live, stop

Connection = psycopg.Connection[Any]


class _Asked(NamedTuple):
    """A journey whose runs under later versions are judged."""

    journey: Journey
    after_version: int


def verdict_of(conn: Connection, tenant_id: str, journey: Journey, now: datetime) -> Verdict:
    """Judge a journey over all its versions; an order that was cancelled or refunded is none.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        journey: The version in force: its goal counts.
        now: Business time; who was assigned less than `goal_days` ago is not counted yet.
    """
    return _verdicts(conn, tenant_id, [_Asked(journey, 0)], now)[journey.journey_id]


def stop_losing(conn: Connection, tenant_id: str, now: datetime) -> list[str]:
    """Stop every live journey that loses, by its runs since it was stopped last.

    Returns:
        Their ids.
    """
    stopped = dict(conn.execute(_STOPPED, {"tenant": tenant_id}).fetchall())
    asked = [
        _Asked(version.journey, stopped.get(version.journey.journey_id, 0))
        for version in live(conn, tenant_id)
    ]
    verdicts = _verdicts(conn, tenant_id, asked, now)
    losing = [journey_id for journey_id, verdict in verdicts.items() if verdict.loses]
    for journey_id in losing:
        stop(conn, tenant_id, journey_id, "loses", now)
    return losing


def _verdicts(conn: Connection, tenant_id: str, asked: Sequence[_Asked], now: datetime) -> dict[str, Verdict]:
    """By id, in the order asked; one query a kind of goal, however many journeys."""
    groups: dict[tuple[str, str], Group] = {}
    for goal, query in _REACHED.items():
        journeys = [one for one in asked if one.journey.goal == goal]
        if not journeys:
            continue
        rows = conn.execute(
            query,
            {
                "tenant": tenant_id,
                "journeys": [one.journey.journey_id for one in journeys],
                "windows": [timedelta(days=one.journey.goal_days) for one in journeys],
                "after": [one.after_version for one in journeys],
                "now": now,
            },
        )
        groups |= {(journey_id, arm): Group(size, reached) for journey_id, arm, size, reached in rows}
    nobody = Group(0, 0)
    return {
        one.journey.journey_id: judge(
            groups.get((one.journey.journey_id, Arm.TREATED), nobody),
            groups.get((one.journey.journey_id, Arm.CONTROL), nobody),
            one.journey.control_bps,
        )
        for one in asked
    }


_STOPPED: LiteralString = """
select journey_id, max(version) from journeys.version where tenant_id = %(tenant)s and state = 'stopped'
group by journey_id
"""
_COUNTED: LiteralString = """
select j.journey_id, r.arm, count(*), count(*) filter (where exists (
    select from {source} o where o.tenant_id = r.tenant_id and o.consumer_id = r.consumer_id
        and o.at >= r.entered_at and o.at < r.entered_at + j.within and o.at <= %(now)s))
from unnest(%(journeys)s::text[], %(windows)s::interval[], %(after)s::int[]) as j (journey_id, within, after)
join journeys.run r on r.journey_id = j.journey_id and r.version > j.after
    and r.entered_at <= %(now)s - j.within
where r.tenant_id = %(tenant)s
group by j.journey_id, r.arm
"""
_REACHED: dict[str, LiteralString] = {
    "order": _COUNTED.replace("{source}", ORDERS),
    "visit": _COUNTED.replace("{source}", VISITS),
}
