"""Coupon programmes as journeys name them: by name, so that a new one takes over when the old one ends."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import psycopg

Connection = psycopg.Connection[Any]


class Left(NamedTuple):
    """The programme of a name that was opened last.

    Attributes:
        programme_id: Its id.
        cents: What is left of its budget, fen; 0 when the count is used up.
    """

    programme_id: str
    cents: int


def in_force(conn: Connection, tenant_id: str, now: datetime) -> dict[str, Left]:
    """By name, the active programme that was opened last.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        now: Business time.
    """
    rows = conn.execute(
        "select distinct on (name) name, programme_id,"
        " case when spent_count < budget_count then budget_cents - spent_cents else 0 end"
        " from coupons.programme where tenant_id = %s and status = 'active' and valid_from <= %s"
        " and valid_to > %s"
        " order by name, opened_at desc, programme_id",
        (tenant_id, now, now),
    )
    return {name: Left(programme_id, cents) for name, programme_id, cents in rows}
