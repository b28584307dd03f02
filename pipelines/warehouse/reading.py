"""What the models read from the published warehouse, by name. One query a table; no Dagster, no rule.

Models learn from sales: lines that `is_sale`, so nothing cancelled, unpaid or refunded, less what was given
back of them (`given_back`), line by line and in sums alike. What lies in stock is told by movements, in which
what came back is one of its own. What is no merchandise is neither forecast nor recommended nor priced. Every
read is ordered by a complete key, so that equal content gives equal models.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from models.given_back import kept
from pipelines.warehouse import given_back


def connect(file: Path, *, threads: int = 1, memory: str = "1GB") -> duckdb.DuckDBPyConnection:
    """A read-only connection to a published warehouse in UTC, bounded in memory and threads."""
    connection = duckdb.connect(str(file), read_only=True)
    connection.execute(f"SET memory_limit='{memory}'; SET threads={threads}; SET TimeZone='UTC'")
    return connection


_LINES = """
    select order_id, line_no, consumer_id, merchant_id, sku_id, supplier_id,
           category_l1_id, category_l2_id, category_l3_id, placed_at, placed_on, week_start_on,
           qty, list_price_cents, promo_discount_cents, coupon_discount_cents, net_paid_cents,
           unit_price_cents, is_merchandise, is_on_display, is_on_mailer
    from core.fct_order_lines
"""
_MERCHANDISE = "sku_id not in (select sku_id from core.dim_products where not is_merchandise)"


def order_lines(
    connection: duckdb.DuckDBPyConnection,
    *,
    merchandise_only: bool = True,
    with_guests: bool = True,
    since: datetime | None = None,
) -> pl.DataFrame:
    """Sale lines by time, less what was given back; `qty` is in units of sale and may have a fraction.

    Args:
        connection: The published warehouse.
        merchandise_only: Leave out services, fuel, coupons and deposits, whose quantities are not units.
        with_guests: Keep lines without a consumer: demand and prices have them, what is told by consumer not.
        since: Only lines placed after this moment.
    """
    conditions = ["is_sale"]
    parameters = {}
    if merchandise_only:
        conditions.append("is_merchandise")
    if not with_guests:
        conditions.append("consumer_id is not null")
    if since is not None:
        conditions.append("placed_at > $since")
        parameters["since"] = since
    lines = connection.execute(
        f"{_LINES} where {' and '.join(conditions)} order by placed_at, order_id, line_no", parameters or None
    ).pl()
    return _kept(connection, lines)


def _kept(connection: duckdb.DuckDBPyConnection, lines: pl.DataFrame) -> pl.DataFrame:
    return kept(lines, given_back.returns(connection), given_back.cases(connection))


_KNOWN = (
    "order_id", "line_no", "consumer_id", "merchant_id", "sku_id", "category_l2_id", "category_l3_id",
    "placed_at", "qty", "net_paid_cents", "is_merchandise",
)  # fmt: skip


def known_lines(
    connection: duckdb.DuckDBPyConnection,
    *,
    merchandise_only: bool = False,
    with_guests: bool = False,
    more: Sequence[str] = (),
) -> pl.DataFrame:
    """Sale lines in every state that was known at some time, by time.

    A state of an order is known from `received_at`, when the last of its lines came, or something of it came
    back, until `superseded_at` (null: it stands); all its lines have the same two. A backtest sees at a
    moment what was known then.

    Args:
        connection: The published warehouse.
        merchandise_only: Leave out services, fuel, coupons and deposits, whose quantities are not units.
        with_guests: Keep lines without a consumer.
        more: Further columns of `intermediate.int_order_lines_changed`.
    """
    conditions = ["is_merchandise"] if merchandise_only else []
    conditions += [] if with_guests else ["consumer_id is not null"]
    where = f"where {' and '.join(conditions)}" if conditions else ""
    columns = ", ".join((*_KNOWN, *more))
    lines = connection.sql(
        f"""
        with changed as (
            select lines.* exclude (received_at, superseded_at), states.received_at, states.superseded_at
            from intermediate.int_orders_changed as states
            join intermediate.int_order_lines_changed as lines
                on lines.order_id = states.order_id
                and lines.received_at <= states.received_at
                and (lines.superseded_at is null or lines.superseded_at > states.received_at)
            where lines.is_sale
        ),
        unchanged as (
            select *, max(received_at) over (partition by order_id) as known_at
            from core.fct_order_lines
            where is_sale
                and order_id not in (select order_id from intermediate.int_order_lines_changed)
        )
        select {columns}, received_at, superseded_at from changed {where}
        union all
        select {columns}, known_at as received_at, cast(null as timestamptz) as superseded_at
        from unchanged {where}
        order by placed_at, order_id, line_no, received_at
        """
    ).pl()
    return _kept(connection, lines)


def demand_lines(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """What the forecasters read: merchandise of everybody in every state that was known, by time."""
    return known_lines(
        connection, merchandise_only=True, with_guests=True, more=("placed_on", "week_start_on")
    )


def price_lines(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """What elasticities learn from: as `demand_lines`, with what was asked for and how it was shown."""
    asked = ("list_price_cents", "promo_discount_cents", "is_on_display", "is_on_mailer")
    return known_lines(
        connection, merchandise_only=True, with_guests=True, more=("placed_on", "week_start_on", *asked)
    )


def weekly_promotions(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Promoted skus of a category at a merchant by week."""
    return connection.sql(
        """
        select category_l2_id, merchant_id, week_start_on, display_sku_count, mailer_sku_count
        from intermediate.int_promotions_weekly_category
        order by category_l2_id, merchant_id, week_start_on
        """
    ).pl()


