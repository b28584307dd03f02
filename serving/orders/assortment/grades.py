"""The published grades of suppliers as routing counts them: steps below the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import psycopg

from serving.orders.routing.contracts import OfferStock

Connection = psycopg.Connection[Any]

STEPS: Final = {"A": 0, "B": 1, "C": 2, "D": 3}
"""A supplier without a grade counts as the last: nothing is known of it."""


def graded(conn: Connection, tenant_id: str, offers: Sequence[OfferStock]) -> list[OfferStock]:
    """Offers with the grades of the current publication.

    The grade is that of the supplier in the nearest category of the sku in which it has one, else its own.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        offers: At most one a supplier and sku.
    """
    rows = conn.execute(
        "with shown as (select t.table_name, t.snapshot_id from scores.current_publication c"
        " join scores.publication_table t using (tenant_id, version) where c.tenant_id = %(tenant)s)"
        " select n.supplier_id, n.sku_id, coalesce((select c.grade from shown s"
        "  join scores.channel_scores c using (snapshot_id) join orders.product p"
        "  on p.tenant_id = %(tenant)s and p.sku_id = n.sku_id and c.category_id = any(p.category_ids)"
        "  where s.table_name = 'channel_scores' and c.supplier_id = n.supplier_id"
        "  order by array_position(p.category_ids, c.category_id) limit 1),"
        " (select g.grade from shown s join scores.supplier_grades g using (snapshot_id)"
        "  where s.table_name = 'supplier_grades' and g.supplier_id = n.supplier_id))"
        " from unnest(%(suppliers)s::text[], %(skus)s::text[]) as n (supplier_id, sku_id)",
        {
            "tenant": tenant_id,
            "suppliers": [offer.supplier_id for offer in offers],
            "skus": [offer.sku_id for offer in offers],
        },
    )
    steps = {(supplier, sku): STEPS.get(grade, max(STEPS.values())) for supplier, sku, grade in rows}
    return [replace(offer, grade_steps=steps[offer.supplier_id, offer.sku_id]) for offer in offers]
