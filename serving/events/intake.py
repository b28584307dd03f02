"""A batch of events, stored, with the receipt for its sender: thin wiring over `reading` and `storage`."""

from __future__ import annotations

from datetime import datetime

import psycopg

from serving.consumers.erased import erased_among, hold_erasures
from serving.events.contracts import Event, EventReceipt
from serving.events.reading import IndexedEvent, ReadBatch, erased_consumer, first_of_each, reused_id
from serving.events.storage import store_events
from serving.identity.erased import erased_of


def receive(
    conn: psycopg.Connection, tenant_id: str, batch: ReadBatch, received_at: datetime
) -> EventReceipt:
    """Store the good events of a batch and account for every one of it.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        batch: As `read_batch` made it.
        received_at: Business time of the receipt.
    """
    hold_erasures(conn)
    named = {item.event.consumer_id for item in batch.good if item.event.consumer_id is not None}
    erased = erased_among(conn, tenant_id, named) if named else set()
    visits = {visit for item in batch.good if (visit := _unnamed(item.event)) is not None}
    joined = erased_of(conn, tenant_id, visits) if visits else set()
    good: list[IndexedEvent] = []
    gone: list[IndexedEvent] = []
    for item in batch.good:
        is_gone = item.event.consumer_id in erased or _unnamed(item.event) in joined
        (gone if is_gone else good).append(item)
    first, repeated, reused = first_of_each(good)
    stored, conflicting = store_events(conn, tenant_id, [item.event for item in first], received_at)
    reused += [item for item in (*first, *repeated) if item.event.event_id in conflicting]
    refusals = sorted(
        [*batch.refused, *map(erased_consumer, gone), *map(reused_id, reused)],
        key=lambda refusal: refusal.index,
    )
    return EventReceipt(
        received=batch.received,
        accepted=len(stored),
        duplicates=batch.received - len(stored) - len(refusals),
        refused=len(refusals),
        refusals=refusals,
    )


def _unnamed(event: Event) -> tuple[str, datetime] | None:
    """Visitor and moment of an event that names no consumer."""
    if event.consumer_id is not None or event.anonymous_id is None:
        return None
    return event.anonymous_id, event.occurred_at