def pricing_group(connection: duckdb.DuckDBPyConnection, skus: Sequence[str]) -> list[str]:
    """All skus that share a category (level 3) with one of `skus`, and these themselves; sorted."""
    found = connection.execute(
        """
        select sku_id from core.dim_products
        where category_l3_id in (
            select category_l3_id from core.dim_products where sku_id in (select unnest($skus))
        )
        union
        select unnest($skus)
        order by 1
        """,
        {"skus": list(skus)},
    ).fetchall()
    return [sku for (sku,) in found]


def current_offers(
    connection: duckdb.DuckDBPyConnection, *, skus: Sequence[str] | None = None
) -> pl.DataFrame:
    """The offer in force of each supplier and sku, merchandise only, with what the supplier has at hand.

    `on_hand_qty` is what the offer stated less what orders used since; what was stated is not read.
    `first_offered_at` is when the oldest version began.

    Args:
        connection: The published warehouse.
        skus: Only these; None means all.
    """
    condition, parameters = _only(skus, "o.sku_id")
    return connection.execute(
        f"""
        select o.* exclude (stock_qty, stated_capacity_per_day), s.on_hand_qty, p.category_l2_id,
            p.category_l3_id, began.first_offered_at
        from core.dim_offers as o
        join (
            select supplier_id, sku_id, min(valid_from) as first_offered_at from core.dim_offers group by all
        ) as began using (supplier_id, sku_id)
        join intermediate.int_stock_levelled as s using (supplier_id, sku_id)
        left join core.dim_products as p using (sku_id)
        where o.is_current and coalesce(p.is_merchandise, true){condition}
        order by o.sku_id, o.supplier_id
        """,
        parameters,
    ).pl()


def current_listings(
    connection: duckdb.DuckDBPyConnection, *, listed_only: bool = True, skus: Sequence[str] | None = None
) -> pl.DataFrame:
    """Each merchant's skus in their current version, merchandise only.

    Args:
        connection: The published warehouse.
        listed_only: Leave out what the merchant has taken off sale.
        skus: Only these; None means all.
    """
    condition, parameters = _only(skus)
    condition += " and is_listed" if listed_only else ""
    return connection.execute(
        f"""
        select merchant_id, sku_id, list_price_cents, pricing_mode, is_listed, valid_from
        from core.dim_listings where is_current{condition} and {_MERCHANDISE}
        order by merchant_id, sku_id
        """,
        parameters,
    ).pl()


