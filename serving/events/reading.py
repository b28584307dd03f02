"""From the body of a request to good events and refusals. Pure: no database, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from serving.batches import fault_of
from serving.errors import ServingError
from serving.events.contracts import MOST_EVENTS, Event, EventBatch, EventRefusal, RefusedEvent

CLOCK_TOLERANCE = timedelta(days=1)
"""How far a sender's clock may run ahead."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

_BATCH = msgspec.json.Decoder(EventBatch)
_EVENT = msgspec.json.Decoder(Event)


class EventBatchError(ServingError):
    """A body is no batch of events; nothing of it was stored."""


@dataclass(frozen=True, slots=True)
class IndexedEvent:
    """A good event and its place in the batch."""

    index: int
    event: Event


class ReadBatch(NamedTuple):
    """A batch, read: `received` = good + refused."""

    received: int
    good: list[IndexedEvent]
    refused: list[RefusedEvent]


class MerchantLimit(NamedTuple):
    """The one merchant that a key may send events of; None: the key may send none."""

    merchant_id: str | None


def read_batch(body: bytes, *, received_at: datetime, only: MerchantLimit | None) -> ReadBatch:
    """Read a batch and sort its events into good and refused.

    Args:
        body: JSON `{"events": [...]}`.
        received_at: Now; an event of the future is refused.
        only: The merchant of the key; it is filled in where an event names none. None for operators.

    Raises:
        EventBatchError: The body is no such JSON, or holds more than `MOST_EVENTS` events.
    """
    try:
        # Strings are not decoded while an event is skipped over, so the encoding is looked at first.
        body.decode("utf-8")
        raw_events = _BATCH.decode(body).events
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise EventBatchError(f'the body is not {{"events": [...]}}: {error}') from error
    if len(raw_events) > MOST_EVENTS:
        raise EventBatchError(
            f"the batch holds {len(raw_events)} events; send at most {MOST_EVENTS} in one request"
        )
    good: list[IndexedEvent] = []
    refused: list[RefusedEvent] = []
    latest = received_at + CLOCK_TOLERANCE
    for index, raw in enumerate(raw_events):
        try:
            event = _EVENT.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            refused.append(_unreadable(index, error))
            continue
        refusal = _refusal(index, event, latest, only)
        if refusal is not None:
            refused.append(refusal)
        elif only is not None and event.merchant_id is None:
            good.append(IndexedEvent(index, msgspec.structs.replace(event, merchant_id=only.merchant_id)))
        else:
            good.append(IndexedEvent(index, event))
    return ReadBatch(len(raw_events), good, refused)


def first_of_each(
    events: Sequence[IndexedEvent],
) -> tuple[list[IndexedEvent], list[IndexedEvent], list[IndexedEvent]]:
    """Events that a batch holds more than once.

    Returns:
        The first of each id; those that repeat it with the same content; those that reuse its id for another.
    """
    first: dict[str, IndexedEvent] = {}
    repeated = []
    reused = []
    for item in events:
        known = first.setdefault(item.event.event_id, item)
        if known is item:
            continue
        if known.event == item.event:
            repeated.append(item)
        else:
            reused.append(item)
    return list(first.values()), repeated, reused


def reused_id(item: IndexedEvent) -> RefusedEvent:
    """The refusal of an event whose id stands for another event already."""
    return RefusedEvent(
        item.index,
        EventRefusal.EVENT_ID_REUSED,
        "another event has this event_id; give every event an id of its own",
        event_id=item.event.event_id,
        field="event_id",
    )


def erased_consumer(item: IndexedEvent) -> RefusedEvent:
    """The refusal of an event of a person who was erased, or of the visitor who that person was then."""
    return RefusedEvent(
        item.index,
        EventRefusal.CONSUMER_ERASED,
        "this consumer was erased; send no more events of them, nor of their visits before",
        event_id=item.event.event_id,
        field="anonymous_id" if item.event.consumer_id is None else "consumer_id",
    )


def _refusal(index: int, event: Event, latest: datetime, only: MerchantLimit | None) -> RefusedEvent | None:
    if event.event_type == "impression" and event.propensity is None:
        found = (
            EventRefusal.PROPENSITY_MISSING,
            "an impression needs the chance with which it was shown",
            "propensity",
        )
    elif event.event_type == "impression" and event.policy_version is None:
        found = (
            EventRefusal.POLICY_VERSION_MISSING,
            "an impression needs the ranking that chose it",
            "policy_version",
        )
    elif event.occurred_at > latest:
        found = (
            EventRefusal.OCCURRED_IN_FUTURE,
            "it lies in the future; correct the sender's clock",
            "occurred_at",
        )
    elif event.occurred_at < EARLIEST:
        found = (
            EventRefusal.OCCURRED_TOO_LONG_AGO,
            f"it lies before {EARLIEST.date()}; correct the time",
            "occurred_at",
        )
    elif only is not None and (only.merchant_id is None or event.merchant_id not in (None, only.merchant_id)):
        found = (
            EventRefusal.MERCHANT_OUT_OF_SCOPE,
            "this key belongs to another merchant or to none",
            "merchant_id",
        )
    else:
        return None
    reason, message, field = found
    return RefusedEvent(index, reason, message, event.event_id, field)


def _unreadable(index: int, error: Exception) -> RefusedEvent:
    fault = fault_of(error)
    return RefusedEvent(index, EventRefusal(fault.reason), fault.message, field=fault.field)
