"""Tags of a stored profile with their status, by the feature store's reader where the schema fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from feature_store.contracts import RefreshClass
from feature_store.errors import FingerprintMismatchError
from feature_store.online import ProfileReader
from serving.scores.documents import Tag
from serving.scores.reader import StoredProfile

_DOCUMENT = msgspec.json.Decoder(dict[str, object])


@dataclass(frozen=True)
class ReadTags:
    """The tags of a profile.

    Attributes:
        tags: Tag name to value and status.
        as_of_by_class: Refresh class to the moment that its tags describe.
        matches: Whether their schema is the one this release knows; ages are not judged otherwise.
    """

    tags: dict[str, Tag]
    as_of_by_class: dict[str, datetime]
    matches: bool


def read_tags(
    reader: ProfileReader,
    stored: StoredProfile,
    *,
    consumer_id: str,
    live_as_of: Mapping[str, datetime],
    now: datetime,
) -> ReadTags:
    """The tags of a stored profile with their status.

    Args:
        reader: The feature store's reader for the shipped tag schema.
        stored: The documents and the schema they were written under.
        consumer_id: Whose tags; for messages.
        live_as_of: Refresh class to the moment up to which deltas brought all profiles.
        now: The moment of reading.

    Raises:
        feature_store.errors.ProfileError: A document does not fit the schema that it names.
    """
    try:
        profile = reader.decode(
            consumer_id,
            stored.tags,
            stored.schema_fingerprint,
            stored.as_of,
            now=now,
            changed=stored.changed,
            live_as_of=live_as_of,
            consents=stored.consents,
        )
    except FingerprintMismatchError:
        # An older or newer release published: neither the age of its tags can be judged nor what they are
        # for, so a withdrawal of anything withholds them all.
        if not all(stored.consents.values()):
            return ReadTags({}, {}, False)
        document = _DOCUMENT.decode(stored.tags or "{}") | _DOCUMENT.decode(stored.changed or "{}")
        moments = {str(refresh): live_as_of.get(refresh, stored.as_of) for refresh in RefreshClass}
        return ReadTags({name: _unjudged(value) for name, value in document.items()}, moments, False)
    return ReadTags(
        {name: Tag(value=tag.value, status=tag.status.value) for name, tag in profile.tags.items()},
        {str(refresh): moment for refresh, moment in profile.as_of_by_class.items()},
        True,
    )


def _unjudged(value: object) -> Tag:
    return Tag(value=value, status="null" if value is None else "present")
