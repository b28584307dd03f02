"""Cases as they are listed: whose, how far, and which are late."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from serving.supervision.records import COLUMNS, ListingCase

Connection = psycopg.Connection[Any]


def cases_page(
    conn: Connection,
    tenant_id: str,
    party: tuple[str, str] | None,
    now: datetime,
    *,
    open_only: bool,
    late_only: bool,
    after: int,
    limit: int,
) -> list[ListingCase]:
    """Cases after a number, by number.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        party: Type and id: its own alone; None shows all.
        now: Business time.
        open_only: Only those that have not ended.
        late_only: Only those about which the platform should have decided by now.
        after: Number where the page before ended.
        limit: Most cases.
    """
    with conn.cursor(row_factory=class_row(ListingCase)) as cursor:
        cursor.execute(
            f"select {COLUMNS} from supervision.listing_case c where c.tenant_id = %(tenant)s"
            " and c.case_id > %(after)s and (not %(open)s or c.ended_at is null)"
            " and (%(type)s::text is null or (c.party_type = %(type)s and c.party_id = %(party)s))"
            " and (not %(late)s or exists (select from supervision.statement s"
            "  where s.tenant_id = c.tenant_id and s.case_id = c.case_id and s.decided_at is null"
            "  and s.decide_by < %(now)s))"
            " order by c.case_id limit %(limit)s",
            {
                "tenant": tenant_id,
                "after": after,
                "open": open_only,
                "late": late_only,
                "type": party[0] if party else None,
                "party": party[1] if party else None,
                "now": now,
                "limit": limit,
            },
        )
        return cursor.fetchall()