def listings_in_force(
    connection: duckdb.DuckDBPyConnection, *, as_of: datetime, skus: Sequence[str] | None = None
) -> pl.DataFrame:
    """Each listing on sale with its price in force, the week's prices and the last change, merchandise only.

    `current_price_cents` is the newest of published prices and changes of the list price;
    `week_low_price_cents` and `week_high_price_cents` bound what was in force within the seven days up to
    `as_of`; `valid_from` is the last change of the price, `cost_at_change_cents` the cheapest offer in force
    at that moment (null where there was none).

    Args:
        connection: The published warehouse.
        as_of: Business moment, aware UTC.
        skus: Only these; None means all.
    """
    condition, parameters = _only(skus)
    return connection.execute(
        f"""
        with prices as (
            select merchant_id, sku_id,
                max_by(price_cents, valid_from) as current_price_cents,
                min(price_cents) filter (where is_of_week) as week_low_price_cents,
                max(price_cents) filter (where is_of_week) as week_high_price_cents,
                max(valid_from) as valid_from
            from (
                select *, coalesce(valid_to > $as_of - interval 7 day, true) as is_of_week
                from core.fct_prices_in_force where valid_from <= $as_of{condition}
            )
            group by merchant_id, sku_id
        ),
        costs as (
            select merchant_id, sku_id, min(supply_price_cents) as cost_at_change_cents
            from prices join core.dim_offers as o using (sku_id)
            where coalesce(o.is_active, true) and o.valid_from <= prices.valid_from
                and coalesce(o.valid_to > prices.valid_from, true)
                and o.supply_price_cents > 0
            group by merchant_id, sku_id
        )
        select l.merchant_id, l.sku_id, l.list_price_cents, l.pricing_mode, c.cost_at_change_cents,
            p.current_price_cents, p.week_low_price_cents, p.week_high_price_cents, p.valid_from
        from core.dim_listings as l
        left join prices as p using (merchant_id, sku_id)
        left join costs as c using (merchant_id, sku_id)
        where l.is_current and l.is_listed and {_MERCHANDISE}{condition}
        order by l.merchant_id, l.sku_id
        """,
        parameters | {"as_of": as_of},
    ).pl()


def units_sold(
    connection: duckdb.DuckDBPyConnection,
    *,
    since: datetime,
    until: datetime,
    skus: Sequence[str] | None = None,
) -> pl.DataFrame:
    """What was sold of merchandise and kept, line by line: merchant_id, sku_id, placed_at, qty_milli.

    Args:
        connection: The published warehouse.
        since: Only lines placed after this moment.
        until: Only lines placed up to this moment.
        skus: Only these; None means all.
    """
    condition, parameters = _only(skus)
    given_back.net(connection)
    return connection.execute(
        f"""
        select merchant_id, sku_id, placed_at, qty_milli from {given_back.SALES}
        where qty_milli > 0 and placed_at > $since and placed_at <= $until{condition}
        order by placed_at, order_id, line_no
        """,
        parameters | {"since": since, "until": until},
    ).pl()


def weekly_units(connection: duckdb.DuckDBPyConnection, *, since: datetime) -> pl.DataFrame:
    """Units of merchandise sold and kept, by sku and week: sku_id, week_start_on, qty; no row for 0.

    Args:
        connection: The published warehouse.
        since: Only lines placed after this moment.
    """
    given_back.net(connection)
    return connection.execute(
        f"""
        select sku_id, week_start_on, sum(qty_milli) / 1000 as qty from {given_back.SALES}
        where qty_milli > 0 and placed_at > $since
        group by all order by all
        """,
        {"since": since},
    ).pl()


