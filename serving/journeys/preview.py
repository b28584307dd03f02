"""What a journey would do now: who would enter, what the guards would say, what effect could be seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt
from typing import Any

import psycopg

from models.experiments.power import detectable
from serving.db.calendar import local_day, zone_of
from serving.journeys.assignment import Arm, arm_of
from serving.journeys.definition.steps import Journey
from serving.journeys.engine.advance import Run, advance
from serving.journeys.engine.entering import candidates
from serving.journeys.engine.ticking import facts_of, policy_of, situation

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Preview:
    """What would happen at this moment.

    Attributes:
        entering: Who would enter.
        arms: Of them, by arm.
        first_acts: What the first move of the treated would ask for or leave out, as `act` or `act:reason`.
        baseline: Share of those entering who ordered within as many days before as the goal has.
        detectable: Smallest difference that so many show with power .8; None where one arm is empty.
    """

    entering: int
    arms: Counter[str]
    first_acts: Counter[str]
    baseline: float
    detectable: float | None


def preview(conn: Connection, tenant_id: str, journey: Journey, now: datetime) -> Preview:
    """Try a journey; nothing is written.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        journey: What it says.
        now: Business time.
    """
    found = [one.consumer_id for one in candidates(conn, tenant_id, journey, None, now)]
    day = local_day(now, zone_of(conn, tenant_id))
    marketing = journey.purpose == "marketing"
    arms = {
        consumer_id: arm_of(
            tenant_id, journey.journey_id, consumer_id, day, journey.control_bps, marketing=marketing
        )
        for consumer_id in found
    }
    known = situation(conn, tenant_id, found, [journey], now, now)
    policy = policy_of(conn, tenant_id)
    acts: Counter[str] = Counter()
    for consumer_id, arm in arms.items():
        if arm is not Arm.TREATED:
            continue
        run = Run(arm, now, journey.steps[0].id, now)
        moved = advance(journey, run, facts_of(journey.journey_id, consumer_id, run, known), now, policy)
        acts.update(act.kind if act.reason is None else f"{act.kind}:{act.reason}" for act in moved.acts)
    counted = Counter(str(arm) for arm in arms.values())
    treated, control = counted[Arm.TREATED], counted[Arm.CONTROL]
    baseline = _ordered(conn, tenant_id, found, now - timedelta(days=journey.goal_days), now)
    return Preview(
        len(found),
        counted,
        acts,
        baseline,
        detectable(sqrt(baseline * (1 - baseline)), treated, control) if treated and control else None,
    )


def _ordered(
    conn: Connection, tenant_id: str, consumer_ids: list[str], since: datetime, now: datetime
) -> float:
    row = conn.execute(
        "select count(distinct consumer_id) from orders.customer_order where tenant_id = %s"
        " and consumer_id = any(%s) and paid_at between %s and %s",
        (tenant_id, consumer_ids, since, now),
    ).fetchone()
    return row[0] / len(consumer_ids) if row is not None and consumer_ids else 0.0
