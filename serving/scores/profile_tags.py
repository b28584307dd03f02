"""Tags of a stored profile with their status, by the feature store's reader where the schema fits."""

from __future__ import annotations

from datetime import datetime

import msgspec

from feature_store.errors import FingerprintMismatchError
from feature_store.online import ProfileReader
from serving.scores.documents import Tag

_DOCUMENT = msgspec.json.Decoder(dict[str, object])


def read_tags(
    reader: ProfileReader,
    *,
    consumer_id: str,
    tags: str,
    schema_fingerprint: str,
    as_of: datetime,
    now: datetime,
) -> tuple[dict[str, Tag], bool]:
    """The tags and whether their schema is the one this release knows.

    Args:
        reader: The feature store's reader for the shipped tag schema.
        consumer_id: Whose tags; for messages.
        tags: The stored JSON document, tag name to value.
        schema_fingerprint: The schema it was written under.
        as_of: The moment the tags describe.
        now: The moment of reading.

    Raises:
        feature_store.errors.ProfileError: The document does not fit the schema that it names.
    """
    try:
        profile = reader.decode(consumer_id, tags, schema_fingerprint, as_of, now=now)
    except FingerprintMismatchError:
        # An older or newer release published: values can be shown, but their age cannot be judged.
        document = _DOCUMENT.decode(tags)
        return {name: _unjudged(value) for name, value in document.items()}, False
    return {name: Tag(value=tag.value, status=tag.status.value) for name, tag in profile.tags.items()}, True


def _unjudged(value: object) -> Tag:
    return Tag(value=value, status="null" if value is None else "present")