def units_supplied(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """What each supplier sold of each sku in the 90 days before the build; the mart of resilience shows it.

    Columns supplier_id, sku_id, category_id (middle), units, net_paid_cents.
    """
    return connection.execute(
        """
        select supplier_id, sku_id, category_l2_id as category_id, units_90d as units,
            net_paid_90d_cents as net_paid_cents
        from intermediate.int_units_supplied
        order by supplier_id, sku_id
        """
    ).pl()


def new_listings(
    connection: duckdb.DuckDBPyConnection, *, since: datetime, until: datetime, weeks: int, offset_hours: int
) -> pl.DataFrame:
    """What merchants have on sale and began lately, without a sale of it before; merchandise only.

    Columns merchant_id, category_id, sku_id, first_listed_on (local day), first_weeks_qty and sold_qty: units
    sold and kept in its first weeks and since. A listing without a category is left out.

    Args:
        connection: The published warehouse.
        since: Only what was listed for the first time after this moment.
        until: Only what was, and sales, up to this moment.
        weeks: The first so many weeks.
        offset_hours: Local time minus UTC.
    """
    given_back.net(connection)
    return connection.execute(
        f"""
        with began as (
            select merchant_id, sku_id, min(valid_from) as began_at from core.dim_listings
            where {_MERCHANDISE}
            group by merchant_id, sku_id
            having began_at > $since and began_at <= $until and bool_or(is_current and is_listed)
        ),
        sold as (
            select b.merchant_id, b.sku_id, min(l.placed_at) as first_sold_at, sum(l.qty_milli) as qty_milli,
                sum(l.qty_milli) filter (where l.placed_at < b.began_at + to_days(7 * $weeks)) as first_milli
            from began as b join {given_back.SALES} as l using (merchant_id, sku_id)
            where l.qty_milli > 0 and l.placed_at <= $until
            group by b.merchant_id, b.sku_id
        )
        select b.merchant_id, p.category_l2_id as category_id, b.sku_id,
            cast((b.began_at at time zone 'UTC') + to_hours($offset) as date) as first_listed_on,
            coalesce(s.first_milli, 0) / 1000 as first_weeks_qty,
            coalesce(s.qty_milli, 0) / 1000 as sold_qty
        from began as b
        join core.dim_products as p using (sku_id)
        left join sold as s using (merchant_id, sku_id)
        where coalesce(s.first_sold_at >= b.began_at, true)
        order by b.merchant_id, b.sku_id
        """,
        {"since": since, "until": until, "weeks": weeks, "offset": offset_hours},
    ).pl()


def out_of_stock(
    connection: duckdb.DuckDBPyConnection, *, since: datetime | None = None, until: datetime
) -> pl.DataFrame:
    """Times at which no supplier had anything of a sku, merchandise only.

    The level of a supplier is what it last stated, less and plus what moved from that moment on; before its
    first statement it is not known, and a supplier that never stated any counts as having some.

    Args:
        connection: The published warehouse.
        since: Only what lies after this moment; what began before begins here. None means all of it.
        until: What has not ended ends here.

    Returns:
        sku_id, began_at and ended_at (UTC), ordered; those of a sku do not overlap.
    """
    return connection.execute(
        f"""
        with steps as (
            select supplier_id, sku_id, valid_from as happened_at, cast(stock_qty as double) as stated,
                0.0 as moved
            from core.dim_offers where stock_qty is not null and valid_from <= $until
            union all
            select supplier_id, sku_id, occurred_at, null, cast(sum(qty_delta) as double)
            from core.fct_inventory_movements
            where supplier_id is not null and occurred_at <= $until
            group by supplier_id, sku_id, occurred_at
        ),
        -- What happens at the moment of a statement comes after it.
        since_stated as (
            select *, count(stated) over w as statements
            from steps
            window w as (partition by supplier_id, sku_id order by happened_at, (stated is null)
                rows unbounded preceding)
        ),
        levels as (
            select supplier_id, sku_id, happened_at, stated is null as is_move, statements,
                max(stated) over s + sum(moved) over s as level
            from since_stated
            where statements > 0
            window s as (partition by supplier_id, sku_id, statements order by happened_at, (stated is null)
                rows unbounded preceding)
        ),
        spells as (
            select supplier_id, sku_id, level <= 0 as is_out, happened_at as began_at,
                coalesce(lead(happened_at) over w, $until) as ended_at
            from levels
            window w as (partition by supplier_id, sku_id order by happened_at, is_move)
        ),
        edges as (
            select sku_id,
                unnest([greatest(began_at, coalesce($since, began_at)), least(ended_at, $until)])
                    as happened_at,
                unnest([1, -1]) as change
            from spells
            where is_out and coalesce(ended_at > $since, true) and began_at < $until and ended_at > began_at
                and {_MERCHANDISE}
        ),
        suppliers as (
            select sku_id, count(distinct supplier_id) as number from core.dim_offers
            where valid_from <= $until group by sku_id
        ),
        moments as (
            select sku_id, happened_at, sum(change) as change from edges
            group by sku_id, happened_at
        ),
        counted as (
            select sku_id, happened_at as began_at, sum(change) over w as empty,
                coalesce(lead(happened_at) over w, $until) as ended_at
            from moments
            window w as (partition by sku_id order by happened_at)
        )
        select sku_id, min(began_at) as began_at, max(ended_at) as ended_at from (
            select c.*, sum(cast(coalesce(before is distinct from c.began_at, true) as integer)) over (
                partition by sku_id order by c.began_at) as spell
            from (
                select counted.sku_id, began_at, ended_at,
                    lag(ended_at) over (partition by counted.sku_id order by began_at) as before
                from counted join suppliers using (sku_id)
                where empty >= number and ended_at > began_at
            ) as c
        )
        group by sku_id, spell
        order by sku_id, began_at
        """,
        {"since": since, "until": until},
    ).pl()


def stock_movements(
    connection: duckdb.DuckDBPyConnection, *, since: datetime, until: datetime
) -> pl.DataFrame:
    """Everything in stock and what was sold of it: each supplier and sku with merchandise at hand.

    Columns supplier_id, sku_id, category_l3_id, on_hand_qty, cost_cents (null without an offer), sold_qty
    (units sold and kept, 0 where there are none: what came back and lies there again did not turn over). What
    lies there needs neither an offer nor a sale to be found.

    Args:
        connection: The published warehouse.
        since: Only sales after this moment count.
        until: Only sales up to this moment count.
    """
    given_back.net(connection)
    return connection.execute(
        f"""
        with sold as (
            select supplier_id, sku_id, sum(qty_milli) as qty_milli from {given_back.SALES}
            where placed_at > $since and placed_at <= $until
            group by all
        )
        select s.supplier_id, s.sku_id, p.category_l3_id, s.on_hand_qty,
            s.supply_price_cents as cost_cents, coalesce(sold.qty_milli, 0) / 1000 as sold_qty
        from intermediate.int_stock_levelled as s
        left join core.dim_products as p on s.sku_id = p.sku_id
        left join sold on s.supplier_id = sold.supplier_id and s.sku_id = sold.sku_id
        where s.on_hand_qty > 0 and coalesce(p.is_merchandise, true)
        order by s.supplier_id, s.sku_id
        """,
        {"since": since, "until": until},
    ).pl()


def competitor_prices(
    connection: duckdb.DuckDBPyConnection,
    *,
    since: datetime,
    until: datetime,
    skus: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Observed competitor prices by time.

    Args:
        connection: The published warehouse.
        since: Only prices observed after this moment.
        until: Only prices observed up to this moment.
        skus: Only these; None means all.
    """
    condition, parameters = _only(skus)
    return connection.execute(
        f"""
        select sku_id, competitor, observed_at, price_cents from core.fct_competitor_prices
        where observed_at > $since and observed_at <= $until{condition}
        order by observed_at, sku_id, competitor, price_cents
        """,
        parameters | {"since": since, "until": until},
    ).pl()


def price_periods(
    connection: duckdb.DuckDBPyConnection,
    *,
    since: datetime,
    until: datetime,
    skus: Sequence[str] | None = None,
) -> pl.DataFrame:
    """What sold and was kept in each week at each price, of the listings whose price the platform has moved.

    A listing counts from four weeks before its first published price: earlier moves were the merchant's own,
    and may have followed demand.

    Args:
        connection: The published warehouse.
        since: Begin of a week (UTC); nothing before is read.
        until: Begin of a later week (UTC); nothing from then on is read, so that what is
            learnt stands for the week: what comes back later counts in the next.
        skus: Only these; None means all.

    Returns:
        merchant_id, sku_id, week_start_on, price_cents, days (at this price), qty_milli and competitor_cents
        (mean of the prices observed that week, null without one), one row a listing, week and price in force.
    """
    condition, parameters = _only(skus)
    given_back.net(connection, before=until)
    return connection.execute(
        f"""
        with moved as (
            select merchant_id, sku_id,
                greatest(min(valid_from) - interval 28 day, $since) as began_at
            from core.fct_prices_in_force
            where source = 'published' and valid_from < $until{condition}
            group by merchant_id, sku_id
        ),
        spans as (
            select p.merchant_id, p.sku_id, p.price_cents, w.week,
                greatest(p.valid_from, m.began_at, w.week) as from_at,
                least(coalesce(p.valid_to, $until), w.week + interval 7 day, $until) as to_at
            from core.fct_prices_in_force as p
            join moved as m using (merchant_id, sku_id)
            cross join (
                select unnest(generate_series($since, $until - interval 7 day, interval 7 day)) as week
            ) as w
            where p.valid_from < w.week + interval 7 day and coalesce(p.valid_to > w.week, true)
        ),
        spent as (
            select merchant_id, sku_id, week, price_cents,
                sum(epoch(to_at) - epoch(from_at)) / 86400.0 as days
            from spans where to_at > from_at
            group by all
        ),
        sold as (
            select l.merchant_id, l.sku_id, date_trunc('week', l.placed_at) as week, p.price_cents,
                sum(l.qty_milli)::bigint as qty_milli
            from (
                select l.merchant_id, l.sku_id, l.placed_at, l.qty_milli
                from {given_back.SALES} as l join moved as m using (merchant_id, sku_id)
                where l.placed_at >= m.began_at and l.placed_at < $until
            ) as l
            asof join core.fct_prices_in_force as p
                on l.merchant_id = p.merchant_id and l.sku_id = p.sku_id and l.placed_at >= p.valid_from
            group by all
        ),
        rivals as (
            select sku_id, date_trunc('week', observed_at) as week, avg(price_cents) as competitor_cents
            from core.fct_competitor_prices
            where observed_at >= $since and observed_at < $until and price_cents > 0
                and sku_id in (select sku_id from moved)
            group by all
        )
        select merchant_id, sku_id, week::date as week_start_on, price_cents, days,
            coalesce(qty_milli, 0) as qty_milli, competitor_cents
        from spent
        left join sold using (merchant_id, sku_id, week, price_cents)
        left join rivals using (sku_id, week)
        order by merchant_id, sku_id, week, price_cents
        """,
        parameters | {"since": since, "until": until},
    ).pl()


def _only(skus: Sequence[str] | None, column: str = "sku_id") -> tuple[str, dict[str, Any]]:
    """A further condition that keeps some skus, with its parameters; neither for all."""
    if skus is None:
        return "", {}
    return f" and {column} in (select unnest($skus))", {"skus": list(skus)}


def consumers(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Every consumer with the home merchant and the consent for marketing."""
    return connection.sql(
        """
        select consumer_id, merchant_id, registered_at, consent_marketing
        from core.dim_consumers order by consumer_id
        """
    ).pl()


def platform_wide_consumers(connection: duckdb.DuckDBPyConnection, at: datetime | None = None) -> list[str]:
    """Consumers whose latest statement allows lists made from what they bought at any merchant; sorted.

    Args:
        connection: The published warehouse.
        at: Only what was stated and received by then counts; None means all of it.
    """
    found = connection.execute(
        """
        select consumer_id from core.fct_consents
        where purpose = 'cross_merchant'
            and ($at::timestamptz is null or (stated_at <= $at and received_at <= $at))
        group by consumer_id having max_by(is_granted, stated_at) order by consumer_id
        """,
        {"at": at},
    ).fetchall()
    return [consumer for (consumer,) in found]


def sellable_skus(connection: duckdb.DuckDBPyConnection, *, without: Sequence[str] = ()) -> set[str] | None:
    """Skus with an offer in force and something at hand; None where no offer was ever told.

    Args:
        connection: The published warehouse.
        without: Suppliers whose offers do not count.
    """
    if connection.sql("select count(*) from core.dim_offers").fetchone() == (0,):
        return None
    found = connection.execute(
        """
        select distinct sku_id from core.dim_offers as o
        join intermediate.int_stock_levelled as s using (supplier_id, sku_id)
        where o.is_current and s.on_hand_qty > 0 and not list_contains($without, supplier_id)
        """,
        {"without": list(without)},
    ).fetchall()
    return {sku for (sku,) in found}


def product_content(connection: duckdb.DuckDBPyConnection, at: datetime | None = None) -> pl.DataFrame:
    """What is known of each piece of merchandise, whoever bought it; the price is the lowest list price.

    Args:
        connection: The published warehouse.
        at: Prices as they were in force, and told, at this moment; None means now. What a product is (title,
            brand, category) has one state.
    """
    return connection.execute(
        """
        with listings as (
            select sku_id, is_listed, list_price_cents from core.dim_listings
            where $at::timestamptz is null and is_current
            union all
            select sku_id, max_by(is_listed, valid_from), max_by(list_price_cents, valid_from)
            from core.dim_listings
            where valid_from <= $at and received_at <= $at
            group by merchant_id, sku_id
        )
        select sku_id, category_l1_id, category_l2_id, category_l3_id, brand_id, title, l.list_price_cents
        from core.dim_products left join (
            select sku_id, min(list_price_cents) as list_price_cents from listings
            where is_listed group by sku_id
        ) as l using (sku_id)
        where is_merchandise order by sku_id
        """,
        {"at": at},
    ).pl()


def order_time_range(connection: duckdb.DuckDBPyConnection) -> tuple[datetime, datetime] | None:
    """Oldest and newest order (UTC); None without orders."""
    found = connection.sql("select min(placed_at), max(placed_at) from core.fct_orders").fetchone()
    return None if found is None or found[0] is None else (found[0], found[1])
