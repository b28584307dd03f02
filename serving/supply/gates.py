"""Hard gates: no offer of a gated supplier routes. What gates one: `models.supply.grading`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, LiteralString

import psycopg

Connection = psycopg.Connection[Any]

GATED: Final[LiteralString] = (
    "exists (select from supply.supplier_gate g where g.tenant_id = o.tenant_id"
    " and g.supplier_id = o.supplier_id)"
)
"""The supplier of the offer `o` is gated."""


def put_gates(conn: Connection, tenant_id: str, gates: Mapping[str, str], now: datetime) -> int:
    """Put the gates of a grading into force, whole: who is not named is not gated any more.

    Args:
        conn: Of the database's owner, inside a transaction.
        tenant_id: The tenant.
        gates: Supplier to the reason.
        now: Business time of the grading; a gate whose reason stays keeps the time since which it holds.

    Returns:
        Gates that were put, changed or lifted.
    """
    values = {"tenant": tenant_id, "suppliers": list(gates), "reasons": list(gates.values()), "now": now}
    lifted = conn.execute(
        "delete from supply.supplier_gate where tenant_id = %(tenant)s and supplier_id <> all(%(suppliers)s)",
        values,
    ).rowcount
    put = conn.execute(
        "insert into supply.supplier_gate as g (tenant_id, supplier_id, reason, since)"
        " select %(tenant)s, supplier_id, reason, %(now)s"
        " from unnest(%(suppliers)s::text[], %(reasons)s::text[]) as n (supplier_id, reason)"
        " on conflict (tenant_id, supplier_id) do update set reason = excluded.reason, since = excluded.since"
        " where g.reason <> excluded.reason",
        values,
    ).rowcount
    return lifted + put


def gates_in_force(conn: Connection, tenant_id: str) -> dict[str, str]:
    """Supplier to the reason, of every gate in force."""
    rows = conn.execute(
        "select supplier_id, reason from supply.supplier_gate where tenant_id = %s order by supplier_id",
        (tenant_id,),
    ).fetchall()
    return dict(rows)
