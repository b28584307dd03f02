"""Which anonymous visitors an erased person was: only digests are left of them."""

from __future__ import annotations

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
