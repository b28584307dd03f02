"""Holds on agents that their rules place and end; what a hold stops is said by `settlement.control.holds`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import psycopg

from serving.ledger.accounts import Party
from serving.settlement.control.holds import Hold, HoldSource, holds_on, lift_hold, on_party, place_hold


def hold_agent(
    conn: psycopg.Connection[Any],
    tenant_id: str,
    agent_id: str,
    source: HoldSource,
    reason_code: str,
    now: datetime,
    expires_at: datetime | None,
) -> Hold:
    """Stop payment to an agent; a hold that stands for the same reason is prolonged instead.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        agent_id: A known agent.
        source: The rule that asks for it.
        reason_code: Why.
        now: From when it stands.
        expires_at: When it ends by itself; None: when an operator resolves it.
    """
    # Agents that came with a feed may have no party yet; a hold is on the party.
    conn.execute(
        "insert into parties.party (tenant_id, party_type, party_id, is_natural_person)"
        " values (%s, 'agent', %s, true) on conflict do nothing",
        (tenant_id, agent_id),
    )
    return place_hold(
        conn, tenant_id, on_party(Party("agent", agent_id)), source, reason_code, now, expires_at
    )


def standing_holds(conn: psycopg.Connection[Any], tenant_id: str, agent_id: str, now: datetime) -> list[Hold]:
    """Holds that stop payment to an agent at a moment, oldest first."""
    return [
        hold
        for hold in holds_on(conn, tenant_id, on_party(Party("agent", agent_id)))
        if hold.state == "standing" and (hold.expires_at is None or hold.expires_at > now)
    ]


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
    ended = [
        hold
        for hold in standing_holds(conn, tenant_id, agent_id, now)
        if hold.source == source and hold.reason_code in reason_codes
    ]
    for hold in ended:
        lift_hold(conn, tenant_id, hold.hold_id, by, now)
    return len(ended)
