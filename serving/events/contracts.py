"""What a behaviour event is, why one is refused, and what the sender is told. No check and no SQL here."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

import msgspec

MOST_EVENTS = 1_000
"""Events in one batch."""

_PRINTABLE = r"^[^\x00-\x1f\x7f]+(?!\n)$"
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=_PRINTABLE)]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=_PRINTABLE)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]

EventType = Literal[
    "impression", "view", "search", "favourite", "add_to_cart", "remove_from_cart", "share", "checkout"
]


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One thing a visitor saw or did.

    Attributes:
        event_id: Chosen by the sender, unique; sending it again changes nothing.
        session_id: The visit.
        event_type: What happened.
        occurred_at: When it happened, with a time zone.
        merchant_id: The shop; a merchant's key may leave it out.
        consumer_id: Who, when known.
        anonymous_id: Device or visitor, when the consumer is unknown.
        sku_id: The sku concerned.
        query: The search text.
        dwell_ms: Time spent, milliseconds.
        position: Rank in the list shown.
        policy_version: The ranking that chose the item; needed for an impression.
        propensity: Chance with which the ranking showed it, above 0 and at most 1; needed for an impression.
    """

    event_id: _Id
    session_id: _Id
    event_type: EventType
    occurred_at: Annotated[datetime, msgspec.Meta(tz=True)]
    merchant_id: _Id | None = None
    consumer_id: _Id | None = None
    anonymous_id: _Id | None = None
    sku_id: _Id | None = None
    query: _Text | None = None
    dwell_ms: _Count | None = None
    position: _Count | None = None
    policy_version: _Id | None = None
    propensity: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)] | None = None


class EventRefusal(StrEnum):
    """Why an event of a batch was not stored."""

    MALFORMED = "malformed"
    MISSING_FIELD = "missing_field"
    UNKNOWN_FIELD = "unknown_field"
    INVALID_FIELD = "invalid_field"
    PROPENSITY_MISSING = "propensity_missing"
    POLICY_VERSION_MISSING = "policy_version_missing"
    OCCURRED_IN_FUTURE = "occurred_in_future"
    OCCURRED_TOO_LONG_AGO = "occurred_too_long_ago"
    MERCHANT_OUT_OF_SCOPE = "merchant_out_of_scope"
    EVENT_ID_REUSED = "event_id_reused"
    CONSUMER_ERASED = "consumer_erased"


class RefusedEvent(msgspec.Struct, frozen=True):
    """One event that was not stored.

    Attributes:
        index: Its place in the batch, from 0.
        reason: Why.
        message: What to change.
        event_id: Its id, when it could be read.
        field: The field at fault, when it is one.
    """

    index: int
    reason: EventRefusal
    message: str
    event_id: str | None = None
    field: str | None = None


class EventReceipt(msgspec.Struct, frozen=True):
    """What became of a batch: `received` = `accepted` + `duplicates` + `refused`.

    Attributes:
        received: Events in the batch.
        accepted: Stored now.
        duplicates: Known before, or earlier in the batch, with the same content.
        refused: Not stored; each stands in `refusals`.
        refusals: By index.
    """

    received: int
    accepted: int
    duplicates: int
    refused: int
    refusals: list[RefusedEvent]


class EventBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A batch as sent; its events are read one by one, so that one bad event spoils no other."""

    events: list[msgspec.Raw]
