"""Shared words of the feature store: tag types, the profile schema and its fingerprint, read statuses.

Standard library and pydantic only, so that the serving process may import it. No SQL, no files, no frames.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict


class TagType(StrEnum):
    """The value types of a tag. Money is `int` in minor units of the configured currency."""

    INT = "int"
    DECIMAL = "decimal"
    BOOL = "bool"
    ENUM = "enum"
    TEXT = "text"
    DATE = "date"


class RefreshClass(StrEnum):
    """How often a tag is recomputed."""

    QUARTER_HOUR = "15m"
    HOUR = "1h"
    DAY = "1d"


REFRESH_TTL: dict[RefreshClass, timedelta] = {
    RefreshClass.QUARTER_HOUR: timedelta(hours=1),
    RefreshClass.HOUR: timedelta(hours=6),
    RefreshClass.DAY: timedelta(days=2),
}
"""How long a published value may be used: four missed 15-minute runs, six hourly ones, two daily ones."""


class TagStatus(StrEnum):
    """What a reader may do with a tag.

    Use it, know that it has no value, know that no source reports what it needs, know that it is too old, or
    know that the consumer withdrew what it needs.
    """

    PRESENT = "present"
    NULL = "null"
    NO_SOURCE = "no_source"
    EXPIRED = "expired"
    WITHHELD = "withheld"


ConsentPurpose = Literal["service", "marketing", "profiling"]
"""What a tag is for. `service` rests on the contract with the consumer and cannot be withdrawn alone."""


class TagField(BaseModel):
    """One tag of a profile document.

    Attributes:
        name: Name of the tag.
        type: Type of its values.
        unit: Unit of its values.
        refresh: How often it is recomputed.
        consent: The purpose that must not be withdrawn for it to be shown.
        is_predicted: Whether a model made it; any withdrawal withholds it then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    type: TagType
    unit: str
    refresh: RefreshClass
    consent: ConsentPurpose = "profiling"
    is_predicted: bool = False


class ProfileSchema(BaseModel):
    """The tags of a profile document, in order.

    The fingerprint covers name, type, unit and refresh class of every tag: a reader holding another schema
    must refuse the document, because a value could mean something else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fields: tuple[TagField, ...]

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that change whenever the meaning of a document could."""
        canonical = json.dumps(
            [[field.name, field.type, field.unit, field.refresh] for field in self.fields],
            separators=(",", ":"),
        )
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


class TagValue(NamedTuple):
    """A tag as read: its status, and its value when the status is `present`."""

    status: TagStatus
    value: Any = None


@dataclass(frozen=True, slots=True)
class Profile:
    """The tags of one consumer as read at a moment.

    Attributes:
        consumer_id: Whose tags these are.
        as_of: The moment the published tags describe (UTC).
        as_of_by_class: The moment the tags of a refresh class describe (UTC); their age is judged by it.
        read_at: The moment the time-to-live was judged at (UTC).
        schema_fingerprint: The schema the document was written under.
        tags: Tag name to status and value.
    """

    consumer_id: str
    as_of: datetime
    as_of_by_class: dict[RefreshClass, datetime]
    read_at: datetime
    schema_fingerprint: str
    tags: dict[str, TagValue]

    def present(self) -> dict[str, Any]:
        """The usable values: tag name to value, nulls and expired tags left out."""
        return {name: tag.value for name, tag in self.tags.items() if tag.status is TagStatus.PRESENT}


def is_withheld(field: TagField, consents: Mapping[str, bool]) -> bool:
    """Whether a tag must not be shown, by what its consumer said last about each purpose.

    A purpose that was never spoken about withholds nothing here: whether it needs an opt-in is the shop's to
    decide before it publishes.
    """
    if field.is_predicted:
        return not all(consents.values())
    return not consents.get(field.consent, True)


def is_expired(refresh: RefreshClass, as_of: datetime, now: datetime) -> bool:
    """Whether the tags of a class are too old to be used."""
    return now - as_of > REFRESH_TTL[refresh]
