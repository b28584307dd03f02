"""Reading a profile document at request time: fingerprint check, time-to-live, typed values.

Standard library and pydantic only; the writer of the documents lives in `feature_store.offline`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from importlib.resources import files
from typing import Any

from pydantic import ValidationError

from feature_store.contracts import (
    Profile,
    ProfileSchema,
    RefreshClass,
    TagField,
    TagStatus,
    TagType,
    TagValue,
    is_expired,
    is_withheld,
)
from feature_store.errors import FingerprintMismatchError, ProfileError

SCHEMA_FILE = "profile_schema.json"

_JSON_TYPES: dict[TagType, tuple[type, ...]] = {
    TagType.INT: (int,),
    TagType.DECIMAL: (float, int),
    TagType.BOOL: (bool,),
    TagType.ENUM: (str,),
    TagType.TEXT: (str,),
    TagType.DATE: (str,),
}
_NULL = TagValue(TagStatus.NULL)
_NO_SOURCE = TagValue(TagStatus.NO_SOURCE)
_EXPIRED = TagValue(TagStatus.EXPIRED)
_WITHHELD = TagValue(TagStatus.WITHHELD)


def read_schema(text: str) -> ProfileSchema:
    """The profile schema from its JSON text.

    Raises:
        ProfileError: The text is not a profile schema.
    """
    try:
        return ProfileSchema.model_validate_json(text)
    except ValidationError as error:
        raise ProfileError(f"The profile schema cannot be read: {error}") from error


def packaged_schema() -> ProfileSchema:
    """The schema of the registry this package ships with; read once when a server starts."""
    return read_schema(files("feature_store").joinpath(SCHEMA_FILE).read_text(encoding="utf-8"))


class ProfileReader:
    """Decodes stored profile rows against one schema.

    Args:
        schema: The schema the reader was built for.
    """

    def __init__(self, schema: ProfileSchema) -> None:
        self.schema = schema
        self.fingerprint = schema.fingerprint
        self._names = tuple(field.name for field in schema.fields)
        self._plan = [(field.name, field, _JSON_TYPES[field.type], field.refresh) for field in schema.fields]

    def decode(
        self,
        consumer_id: str,
        tags: str | None,
        schema_fingerprint: str,
        as_of: datetime,
        *,
        now: datetime,
        changed: str | None = None,
        live_as_of: Mapping[str, datetime] | None = None,
        consents: Mapping[str, bool] | None = None,
    ) -> Profile:
        """A profile with a status for every tag.

        Args:
            consumer_id: The row's consumer.
            tags: The published JSON document, tag name to value, without the tags that no source reports on;
                None for a consumer who came after the
                publication, whose tags have no value until they are computed.
            schema_fingerprint: The fingerprint stored with the row.
            as_of: The moment the published tags describe, timezone-aware.
            now: The moment of reading, timezone-aware; a tag older than its time-to-live is `expired`.
            changed: The tags that changed since the publication, as a JSON document.
            live_as_of: Refresh class to the moment up to which its tags were kept right since, for every
                consumer: a silent one is as fresh as one whose tags changed.
            consents: Purpose to what the consumer said last about it. It stands before the tags
                `consent_<purpose>` are computed anew, and withholds what `is_withheld` says.

        Raises:
            FingerprintMismatchError: The row was written under another schema.
            ProfileError: A document is not a JSON object of values of the right types, or a time carries no
                zone.
        """
        if schema_fingerprint != self.fingerprint:
            raise FingerprintMismatchError(
                f"Profile of consumer {consumer_id!r} was written under tag schema {schema_fingerprint!r}, "
                f"this reader knows {self.fingerprint!r}: publish again, or deploy the matching release."
            )
        as_of_by_class = {refresh: (live_as_of or {}).get(refresh, as_of) for refresh in RefreshClass}
        if None in {moment.tzinfo for moment in (as_of, now, *as_of_by_class.values())}:
            raise ProfileError(f"Profile of consumer {consumer_id!r}: as_of and now must carry a time zone.")
        document = dict.fromkeys(self._names) if tags is None else _json_object(consumer_id, tags)
        if changed is not None:
            changes = _json_object(consumer_id, changed)
            document |= {name: v for name, v in changes.items() if v is not None or name in document}
        stated = consents or {}
        document |= {f"consent_{purpose}": granted for purpose, granted in stated.items()}
        expired = {name: is_expired(name, moment, now) for name, moment in as_of_by_class.items()}
        values: dict[str, TagValue] = {}
        for name, field, types, refresh in self._plan:
            value = document.get(name)
            if value is not None and type(value) not in types:
                raise ProfileError(
                    f"Profile of consumer {consumer_id!r}: tag {name!r} should be {field.type.value}, "
                    f"got {value!r}."
                )
            if stated and is_withheld(field, stated):
                values[name] = _WITHHELD
            elif expired[refresh]:
                # Expired beats null: an old null says nothing about today.
                values[name] = _EXPIRED
            elif value is None:
                values[name] = _NULL if name in document else _NO_SOURCE
            else:
                values[name] = TagValue(TagStatus.PRESENT, _converted(consumer_id, field, value))
        return Profile(
            consumer_id=consumer_id,
            as_of=as_of,
            as_of_by_class=as_of_by_class,
            read_at=now,
            schema_fingerprint=schema_fingerprint,
            tags=values,
        )


def _json_object(consumer_id: str, text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ProfileError(f"Profile of consumer {consumer_id!r} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ProfileError(f"Profile of consumer {consumer_id!r} is not a JSON object.")
    return document


def _converted(consumer_id: str, field: TagField, value: Any) -> Any:
    """The value in its Python type; dates arrive as ISO text, whole decimals may arrive as integers."""
    if field.type is TagType.DECIMAL:
        return float(value)
    if field.type is TagType.DATE:
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise ProfileError(
                f"Profile of consumer {consumer_id!r}: tag {field.name!r} is not a date: {value!r}."
            ) from error
    return value
