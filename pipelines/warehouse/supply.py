"""What the grading of suppliers reads from the published warehouse. One query a table; no rule."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import duckdb
import polars as pl

from models.supply.grading.evidence import DELIVERIES, LINES, MARKET, OFFERS, Happened

_CATEGORY = "coalesce(category_l2_id, category_l1_id, 'uncategorised')"


def happened(
    connection: duckdb.DuckDBPyConnection, *, since: datetime, as_of: datetime, fault_reasons: Iterable[str]
) -> Happened:
    """What is known of the suppliers' goods, parcels and prices.

    A line is of a fault where a case of it complains or names a reason that blames the supplier. A parcel
    counts for each category that it carries, from when it came or was due; parcels of orders that are no
    sales count nowhere.

    Args:
        connection: The published warehouse.
        since: Sales and parcels of orders before are left out.
        as_of: Moment of the build.
        fault_reasons: Reason codes of cases that blame the supplier.
    """
    values = {"since": since, "as_of": as_of, "reasons": sorted(fault_reasons)}

    def read(sql: str, schema: dict[str, pl.DataType], *names: str) -> pl.DataFrame:
        rows = connection.execute(sql, {name: values[name] for name in names} or None).pl()
        # Sums of floats depend on the order of what is summed, and a scan gives none.
        return rows.select(pl.col(name).cast(kind) for name, kind in schema.items()).sort(list(schema))

    return Happened(
        lines=read(
            f"""
            with faults as (
                select distinct order_id, line_no from core.fct_after_sales
                where kind = 'complaint' or list_contains($reasons, reason_code)
            )
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
            """,
            DELIVERIES,
            "since",
            "as_of",
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
