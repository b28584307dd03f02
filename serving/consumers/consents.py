"""Consents: statements of a consumer about a purpose, kept for ever; the latest one stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg

from serving.consumers.erased import require_not_erased
from serving.consumers.errors import ConsentContradictsError

Purpose = Literal["marketing", "profiling", "cross_merchant"]


@dataclass(frozen=True)
class Statement:
    """What a consumer allowed or withdrew.

    Attributes:
        consumer_id: Who.
        purpose: `marketing`: being contacted; `profiling`: automated conclusions from behaviour;
            `cross_merchant`: lists at a merchant made from what was bought at any.
        granted: False withdraws.
        stated_at: When the consumer said so, with a time zone.
        source: Where, e.g. `app_settings`.
    """

    consumer_id: str
    purpose: Purpose
    granted: bool
    stated_at: datetime
    source: str


def state(conn: psycopg.Connection[Any], tenant_id: str, statement: Statement, received_at: datetime) -> bool:
    """Keep a statement; one with the same purpose and moment is the same statement.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        statement: What was said.
        received_at: Business time of the receipt.

    Returns:
        Whether it is new.

    Raises:
        ConsentContradictsError: The same moment is known with the opposite.
        ConsumerErasedError: The consumer was erased.
    """
    require_not_erased(conn, tenant_id, statement.consumer_id, "there is nobody to state a consent of")
    values = {
        "tenant": tenant_id,
        "consumer": statement.consumer_id,
        "purpose": statement.purpose,
        "granted": statement.granted,
        "stated_at": statement.stated_at,
        "source": statement.source,
        "received_at": received_at,
    }
    stored = conn.execute(
        "insert into consumers.consent"
        " (tenant_id, consumer_id, purpose, granted, stated_at, source, received_at) values (%(tenant)s,"
        " %(consumer)s, %(purpose)s, %(granted)s, %(stated_at)s, %(source)s, %(received_at)s)"
        " on conflict do nothing",
        values,
    )
    if stored.rowcount:
        return True
    known = conn.execute(
        "select granted from consumers.consent where tenant_id = %(tenant)s and consumer_id = %(consumer)s"
        " and purpose = %(purpose)s and stated_at = %(stated_at)s",
        values,
    ).fetchone()
    if known is not None and known[0] != statement.granted:
        raise ConsentContradictsError(
            f"{statement.stated_at.isoformat()} is known with granted = {str(known[0]).lower()}: "
            "send the moment of the later statement"
        )
    return False


def standing(conn: psycopg.Connection[Any], tenant_id: str, consumer_id: str) -> dict[str, bool]:
    """Purpose to whether it is allowed, for purposes that the consumer ever spoke about."""
    rows = conn.execute(
        "select distinct on (purpose) purpose, granted from consumers.consent"
        " where tenant_id = %s and consumer_id = %s order by purpose, stated_at desc",
        (tenant_id, consumer_id),
    )
    return dict(rows.fetchall())
