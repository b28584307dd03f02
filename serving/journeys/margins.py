"""What a journey earns: margin of a run's orders less what its messages cost, treated against control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

import psycopg

from models.experiments.comparison import FEWEST, Moments, means
from serving.experiments.metrics import MARGIN, SPEND
from serving.journeys.assignment import Arm
from serving.journeys.definition.steps import Journey

Connection = psycopg.Connection[Any]

BEFORE = timedelta(days=28)
"""Spend of so long before the entry is taken off the difference. Assumed."""


@dataclass(frozen=True)
class Earned:
    """Margin net of messages, fen a run; coupons are off what was paid.

    Attributes:
        treated: Mean of the treated.
        control: Mean of the controls.
        difference: Treated less control, less what they differed by in spend before (CUPED).
        low: Lower end of its 95% interval (Welch).
        high: Upper end.
    """

    treated: float
    control: float
    difference: float
    low: float
    high: float


def earned(
    conn: Connection, tenant_id: str, journey: Journey, costs: Mapping[str, int], now: datetime
) -> Earned | None:
    """Compare what runs earned in `goal_days` after their entry, over all versions, as assigned.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        journey: The version in force: its days count.
        costs: What a message costs by channel, fen; channels that are not named cost nothing.
        now: Business time; who was assigned less than `goal_days` ago is not counted yet.

    Returns:
        None where an arm has too few runs, or the API recorded no order of any of them.
    """
    window = timedelta(days=journey.goal_days)
    rows = conn.execute(
        _MOMENTS,
        {
            "tenant": tenant_id,
            "journey": journey.journey_id,
            "until": now - window,
            "window": window,
            "past": BEFORE,
            "channels": list(costs),
            "costs": list(costs.values()),
        },
    ).fetchall()
    orders = sum(row[1] for row in rows)
    arms = {arm: Moments(size, *map(float, sums)) for arm, _, size, *sums in rows}
    nobody = Moments(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    treated, control = arms.get(Arm.TREATED, nobody), arms.get(Arm.CONTROL, nobody)
    if not orders or min(treated.size, control.size) < FEWEST:
        return None
    found = means(treated, control)
    return Earned(treated.mean, control.mean, found.value, found.low, found.high)


_MOMENTS: LiteralString = f"""
with run as (
    select run_id, consumer_id, arm, entered_at from journeys.run
    where tenant_id = %(tenant)s and journey_id = %(journey)s and entered_at <= %(until)s
), sold as (
    select r.run_id, count(*) as lines,
        coalesce(sum({MARGIN}) filter (where o.paid_at >= r.entered_at), 0)::float8 as margin,
        coalesce(sum({SPEND}) filter (where o.paid_at < r.entered_at), 0)::float8 as before
    from run r
    join orders.customer_order o on o.tenant_id = %(tenant)s and o.consumer_id = r.consumer_id
        and o.paid_at >= r.entered_at - %(past)s and o.paid_at < r.entered_at + %(window)s
        and o.status not in ('cancelled', 'refunded')
    join orders.order_line l on l.tenant_id = o.tenant_id and l.order_id = o.order_id
    group by r.run_id
), told as (
    select m.run_id, sum(c.cents)::float8 as cost
    from journeys.message m
    join unnest(%(channels)s::text[], %(costs)s::bigint[]) as c (channel, cents) using (channel)
    where m.tenant_id = %(tenant)s and m.journey_id = %(journey)s and m.sent_at is not null
    group by m.run_id
), valued as (
    select r.arm, coalesce(s.lines, 0) as lines, coalesce(s.margin, 0) - coalesce(t.cost, 0) as value,
        coalesce(s.before, 0) as before
    from run r left join sold s using (run_id) left join told t using (run_id)
)
select arm, sum(lines)::bigint, count(*), sum(value), sum(before), sum(value * value), sum(before * before),
    sum(value * before)
from valued group by arm
"""
