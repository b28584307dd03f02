"""What supervision holds, for ordering, listing and lists. Who changes it: `judging`, `statements`.

A case may change at any moment. Whoever sells holds `locks.brake_stays` from before the read until commit,
and whoever changes a case waits for all of them (`locks.brake`): nothing is sold after a hold is committed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, LiteralString

import psycopg

from models.supply.supervision.ladder import Level

Connection = psycopg.Connection[Any]

HELD_OFFER: Final[LiteralString] = (
    "exists (select from supervision.listing_case h where h.tenant_id = o.tenant_id"
    " and h.party_type = 'supplier' and h.party_id = o.supplier_id and h.sku_id = o.sku_id"
    " and h.ended_at is null and h.level >= 2)"
)
"""The offer `o` is held: nothing routes to it."""

HELD_LISTINGS: Final[LiteralString] = (
    "select h.sku_id from supervision.listing_case h where h.tenant_id = %(tenant)s"
    " and h.party_type = 'merchant' and h.party_id = %(merchant_id)s and h.ended_at is null and h.level >= 2"
)
"""Skus that a merchant may not sell, for lists."""


def held_listings(
    conn: Connection, tenant_id: str, merchant_id: str, sku_ids: Iterable[str]
) -> list[tuple[str, Level]]:
    """The skus among some that a merchant may not sell, by id, each with its level.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        merchant_id: The merchant.
        sku_ids: Wanted skus.
    """
    rows = conn.execute(
        "select h.sku_id, h.level from supervision.listing_case h where h.tenant_id = %s"
        " and h.party_type = 'merchant' and h.party_id = %s and h.sku_id = any(%s)"
        " and h.ended_at is null and h.level >= %s order by h.sku_id",
        (tenant_id, merchant_id, sorted(set(sku_ids)), int(Level.HOLD)),
    )
    return [(sku_id, Level(level)) for sku_id, level in rows]
