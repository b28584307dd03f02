"""Holds that rules of agents place and end. What a hold stops, and how it is resolved, belongs to settlement.

Each hold has a source and a reason code; an operator lifts or confirms it (appeal).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row

from serving.ledger.accounts import Party
from serving.settlement.blocks import party_target

HoldSource = Literal["violation", "diversion", "composition"]


@dataclass(frozen=True, slots=True)
class StandingHold:
    """A hold on an agent that is not resolved; `expires_at` None: until it is."""

    hold_id: int
    source: str
    reason_code: str
    placed_at: datetime
    expires_at: datetime | None


def hold_agent(
    conn: psycopg.Connection[Any],
    tenant_id: str,
    agent_id: str,
    source: HoldSource,
    reason_code: str,
    now: datetime,
    expires_at: datetime | None,
) -> int:
    """Stop payment to an agent; a hold that stands for the same reason is prolonged instead.

    Returns:
        The hold.
    """
    # The row that pay-outs and releases share-lock: they either see the hold or end before it.
    conn.execute(
        "select 1 from parties.party where tenant_id = %s and party_type = 'agent' and party_id = %s for "
        "update",
        (tenant_id, agent_id),
    )
    return _place(conn, tenant_id, "party", _target(agent_id), source, reason_code, now, expires_at)


def hold_order(
    conn: psycopg.Connection[Any],
    tenant_id: str,
    order_id: str,
    source: HoldSource,
    reason_code: str,
    now: datetime,
    expires_at: datetime | None,
) -> int:
    """Stop the release of an order; a hold that stands for the same reason is prolonged instead.

    Returns:
        The hold.
    """
    conn.execute(
        "select 1 from orders.customer_order where tenant_id = %s and order_id = %s for update",
        (tenant_id, order_id),
    )
    return _place(conn, tenant_id, "order", order_id, source, reason_code, now, expires_at)


def standing_holds(conn: psycopg.Connection[Any], tenant_id: str, agent_id: str) -> list[StandingHold]:
    """Holds on an agent that are not resolved, oldest first; expired ones stand here and stop nothing."""
    with conn.cursor(row_factory=class_row(StandingHold)) as cursor:
        return cursor.execute(
            "select hold_id, source, reason_code, placed_at, expires_at from settlement.hold"
            " where tenant_id = %s and target_type = 'party' and target_id = %s and state = 'standing'"
            " order by placed_at, hold_id",
            (tenant_id, _target(agent_id)),
        ).fetchall()


def lift_holds(
    conn: psycopg.Connection[Any],
    tenant_id: str,
    agent_id: str,
    source: HoldSource,
    reason_codes: Collection[str],
    now: datetime,
    by: str,
) -> int:
    """Lift the standing holds on an agent with these reasons.

    Returns:
        How many there were.
    """
    return conn.execute(
        "update settlement.hold set state = 'lifted', resolved_at = %(now)s, resolved_by = %(by)s"
        " where tenant_id = %(tenant)s and target_type = 'party' and target_id = %(target)s"
        " and source = %(source)s and reason_code = any(%(reasons)s) and state = 'standing'",
        {
            "tenant": tenant_id,
            "target": _target(agent_id),
            "source": source,
            "reasons": list(reason_codes),
            "now": now,
            "by": by,
        },
    ).rowcount


def _target(agent_id: str) -> str:
    return party_target(Party("agent", agent_id))


def _place(
    conn: psycopg.Connection[Any],
    tenant_id: str,
    target_type: str,
    target_id: str,
    source: str,
    reason_code: str,
    now: datetime,
    expires_at: datetime | None,
) -> int:
    row = conn.execute(
        "insert into settlement.hold as h"
        " (tenant_id, target_type, target_id, source, reason_code, placed_at, expires_at)"
        " values (%s, %s, %s, %s, %s, %s, %s)"
        " on conflict (tenant_id, target_type, target_id, source, reason_code) where state = 'standing'"
        # Nothing is later than no end at all.
        " do update set expires_at = case when h.expires_at is null or excluded.expires_at is null then null"
        " else greatest(h.expires_at, excluded.expires_at) end"
        " returning hold_id",
        (tenant_id, target_type, target_id, source, reason_code, now, expires_at),
    ).fetchone()
    assert row is not None
    return int(row[0])
