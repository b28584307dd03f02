"""What the signs of counterfeits are read from, out of the warehouse; and the mart that shows the cases."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from models.supply.supervision.facts import COLUMNS, Facts

_QUERIES = {
    "listings": """
        select l.merchant_id, l.sku_id, p.brand_id, l.list_price_cents, l.title, l.image_hash,
            began.since
        from core.dim_listings as l
        join (
            select merchant_id, sku_id, min(valid_from) as since from core.dim_listings group by all
        ) as began using (merchant_id, sku_id)
        left join core.dim_products as p using (sku_id)
        where l.is_current and l.is_listed
        order by l.merchant_id, l.sku_id
    """,
    "offers": """
        select o.supplier_id, o.sku_id, p.brand_id, p.supplier_id as maker_id, o.supply_price_cents
        from core.dim_offers as o left join core.dim_products as p using (sku_id)
        where o.is_current
        order by o.supplier_id, o.sku_id
    """,
    "authorisations": """
        select distinct brand_id, supplier_id, merchant_id from core.dim_licences
        where kind = 'brand_authorisation' and is_in_force
        order by all
    """,
    "sold": """
        select merchant_id, supplier_id, sku_id, order_id,
            coalesce(floor(sum(qty) filter (where is_sale)), 0) as units, min(placed_at) as placed_at
        from core.fct_order_lines
        where is_merchandise and qty_milli > 0 and placed_at > $since and placed_at <= $as_of
        group by merchant_id, supplier_id, sku_id, order_id
        order by all
    """,
    "complaints": """
        select merchant_id, supplier_id, sku_id, order_id, reason_code as reason, opened_at
        from core.fct_after_sales
        where opened_at > $since and received_at <= $as_of and merchant_id is not null and sku_id is not null
        order by all
    """,
    "batches": "select batch_id, sku_id, supplier_id, qty from core.dim_batches order by batch_id",
    "scans": """
        select o.batch_id, l.sku_id, l.supplier_id, l.order_id, l.units, min(o.occurred_at) as seen_at
        from core.fct_supply_observations as o
        join core.fct_shipments as s using (shipment_id)
        join (
            select order_id, supplier_id, sku_id, greatest(1, floor(sum(qty))) as units
            from core.fct_order_lines where is_merchandise and qty_milli > 0 group by all
        ) as l on l.order_id = s.order_id and l.supplier_id = s.supplier_id and l.sku_id = o.sku_id
        where o.kind = 'parcel_scan' and o.batch_id is not null and o.received_at <= $as_of
        group by all
        order by all
    """,
}


def facts(
    connection: duckdb.DuckDBPyConnection,
    *,
    since: datetime,
    as_of: datetime,
    invoices: pl.DataFrame,
    cleared: pl.DataFrame,
) -> Facts:
    """Listings, offers and papers in force, what was ordered, complained about and scanned.

    Args:
        connection: The published warehouse.
        since: Orders and cases after this moment.
        as_of: What was received by this moment.
        invoices: As `Facts.invoices`.
        cleared: As `Facts.cleared`.
    """
    found = {}
    for name, query in _QUERIES.items():
        moments = {key: at for key, at in (("since", since), ("as_of", as_of)) if f"${key}" in query}
        frame = connection.execute(query, moments).pl()
        found[name] = frame.select(pl.col(column).cast(kind) for column, kind in COLUMNS[name].items())
    return Facts(**found, invoices=invoices, cleared=cleared)


def put_cases(file: Path, cases: Path) -> int:
    """Write the open cases into `analyst.mart_listing_supervision` of a warehouse file.

    Args:
        file: A DuckDB file that nobody else has open.
        cases: The cases that the last night left, as Parquet.

    Returns:
        Rows of the mart that have one.
    """
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "update analyst.mart_listing_supervision as m set level = c.level, score = c.score,"
            " signs = c.signs, opened_at = c.opened_at, due_at = c.due_at"
            " from read_parquet($cases) as c where c.party_type = m.party_type"
            " and c.party_id = m.party_id and c.sku_id = m.sku_id",
            {"cases": str(cases)},
        )
        told = connection.execute(
            "select count(*) from analyst.mart_listing_supervision where level is not null"
        ).fetchone()
    return told[0] if told else 0
