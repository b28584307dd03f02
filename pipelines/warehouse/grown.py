"""What members earn growth by, out of the warehouse: settled spend of files, visits, referrals. A query each.

Orders that are settled here (they have legs) are left out: the operational database knows what of them was
released and refunded. An order of files counts so many days after it was placed, less the larger of what its
cases refunded and what return lines that name it gave back: a shop may state one refund twice. What came back
without naming its order counts against the day on which it came. Generated cases tell nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import duckdb
import polars as pl

from models.members.growth import ACTED, SPENT

_SPENT = """
    with settled as (select distinct order_id from core.fct_settlement_legs),
    lines as (
        select
            case when qty_milli < 0 then coalesce(returned_order_id, order_id) else order_id end as order_id,
            consumer_id, placed_on, qty_milli > 0 as is_sold, net_paid_cents
        from core.fct_order_lines where is_counted
    ),
    sums as (
        select order_id,
            coalesce(min(consumer_id) filter (is_sold), min(consumer_id)) as consumer_id,
            coalesce(min(placed_on) filter (is_sold), min(placed_on)) as placed_on,
            coalesce(sum(net_paid_cents) filter (is_sold), 0) as sold_cents,
            coalesce(-sum(net_paid_cents) filter (not is_sold), 0) as returned_cents
        from lines group by order_id
    ),
    cases as (
        select order_id, sum(refund_cents) as refunded_cents from core.fct_after_sales
        where origin = 'observed' and refund_cents is not null group by order_id
    )
    select s.consumer_id, s.placed_on + $settles_after as day,
        sum(case when s.sold_cents > 0
            then greatest(s.sold_cents - greatest(s.returned_cents, coalesce(c.refunded_cents, 0)), 0)
            else -s.returned_cents end)::bigint as cents
    from sums as s left join cases as c using (order_id)
    where s.consumer_id is not null and s.order_id not in (select order_id from settled)
        and s.placed_on + $settles_after between $first and $last
    group by all order by all
"""
_ACTED = """
    select consumer_id, occurred_on as day, 'visit' as kind,
        count(distinct coalesce(session_id, event_id)) as times
    from core.fct_events
    where consumer_id is not null and occurred_on between $first and $last
    group by all
    union all
    select r.inviter_id, o.placed_on + $settles_after, 'referral', count(*)
    from (
        select distinct inviter_id, consumer_id, registered_at from intermediate.int_referrals
        where superseded_at is null and inviter_id <> consumer_id
    ) as r
    join core.fct_orders as o
        on r.consumer_id = o.consumer_id and o.consumer_order_no = 1 and o.placed_at >= r.registered_at
    where o.is_sale and o.net_sales_cents > 0 and o.placed_on + $settles_after between $first and $last
    group by all
    order by all
"""


def spent(
    connection: duckdb.DuckDBPyConnection, first: date, last: date, settles_after_days: int
) -> pl.DataFrame:
    """Net spend of orders that came by files, by the local day on which they count as settled.

    Args:
        connection: The published warehouse.
        first: First local day.
        last: Last local day.
        settles_after_days: Days after an order until it counts.

    Returns:
        Columns of `models.members.growth.SPENT`.
    """
    return _read(connection, _SPENT, SPENT, first, last, settles_after_days)


def acted(
    connection: duckdb.DuckDBPyConnection, first: date, last: date, settles_after_days: int
) -> pl.DataFrame:
    """Visits (sessions), and referrals: first orders of invited consumers that stand, once they are settled.

    Args:
        connection: The published warehouse.
        first: First local day.
        last: Last local day.
        settles_after_days: Days after an order until it counts.

    Returns:
        Columns of `models.members.growth.ACTED`.
    """
    return _read(connection, _ACTED, ACTED, first, last, settles_after_days)


def _read(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    columns: Mapping[str, pl.DataType],
    first: date,
    last: date,
    settles_after_days: int,
) -> pl.DataFrame:
    values = {"first": first, "last": last, "settles_after": settles_after_days}
    frame = connection.execute(query, values).pl()
    return frame.select(pl.col(name).cast(kind) for name, kind in columns.items())
