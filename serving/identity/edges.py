"""Edges from an anonymous visitor to a consumer: stated with evidence, revoked, never deleted.

An anonymous event belongs to a consumer when exactly one consumer has an edge of its visitor that is valid at
the moment of the event; two at once (a shared device) belong to nobody. The lake joins by that rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg

from serving.consumers.erased import require_not_erased

Evidence = Literal["login", "verified_contact", "support"]
"""What shows that the visitor is the consumer; holding the same device does not."""


@dataclass(frozen=True)
class Edge:
    """A visitor is a consumer from a moment on, until it is revoked."""

    anonymous_id: str
    consumer_id: str
    valid_from: datetime
    evidence: str
    revoked_at: datetime | None


def link(
    conn: psycopg.Connection[Any],
    tenant_id: str,
    anonymous_id: str,
    consumer_id: str,
    valid_from: datetime,
    evidence: Evidence,
    received_at: datetime,
) -> bool:
    """State an edge; the same again changes nothing, and a revoked one stays revoked.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        anonymous_id: The visitor, as in events.
        consumer_id: Who it is.
        valid_from: From when on, e.g. the begin of the visit in which the consumer logged in.
        evidence: What shows it.
        received_at: Business time of the receipt.

    Returns:
        Whether it is new.

    Raises:
        ConsumerErasedError: The consumer was erased.
    """
    require_not_erased(conn, tenant_id, consumer_id, "nobody can be joined to them")
    stored = conn.execute(
        "insert into identity.edge (tenant_id, anonymous_id, consumer_id, valid_from, evidence, received_at)"
        " values (%s, %s, %s, %s, %s, %s) on conflict do nothing",
        (tenant_id, anonymous_id, consumer_id, valid_from, evidence, received_at),
    )
    return stored.rowcount == 1


def unlink(
    conn: psycopg.Connection[Any],
    tenant_id: str,
    anonymous_id: str,
    consumer_id: str,
    revoked_at: datetime,
) -> int:
    """End the edges between a visitor and a consumer that hold at a moment; events before it stay joined.

    Returns:
        How many were ended; 0 when none held.
    """
    return conn.execute(
        "update identity.edge set revoked_at = %(at)s, xact_id = pg_current_xact_id()"
        " where tenant_id = %(tenant)s and anonymous_id = %(anonymous)s and consumer_id = %(consumer)s"
        " and valid_from <= %(at)s and (revoked_at is null or revoked_at > %(at)s)",
        {"tenant": tenant_id, "anonymous": anonymous_id, "consumer": consumer_id, "at": revoked_at},
    ).rowcount


def edges_of(conn: psycopg.Connection[Any], tenant_id: str, anonymous_id: str) -> Sequence[Edge]:
    """Every edge of a visitor, revoked ones too, oldest first."""
    rows = conn.execute(
        "select anonymous_id, consumer_id, valid_from, evidence, revoked_at from identity.edge"
        " where tenant_id = %s and anonymous_id = %s order by valid_from, consumer_id",
        (tenant_id, anonymous_id),
    )
    return [Edge(*row) for row in rows]
