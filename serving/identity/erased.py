"""Which anonymous visitors an erased person was: only digests are left of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import psycopg


def erased_visitors(conn: psycopg.Connection[Any], tenant_id: str) -> dict[str, datetime]:
    """Digest of a visitor, as of a consumer, to the moment up to which its events are erased."""
    rows = conn.execute(
        "select visitor_digest, erased_at from identity.erased_visitor where tenant_id = %s order by 1",
        (tenant_id,),
    )
    return {row[0]: row[1] for row in rows}


def erased_of(
    conn: psycopg.Connection[Any], tenant_id: str, seen: Iterable[tuple[str, datetime]]
) -> set[tuple[str, datetime]]:
    """Of visitors at moments those at which the visitor was a person who was erased later.

    A visitor may be seen again after the erasure: that is somebody whom nobody knows. Call `hold_erasures`
    before.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        seen: Visitor (`anonymous_id`) and moment.
    """
    wanted = list(seen)
    rows = conn.execute(
        "select s.visitor, s.at"
        " from unnest(%(visitors)s::text[], %(moments)s::timestamptz[]) as s (visitor, at)"
        " join identity.erased_visitor v on v.tenant_id = %(tenant)s"
        " and v.visitor_digest = consumers.digest(%(tenant)s, s.visitor) and s.at <= v.erased_at",
        {
            "tenant": tenant_id,
            "visitors": [visitor for visitor, _ in wanted],
            "moments": [at for _, at in wanted],
        },
    )
    return {(visitor, at) for visitor, at in rows}
