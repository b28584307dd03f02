"""What attribution reads of the warehouse, and writes into the file of analysts. One query a table."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import polars as pl

from models.attribution.credits import MODELS, UNATTRIBUTED


def touches(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Touches and messages of known consumers by time: consumer_id, channel, occurred_at, occurred_on.

    A message that failed touched nobody.
    """
    return connection.execute(
        """
        select consumer_id, channel, occurred_at, occurred_on from core.fct_touches
        where consumer_id is not null and channel <> $nobody
        union all
        select consumer_id, channel, sent_at, sent_on from core.fct_messages
        where channel <> $nobody and coalesce(outcome, '') <> 'failed'
        order by occurred_at, consumer_id, channel
        """,
        {"nobody": UNATTRIBUTED},
    ).pl()


def revenue(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Revenue by the order that it belongs to: what came back of a stated order lowers that order's.

    Columns order_id, consumer_id (null where nothing was sold, and of guests), placed_at, revenue_cents;
    every counted order with lines. They sum to `net_sales_cents` of all orders.
    """
    return connection.sql(
        """
        with lines as (
            select coalesce(sold.order_id, l.order_id) as order_id, l.net_paid_cents
            from core.fct_order_lines as l
            left join core.fct_orders as sold
                -- One key, no condition beside it: else the join would be a loop over all pairs.
                on sold.order_id = case when l.is_return then l.returned_order_id end and sold.is_sale
            where l.is_sale or l.is_return
        )
        select o.order_id, case when o.is_sale then o.consumer_id end as consumer_id, o.placed_at,
            cast(sum(l.net_paid_cents) as bigint) as revenue_cents
        from lines as l join core.fct_orders as o using (order_id)
        group by all order by o.placed_at, o.order_id
        """
    ).pl()


def net_sales_cents(connection: duckdb.DuckDBPyConnection) -> int:
    """Revenue of all orders as the marts count it."""
    found = connection.sql("select coalesce(sum(net_sales_cents), 0)::bigint from core.fct_orders").fetchone()
    return found[0] if found else 0


def spend_of_consumers(
    connection: duckdb.DuckDBPyConnection, before: date, start: date, end: date
) -> pl.DataFrame:
    """What consumers who were known before a test spent before and within it, by local days.

    Args:
        connection: The published warehouse.
        before: First day of the time before.
        start: First day of the test.
        end: First day after it.

    Returns:
        consumer_id, before_cents, within_cents; everybody who was registered before the test, 0 for nothing.
    """
    return connection.execute(
        """
        select c.consumer_id,
            coalesce(sum(o.net_sales_cents) filter (where o.placed_on < $start), 0)::double as before_cents,
            coalesce(sum(o.net_sales_cents) filter (where o.placed_on >= $start), 0)::double as within_cents
        from core.dim_consumers as c
        left join core.fct_orders as o
            on o.consumer_id = c.consumer_id and o.placed_on >= $before and o.placed_on < $end
        where cast(c.registered_at as date) < $start
        group by c.consumer_id order by c.consumer_id
        """,
        {"before": before, "start": start, "end": end},
    ).pl()


def revenue_of_regions(
    connection: duckdb.DuckDBPyConnection, before: date, start: date, end: date
) -> pl.DataFrame:
    """What shops of each region sold before and within a test, guests included.

    Returns:
        region_code, before_cents, within_cents; every region with a shop.
    """
    return connection.execute(
        """
        select m.region_code,
            coalesce(sum(o.net_sales_cents) filter (where o.placed_on < $start), 0)::double as before_cents,
            coalesce(sum(o.net_sales_cents) filter (where o.placed_on >= $start), 0)::double as within_cents
        from core.dim_merchants as m
        left join core.fct_orders as o
            on o.merchant_id = m.merchant_id and o.placed_on >= $before and o.placed_on < $end
        where m.region_code is not null
        group by m.region_code order by m.region_code
        """,
        {"before": before, "start": start, "end": end},
    ).pl()


def put_channels(file: Path, credits: Path, effects: Path) -> int:
    """Write credits and effects into the marts of a warehouse file.

    Args:
        file: A DuckDB file that nobody else has open.
        credits: `models.attribution.credits.CREDITS` as Parquet.
        effects: `pipelines.channel_credits.EFFECTS` as Parquet.

    Returns:
        Channels of the mart that have a credit.
    """
    sums = ", ".join(
        f"coalesce(sum(credit_cents) filter (where model = '{model}'), 0)::bigint as {model}_cents"
        for model in MODELS
    )
    sets = ", ".join(f"{model}_cents = c.{model}_cents" for model in MODELS)
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "insert into analyst.mart_channel_credits select c.order_id, o.placed_on, o.merchant_id, c.model,"
            " c.channel, c.credit_cents from read_parquet($credits) as c join core.fct_orders as o"
            " using (order_id) order by o.placed_on, c.order_id, c.model, c.channel",
            {"credits": str(credits)},
        )
        connection.execute(
            f"update analyst.mart_channel_effect as e set touched_orders = c.touched_orders, {sets}"
            " from (select channel, count(distinct order_id) as touched_orders,"
            f" {sums} from read_parquet($credits) group by channel) as c where c.channel = e.channel",
            {"credits": str(credits)},
        )
        connection.execute(
            "update analyst.mart_channel_effect as e set evidence = t.evidence,"
            " incremental_cents = t.incremental_cents, incremental_low_cents = t.low_cents,"
            " incremental_high_cents = t.high_cents, test_id = t.test_id, tested_from_on = t.starts_on,"
            " tested_until_on = t.ends_on, units_with = t.units_with, units_without = t.units_without,"
            " touched_although_off = t.touched_although_off"
            " from read_parquet($effects) as t where t.channel = e.channel",
            {"effects": str(effects)},
        )
        told = connection.execute(
            "select count(*) from analyst.mart_channel_effect where linear_cents is not null"
        ).fetchone()
    return told[0] if told else 0
