"""Published reorder suggestions as they can be ordered now: at an offer in force, less what is on order.

What arrived after the moment of the publication counts as on order: the suggestion does not know of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg

from serving.orders.assortment.orderable import IN_FORCE
from serving.quality.levels import STOPPED

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Suggested:
    """Units of a sku that a supplier should bring in.

    Attributes:
        supplier_id: The supplier.
        sku_id: The sku.
        qty: Units that are suggested and not on order, at least the smallest order of the offer.
        supply_price_cents: Of a unit, by the offer in force, fen.
        lead_time_days: Of the offer.
        order_by_on: Day by which it must be ordered to be here in time.
        reason_code: Why.
        categories: Of the sku, from the leaf to the root.
        source: The publication.
    """

    supplier_id: str
    sku_id: str
    qty: int
    supply_price_cents: int
    lead_time_days: int
    order_by_on: date
    reason_code: str
    categories: Sequence[str]
    source: str

    @property
    def value_cents(self) -> int:
        """What it costs, fen."""
        return self.qty * self.supply_price_cents


def suggested(
    conn: Connection, tenant_id: str, until: date, offer: tuple[str, str] | None = None
) -> list[Suggested]:
    """What the current publication suggests to order by a day and no brake stops, by supplier and sku.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        until: What has until later is left for a later run.
        offer: Only of this supplier and sku.
    """
    rows = conn.execute(
        f"""
        with shown as (
            select c.version, t.snapshot_id, p.as_of from scores.current_publication c
            join scores.publication p using (tenant_id, version)
            join scores.publication_table t using (tenant_id, version)
            where c.tenant_id = %(tenant)s and t.table_name = 'reorder_suggestions'
        ),
        ordered as (
            select supplier_id, sku_id, sum(qty)::bigint as qty from (
                select o.supplier_id, l.sku_id,
                    coalesce(l.confirmed_qty, l.ordered_qty) - l.received_qty as qty
                from purchasing.purchase_order o
                join purchasing.purchase_line l using (tenant_id, purchase_order_id)
                where o.tenant_id = %(tenant)s and o.status in ('placed', 'changed', 'confirmed', 'shipped')
                union all
                -- The suggestion does not know what came since.
                select m.supplier_id, m.sku_id, m.qty_delta from orders.stock_movement m cross join shown
                where m.tenant_id = %(tenant)s and m.purchase_order_id is not null
                    and m.occurred_at > shown.as_of
            ) d group by 1, 2
        )
        select r.supplier_id, r.sku_id, greatest(r.reorder_qty - coalesce(d.qty, 0), o.min_order_qty),
            o.supply_price_cents, o.lead_time_days, r.order_by_on, r.reason_code,
            coalesce(p.category_ids, '{{}}'::text[]), shown.version
        from shown join scores.reorder_suggestions r using (snapshot_id)
        join orders.offer o on o.tenant_id = %(tenant)s and o.supplier_id = r.supplier_id
            and o.sku_id = r.sku_id
        left join orders.product p on p.tenant_id = %(tenant)s and p.sku_id = r.sku_id
        left join ordered d on d.supplier_id = r.supplier_id and d.sku_id = r.sku_id
        where r.order_by_on <= %(until)s
            and (%(supplier)s::text is null or (r.supplier_id, r.sku_id) = (%(supplier)s, %(sku)s))
            and r.reorder_qty > coalesce(d.qty, 0) and {IN_FORCE} and r.sku_id not in ({STOPPED})
        order by r.supplier_id, r.sku_id
        """,
        {
            "tenant": tenant_id,
            "until": until,
            "supplier": None if offer is None else offer[0],
            "sku": None if offer is None else offer[1],
        },
    ).fetchall()
    return [Suggested(*row) for row in rows]
