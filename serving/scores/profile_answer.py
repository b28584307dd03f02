"""The answer about one profile in two parts: the tags, which stay as they are, and the ages around them.

A tick moves the ages of every profile and the tags of few. Put together the parts are a
`documents.ProfileAnswer`; encoding only what changed is what makes reading fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from serving.scores.documents import Profile
from serving.scores.profile_tags import class_ages
from serving.scores.reader import Shown

_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class EncodedTags:
    """The tags of a consumer as JSON.

    Attributes:
        text: The JSON object, tag name to value, status and refresh class.
        as_of: The moment that the published tags describe.
        fingerprint: The tag schema they were written under.
        matches: Whether it is the one of this release.
        expired: Refresh classes whose tags were too old when the text was made.
    """

    text: bytes
    as_of: datetime
    fingerprint: str
    matches: bool
    expired: frozenset[str]

    @classmethod
    def of(cls, profile: Profile, now: datetime) -> EncodedTags:
        """The tags of a profile that was read at that moment."""
        return cls(
            text=_ENCODER.encode(profile.tags),
            as_of=profile.profile_as_of,
            fingerprint=profile.schema_fingerprint,
            matches=profile.schema_matches,
            expired=frozenset(name for name, age in profile.classes.items() if now > age.expires_at),
        )


@dataclass(frozen=True, slots=True)
class Ages:
    """What an answer says besides consumer and tags.

    Attributes:
        text: JSON members without braces.
        expired: Refresh classes that are too old.
        fresh_until: When the next one will be; None when none will.
    """

    text: bytes
    expired: frozenset[str]
    fresh_until: datetime | None

    @classmethod
    def of(cls, shown: Shown, tags: EncodedTags, now: datetime) -> Ages:
        """The ages around these tags under the shown revision."""
        classes = class_ages(tags.as_of, shown.live_as_of) if tags.matches else {}
        members = {
            "publication_version": shown.version,
            "as_of": shown.as_of,
            "revision": shown.revision,
            "profile_as_of": tags.as_of,
            "schema_fingerprint": tags.fingerprint,
            "schema_matches": tags.matches,
            "classes": classes,
        }
        return cls(
            text=_ENCODER.encode(members)[1:-1],
            expired=frozenset(name for name, age in classes.items() if now > age.expires_at),
            fresh_until=min((a.expires_at for a in classes.values() if a.expires_at >= now), default=None),
        )

    def holds(self, now: datetime) -> bool:
        """Whether no further class has expired."""
        return self.fresh_until is None or now <= self.fresh_until


def answer_body(consumer_id: str, ages: Ages, tags: EncodedTags) -> bytes:
    """The JSON document of a `documents.ProfileAnswer`."""
    return b'{"consumer_id":%b,%b,"tags":%b}' % (_ENCODER.encode(consumer_id), ages.text, tags.text)
