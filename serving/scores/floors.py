"""The floor of the published prices: under it nothing is sold at the cost of its shop alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg

_FLOORS: LiteralString = """
select g.sku_id, g.list_price_cents, x.floor_cents
from scores.current_publication c
join scores.publication_table t using (tenant_id, version)
cross join lateral (
    select l.sku_id, l.floor_cents from scores.live_price l
    where l.snapshot_id = t.snapshot_id and l.merchant_id = %(merchant)s
    union all
    select l.sku_id, l.floor_cents from scores.prices l
    where l.snapshot_id = t.snapshot_id and l.merchant_id = %(merchant)s and not exists (
        select from scores.live_price o where o.snapshot_id = l.snapshot_id
            and o.merchant_id = l.merchant_id and o.sku_id = l.sku_id)
) x
join orders.listing g on g.tenant_id = %(tenant)s and g.merchant_id = %(merchant)s
    and g.sku_id = x.sku_id and g.is_listed
where c.tenant_id = %(tenant)s and t.table_name = 'prices'
    and (%(skus)s::text[] = '{}' or x.sku_id = any(%(skus)s)) order by 1
"""


def listed_with_floors(
    conn: psycopg.Connection[Any], tenant_id: str, merchant_id: str, sku_ids: Sequence[str]
) -> list[tuple[str, int, int]]:
    """Skus that a shop lists and that have a published price.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        merchant_id: The shop.
        sku_ids: Which skus; empty: all.

    Returns:
        Sku, what the shop asks for a unit, and the floor of the publication that is in force, fen.
    """
    values = {"tenant": tenant_id, "merchant": merchant_id, "skus": list(sku_ids)}
    return conn.execute(_FLOORS, values).fetchall()
