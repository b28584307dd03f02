"""Erasure of a person: the database's `consumers.erase` and `identity.erase` know every place.

Profiles, overlay, published lists, consents, events, texts and recipients are deleted, and the join of
anonymous visitors with what those did; rows about money stay under a pseudonym; a tombstone, which is only a
digest, keeps late rows out and tells the lake whom to drop.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from serving.consumers.errors import OrdersUnderWayError
from serving.db import locks

_UNFINISHED = ("placed", "paid", "shipped")

_REMOVED = ("identity.erase", "feedback.erase", "members.erase")
"""Functions of the database that delete what is somebody's own."""
_RENAMED = (
    "consumers.erase_mentions",
    "consumers.erase_snapshots",
    "coupons.erase",
    "promotions.erase",
    "communities.erase",
    "approvals.erase",
    "journeys.erase",
    "links.erase",
    "experiments.erase",
)
"""Functions of the database that give rows their pseudonym, after `consumers.erase` gave it to the orders."""


@dataclass(frozen=True)
class Erased:
    """What an erasure did.

    Attributes:
        is_new: False when the person was erased before; late leftovers are counted then.
        pseudonym: The name that rows about money have since.
        removed: Rows that were deleted.
        anonymised: Rows that stay under the pseudonym.
    """

    is_new: bool
    pseudonym: str
    removed: int
    anonymised: int


def erase(conn: psycopg.Connection[Any], tenant_id: str, consumer_id: str, now: datetime) -> Erased:
    """Erase a person, whether or not anything of theirs is here; again is safe.

    Waits for a delta or the end of a publication that is being written.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        consumer_id: Who.
        now: Business time.

    Raises:
        OrdersUnderWayError: An order of theirs is neither received nor ended.
    """
    row = conn.execute(
        "select count(*) from orders.customer_order"
        " where tenant_id = %s and consumer_id = %s and status = any(%s)",
        (tenant_id, consumer_id, list(_UNFINISHED)),
    ).fetchone()
    if row is not None and row[0]:
        raise OrdersUnderWayError(f"{row[0]} orders of the consumer are neither received nor cancelled")
    locks.erasure(conn, tenant_id, consumer_id)
    done = conn.execute(
        "select is_new, pseudonym, removed, anonymised from consumers.erase(%s, %s, %s)",
        (consumer_id, f"erased-{secrets.token_hex(8)}", now),
    ).fetchone()
    assert done is not None
    is_new, pseudonym, removed, anonymised = done
    removed += sum(_count(conn, function, consumer_id) for function in _REMOVED)
    anonymised += sum(_count(conn, function, consumer_id, pseudonym) for function in _RENAMED)
    return Erased(is_new, pseudonym, removed, anonymised)


def _count(conn: psycopg.Connection[Any], function: str, *arguments: str) -> int:
    places = ", ".join(["%s"] * len(arguments))
    row = conn.execute(f"select {function}({places})".encode(), arguments).fetchone()
    return int(row[0]) if row is not None else 0
