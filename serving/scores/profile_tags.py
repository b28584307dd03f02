"""From a stored profile to the document that the API shows, by the feature store's reader."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from feature_store.contracts import REFRESH_TTL
from feature_store.errors import FingerprintMismatchError
from feature_store.online import ProfileReader
from serving.scores.documents import ClassAge, Profile, Tag
from serving.scores.reader import StoredProfile

_DOCUMENT = msgspec.json.Decoder(dict[str, object])


def profile_document(
    reader: ProfileReader,
    stored: StoredProfile,
    *,
    consumer_id: str,
    live_as_of: Mapping[str, datetime],
    now: datetime,
) -> Profile:
    """The tags of a stored profile with their status.

    Args:
        reader: The feature store's reader for the shipped tag schema.
        stored: The documents and the schema they were written under.
        consumer_id: Whose tags.
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
        return Profile(
            consumer_id=consumer_id,
            profile_as_of=stored.as_of,
            schema_fingerprint=stored.schema_fingerprint,
            schema_matches=False,
            classes={},
            tags=_unjudged(stored),
        )
    return Profile(
        consumer_id=consumer_id,
        profile_as_of=stored.as_of,
        schema_fingerprint=stored.schema_fingerprint,
        schema_matches=True,
        classes=class_ages(stored.as_of, live_as_of),
        tags={
            field.name: Tag(value=tag.value, status=tag.status.value, refresh=field.refresh)
            for field, tag in zip(reader.schema.fields, profile.tags.values(), strict=True)
        },
    )


def class_ages(as_of: datetime, live_as_of: Mapping[str, datetime]) -> dict[str, ClassAge]:
    """Age by refresh class.

    Args:
        as_of: The moment that the published tags describe.
        live_as_of: Refresh class to the moment up to which deltas brought all profiles.
    """
    ages = {}
    for name, ttl in REFRESH_TTL.items():
        moment = live_as_of.get(name, as_of)
        ages[name.value] = ClassAge(as_of=moment, ttl_s=int(ttl.total_seconds()), expires_at=moment + ttl)
    return ages


def _unjudged(stored: StoredProfile) -> dict[str, Tag]:
    """Tags that an older or newer release published: shown, but neither their age nor their purpose is known.

    A withdrawal of anything therefore withholds them all.
    """
    if not all(stored.consents.values()):
        return {}
    document = _DOCUMENT.decode(stored.tags or "{}") | _DOCUMENT.decode(stored.changed or "{}")
    return {
        name: Tag(value=value, status="null" if value is None else "present", refresh=None)
        for name, value in document.items()
    }
