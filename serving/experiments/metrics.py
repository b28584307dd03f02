"""What exposed units did: values over so many days after the exposure, and as many before it, by arm.

Spend is what was paid for goods less what went back; margin is spend less the supply price of what stayed.
Coupons are off the price that is paid, so they are off spend and margin. Orders that were cancelled or
refunded count as none, but for the share of units with something returned.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, LiteralString

import psycopg

from models.experiments.comparison import Moments
from serving.experiments.document import Experiment, Metric, Unit
from serving.settlement.books.refunds import FREE_UNITS_KEPT

Connection = psycopg.Connection[Any]


def moments_by_arm(
    conn: Connection, tenant_id: str, experiment: Experiment, metric: Metric, now: datetime
) -> dict[str, Moments]:
    """Sums over the units that were exposed at least `metric_days` ago, by arm, as they were assigned.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        experiment: Whose units.
        metric: What is summed; a share counts a unit as 1 or 0.
        now: Business time.
    """
    window = timedelta(days=experiment.metric_days)
    rows = conn.execute(
        _MOMENTS.replace("{value}", _VALUES[metric]).replace("{unit}", _UNITS[experiment.unit]),
        {
            "tenant": tenant_id,
            "experiment": experiment.experiment_id,
            "window": window,
            "until": now - window,
            "is_share": metric in ("ordered", "returned"),
            "returned": metric == "returned",
        },
    )
    return {arm: Moments(size, *map(float, sums)) for arm, size, *sums in rows}


def exposed_by_arm(conn: Connection, tenant_id: str, experiment_id: str) -> dict[str, int]:
    """How many units were exposed ever, by arm."""
    rows = conn.execute(
        "select arm, count(*) from experiments.exposure where tenant_id = %s and experiment_id = %s"
        " group by arm",
        (tenant_id, experiment_id),
    )
    return dict(rows.fetchall())


def sold_by_unit(
    conn: Connection,
    tenant_id: str,
    experiment: Experiment,
    units: LiteralString,
    since: datetime,
    until: datetime,
) -> Moments:
    """Sums of the metric over units that no arm acted on yet; those that sold nothing count as 0.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        experiment: Whose metric and kind of units.
        units: A query of `unit_id`, each once; binds `tenant`.
        since: Orders paid from this moment on count.
        until: Up to this one.
    """
    metric = experiment.metric
    row = conn.execute(
        _SOLD.replace("{units}", units)
        .replace("{value}", _VALUES[metric])
        .replace("{unit}", _UNITS[experiment.unit]),
        {
            "tenant": tenant_id,
            "since": since,
            "until": until,
            "is_share": metric in ("ordered", "returned"),
            "returned": metric == "returned",
        },
    ).fetchone()
    size, value, squared = row or (0, 0.0, 0.0)
    return Moments(size, float(value), 0.0, float(squared), 0.0, 0.0)


_STAYED: LiteralString = (
    "(case when l.net_paid_cents > 0 then 1.0 - l.refunded_cents::float8 / l.net_paid_cents"
    f" else {FREE_UNITS_KEPT}::float8 / l.qty end)"
)
SPEND: LiteralString = "(l.net_paid_cents - l.refunded_cents)"
"""What was paid for a line `l` of an order and did not go back, fen."""
MARGIN: LiteralString = f"((l.net_paid_cents - l.supply_price_cents) * {_STAYED})"
"""What is left of it after the supply price, fen."""
_VALUES: dict[Metric, LiteralString] = {
    "ordered": "1",
    "returned": "case when l.refunded_cents > 0 then 1 else 0 end",
    "spend_cents": SPEND,
    "margin_cents": MARGIN,
    "units": f"l.qty * {_STAYED}",
}
_UNITS: dict[Unit, LiteralString] = {
    "consumer": "o.consumer_id",
    "merchant": "o.merchant_id",
    "sku": "l.sku_id",
}
_MOMENTS: LiteralString = """
with exposed as (
    select unit_id, arm, exposed_at from experiments.exposure
    where tenant_id = %(tenant)s and experiment_id = %(experiment)s and exposed_at <= %(until)s
), sold as (
    select e.unit_id, o.paid_at >= e.exposed_at as is_after, sum({value})::float8 as value
    from exposed e
    join orders.customer_order o on o.tenant_id = %(tenant)s and o.paid_at >= e.exposed_at - %(window)s
        and o.paid_at < e.exposed_at + %(window)s
        and (o.status not in ('cancelled', 'refunded') or (%(returned)s and o.status = 'refunded'))
    join orders.order_line l on l.tenant_id = o.tenant_id and l.order_id = o.order_id
    where {unit} = e.unit_id
    group by 1, 2
), valued as (
    select e.arm, coalesce(a.value, 0) as value, coalesce(b.value, 0) as before
    from exposed e
    left join (select unit_id, case when %(is_share)s then least(value, 1) else value end as value
        from sold where is_after) a using (unit_id)
    left join (select unit_id, case when %(is_share)s then least(value, 1) else value end as value
        from sold where not is_after) b using (unit_id)
)
select arm, count(*), sum(value), sum(before), sum(value * value), sum(before * before), sum(value * before)
from valued group by arm
"""
_SOLD: LiteralString = """
with units as ({units}), sold as (
    select {unit} as unit_id, sum({value})::float8 as value
    from orders.customer_order o
    join orders.order_line l on l.tenant_id = o.tenant_id and l.order_id = o.order_id
    where o.tenant_id = %(tenant)s and o.paid_at >= %(since)s and o.paid_at < %(until)s
        and (o.status not in ('cancelled', 'refunded') or (%(returned)s and o.status = 'refunded'))
    group by 1
), valued as (
    select case when %(is_share)s then least(coalesce(s.value, 0), 1) else coalesce(s.value, 0) end as value
    from units left join sold s using (unit_id)
)
select count(*), coalesce(sum(value), 0), coalesce(sum(value * value), 0) from valued
"""
