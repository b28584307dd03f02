"""What supervision lets orders and listings of a merchant do; the cases themselves: `serving.supervision`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

from models.supply.supervision.ladder import Level
from serving.orders.errors import ListingHeldError
from serving.supervision.held import held_listings

Connection = psycopg.Connection[Any]


def require_not_held(conn: Connection, tenant_id: str, merchant_id: str, sku_ids: Iterable[str]) -> None:
    """Refuse to sell what supervision holds.

    Args:
        conn: Inside a transaction of the tenant that holds `locks.brake_stays`.
        tenant_id: The tenant.
        merchant_id: Whose listings.
        sku_ids: What is to be sold.

    Raises:
        ListingHeldError: One is held or was taken off.
    """
    _require(conn, tenant_id, merchant_id, sku_ids, Level.HOLD)


def require_may_list(conn: Connection, tenant_id: str, merchant_id: str, sku_ids: Iterable[str]) -> None:
    """Refuse to list what supervision took off; what is held may be put right meanwhile.

    Args:
        conn: Inside a transaction of the tenant that holds `locks.brake_stays`.
        tenant_id: The tenant.
        merchant_id: Whose listings.
        sku_ids: What is to be on sale.

    Raises:
        ListingHeldError: One was taken off.
    """
    _require(conn, tenant_id, merchant_id, sku_ids, Level.DELIST)


def _require(
    conn: Connection, tenant_id: str, merchant_id: str, sku_ids: Iterable[str], least: Level
) -> None:
    held = [sku for sku, level in held_listings(conn, tenant_id, merchant_id, sku_ids) if level >= least]
    if held:
        raise ListingHeldError(merchant_id, held)
