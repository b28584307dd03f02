"""What the grading of suppliers reads from the published warehouse. One query a table; no rule."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

import duckdb
import polars as pl

from models.supply.grading.evidence import (
    DELIVERIES,
    HELD,
    LINES,
    MARKET,
    OFFERS,
    PURCHASES,
    Happened,
)

_CATEGORY = "coalesce(category_l2_id, category_l1_id, 'uncategorised')"

_FAULTS = """faults as (
                select distinct order_id, line_no from core.fct_after_sales
                where kind = 'complaint' or list_contains($reasons, reason_code)
            )"""
_PURCHASED = """
            select p.*, m.category_l2_id, m.category_l1_id,
                p.status in ('received', 'closed')
                    or p.received_qty >= coalesce(p.confirmed_qty, p.ordered_qty) as is_here
            from core.fct_purchase_lines p join core.dim_products m using (sku_id)
            where m.is_merchandise and p.placed_at > $since
            """


def happened(
    connection: duckdb.DuckDBPyConnection,
    *,
    since: datetime,
    as_of: datetime,
    today: date,
    fault_reasons: Iterable[str],
    held_skus: Iterable[str] = (),
) -> Happened:
    """What is known of the suppliers' goods, parcels and prices.

    A line is of a fault where a case of it complains or names a reason that blames the supplier. A parcel
    counts for each category that it carries, from when it came or was due; parcels of orders that are no
    sales count nowhere. A line of a purchase order counts as a delivery once all that was confirmed is here,
    the order is closed, or its day has passed; as short where fewer units were confirmed than ordered, or
    came; what was taken back counts nowhere. A line of a customer's order counts as short or declined by what
    the supplier answered when it was asked to ship it.

    Args:
        connection: The published warehouse.
        since: Sales and parcels of orders before are left out.
        as_of: Moment of the build.
        today: Its local day.
        fault_reasons: Reason codes of cases that blame the supplier.
        held_skus: Skus that the quality brake holds; of a supplier counts only what its own buyers faulted.
    """
    values = {
        "since": since,
        "as_of": as_of,
        "today": today,
        "reasons": sorted(fault_reasons),
        "held": sorted(held_skus),
    }

    def read(sql: str, schema: dict[str, pl.DataType], *names: str) -> pl.DataFrame:
        rows = connection.execute(sql, {name: values[name] for name in names} or None).pl()
        # Sums of floats depend on the order of what is summed, and a scan gives none.
        return rows.select(pl.col(name).cast(kind) for name, kind in schema.items()).sort(list(schema))

    return Happened(
        lines=read(
            f"""
            with {_FAULTS}
            select l.supplier_id, {_CATEGORY} as category_id, l.placed_at, f.order_id is not null as is_fault
            from core.fct_order_lines l left join faults f using (order_id, line_no)
            where l.is_sale and l.is_merchandise and l.supplier_id is not null and l.placed_at > $since
            """,
            LINES,
            "since",
            "reasons",
        ),
        deliveries=read(
            f"""
            with carried as (
                select distinct order_id, supplier_id, {_CATEGORY} as category_id from core.fct_order_lines
                where is_sale and is_merchandise and placed_at > $since
            )
            select s.supplier_id, c.category_id, s.promised_at as due_at, s.is_late,
                case when s.is_late then epoch(s.delivered_at - s.promised_at) / 86400 end as days_late
            from core.fct_shipments s join carried c using (order_id, supplier_id)
            where s.is_delivered or s.promised_at <= $as_of
            union all
            select supplier_id, {_CATEGORY}, due_on::timestamp at time zone 'UTC',
                not is_here or coalesce(arrived_on > due_on, true),
                case when is_here and arrived_on > due_on then arrived_on - due_on end
            from ({_PURCHASED})
            where due_on is not null and confirmed_qty is distinct from 0
                and status not in ('changed', 'declined', 'cancelled') and (is_here or due_on < $today)
            """,
            DELIVERIES,
            "since",
            "as_of",
            "today",
        ),
        offers=read(
            f"""
            select o.supplier_id, {_CATEGORY} as category_id, o.sku_id, o.valid_from, o.supply_price_cents,
                o.is_current
            from core.dim_offers o join core.dim_products using (sku_id) where is_merchandise
            """,
            OFFERS,
        ),
        market=read(
            """
            select sku_id, median(price_cents) as price_cents from core.fct_competitor_prices
            where observed_at > $as_of - interval 28 days and observed_at <= $as_of group by sku_id
            """,
            MARKET,
            "as_of",
        ),
        purchases=read(
            f"""
            select supplier_id, {_CATEGORY} as category_id, placed_at,
                case
                    when status in ('placed', 'declined', 'cancelled') or confirmed_qty = 0 then null
                    when confirmed_qty < ordered_qty then true
                    when status in ('received', 'closed') then received_qty < ordered_qty
                end as is_short,
                status = 'declined' or coalesce(confirmed_qty = 0, false) as is_declined
            from ({_PURCHASED}) where status not in ('placed', 'cancelled')
            union all
            select a.supplier_id, {_CATEGORY}, a.answered_at,
                case when a.confirmed_qty > 0 then a.confirmed_qty < a.ordered_qty end, a.confirmed_qty = 0
            from core.fct_supply_answers a join core.dim_products m using (sku_id)
            where m.is_merchandise and a.answered_at > $since
            """,
            PURCHASES,
            "since",
        ),
        held=read(
            f"""
            with {_FAULTS}
            select l.supplier_id, {_CATEGORY} as category_id, max(l.placed_at) as last_at,
                list_contains($held, l.sku_id) and bool_or(f.order_id is not null) as is_held
            from core.fct_order_lines l left join faults f using (order_id, line_no)
            where l.is_sale and l.is_merchandise and l.supplier_id is not null and l.placed_at > $since
            group by l.supplier_id, category_id, l.sku_id
            """,
            HELD,
            "since",
            "reasons",
            "held",
        ),
    )


def suppliers_and_licences(connection: duckdb.DuckDBPyConnection) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Suppliers with `is_active`, and their licences as they stand."""
    suppliers = connection.execute(
        "select supplier_id, is_active from core.dim_suppliers order by supplier_id"
    ).pl()
    licences = connection.execute(
        "select supplier_id, kind, status, is_contested, is_in_force from core.dim_licences"
        " where supplier_id is not null order by licence_id"
    ).pl()
    return suppliers, licences
