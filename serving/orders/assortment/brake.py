"""What the quality brake lets orders and listings do; the levels themselves: `serving.quality.levels`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import psycopg

from serving.orders.errors import SaleStoppedError
from serving.quality.levels import in_force

Connection = psycopg.Connection[Any]


def require_sold(conn: Connection, tenant_id: str, sku_ids: Iterable[str], now: datetime) -> frozenset[str]:
    """Refuse skus that the brake stopped.

    Args:
        conn: Inside a transaction of the tenant that holds `locks.brake_stays`.
        tenant_id: The tenant.
        sku_ids: What is to be sold or listed.
        now: Business time.

    Returns:
        Those that may be sold, but not promoted: no coupon takes anything off them.

    Raises:
        SaleStoppedError: One is at level 3 or above.
    """
    found = in_force(conn, tenant_id, sku_ids, now)
    stopped = [(one.sku_id, int(one.level), one.reason_code) for one in found if one.is_stopped]
    if stopped:
        raise SaleStoppedError(stopped)
    return frozenset(one.sku_id for one in found if one.is_limited)


def is_stopped(conn: Connection, tenant_id: str, sku_id: str, now: datetime) -> bool:
    """Whether a line of the sku may go to no other supplier, since nobody shall ship more of it."""
    return any(one.is_stopped for one in in_force(conn, tenant_id, [sku_id], now))
