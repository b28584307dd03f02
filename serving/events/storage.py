"""Storing events once each, one statement a batch. Which events are good is decided in `reading`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import psycopg

from serving.events.contracts import Event

_COLUMNS = {
    "event_id": "text",
    "merchant_id": "text",
    "consumer_id": "text",
    "anonymous_id": "text",
    "session_id": "text",
    "event_type": "text",
    "sku_id": "text",
    "query": "text",
    "dwell_ms": "bigint",
    "position": "integer",
    "policy_version": "text",
    "propensity": "double precision",
    "occurred_at": "timestamptz",
}
_NAMES = ", ".join(_COLUMNS)
_ROWS = ", ".join(f"%({name})s::{kind}[]" for name, kind in _COLUMNS.items())
_INSERT = (
    f"insert into events.event (tenant_id, {_NAMES}, received_at)"
    f" select %(tenant)s, {_NAMES}, %(received_at)s from unnest({_ROWS}) as sent ({_NAMES})"
    " on conflict (tenant_id, event_id) do nothing returning event_id"
)
_COMPARE = (
    "select sent.event_id from"
    f" unnest({_ROWS}) as sent ({_NAMES})"
    " join events.event as known on known.tenant_id = %(tenant)s and known.event_id = sent.event_id"
    " where sent.event_id = any(%(known)s) and ("
    + ", ".join(f"known.{name}" for name in _COLUMNS)
    + ") is distinct from ("
    + ", ".join(f"sent.{name}" for name in _COLUMNS)
    + ")"
)


def store_events(
    conn: psycopg.Connection, tenant_id: str, events: Sequence[Event], received_at: datetime
) -> tuple[set[str], set[str]]:
    """Store what is not stored yet.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        events: With ids that differ.
        received_at: Business time of the receipt.

    Returns:
        Ids stored now, and ids that stand for an event with another content.
    """
    if not events:
        return set(), set()
    # In the order of their ids: two batches with the same events then wait for each other, never in a circle.
    rows = sorted(events, key=lambda event: event.event_id)
    values: dict[str, object] = {name: [getattr(event, name) for event in rows] for name in _COLUMNS}
    values |= {"tenant": tenant_id, "received_at": received_at}
    stored = {row[0] for row in conn.execute(_INSERT, values)}
    known = [event.event_id for event in rows if event.event_id not in stored]
    if not known:
        return stored, set()
    return stored, {row[0] for row in conn.execute(_COMPARE, {**values, "known": known})}
