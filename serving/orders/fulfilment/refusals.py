"""What suppliers said they do not ship of their parts of orders, kept so that it counts in their grades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg

from serving.orders.records import OrderLine

Connection = psycopg.Connection[Any]


def keep_refusals(
    conn: Connection,
    tenant_id: str,
    order_id: str,
    lines: Sequence[OrderLine],
    kept: Mapping[int, int],
    now: datetime,
) -> None:
    """Keep what a supplier does not ship, wherever it goes from here.

    Of a line that was accepted short and is rejected later, what was asked for first and what is kept last
    stands.

    Args:
        conn: Inside the transaction of the answer.
        tenant_id: The tenant.
        order_id: The order.
        lines: Lines of the supplier's part that wait for it.
        kept: Line number to the units that it ships, fewer than it was asked for.
        now: Business time.
    """
    rows = [line for line in lines if line.line_no in kept]
    if not rows:
        return
    conn.execute(
        "insert into orders.refused_line as r (tenant_id, order_id, line_no, supplier_id, sku_id,"
        " ordered_qty, kept_qty, refused_at) select %(tenant)s, %(order)s, n.* , %(now)s"
        " from unnest(%(lines)s::int[], %(suppliers)s::text[], %(skus)s::text[], %(ordered)s::bigint[],"
        " %(kept)s::bigint[]) as n on conflict (tenant_id, order_id, line_no, supplier_id) do update"
        " set kept_qty = excluded.kept_qty, refused_at = excluded.refused_at, xact_id = pg_current_xact_id()",
        {
            "tenant": tenant_id,
            "order": order_id,
            "now": now,
            "lines": [line.line_no for line in rows],
            "suppliers": [line.supplier_id for line in rows],
            "skus": [line.sku_id for line in rows],
            "ordered": [line.reserved_qty for line in rows],
            "kept": [kept[line.line_no] for line in rows],
        },
    )
