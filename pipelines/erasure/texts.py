"""Reports, records and logs without erased persons: pseudonyms in the place of their ids.

A text has no columns that could be looked through, so that ids are not recognised by their digests here but
searched: those that the tables of the home name. Where an id could be anything, because it is a number or
something else in the home is called the same, it is replaced only after words that say whose it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from pipelines.erasure.parquet import Rewritten
from pipelines.erasure.rules import NAMED, OWNERS
from pipelines.lake.files import atomic_path

_QUOTE = rb"(?:\\*[\"']|&quot;|&#34;|&#39;)"
_SAYS = (
    # A field of JSON, also inside of a text or of HTML; a parameter; a part of a path; a sentence of ours.
    rb"\b(?:%(names)s)" + _QUOTE + rb"?\s*:\s*" + _QUOTE,
    rb"\b(?:%(names)s)\s*=\s*" + _QUOTE + rb"?",
    rb"/(?:consumers|profiles)/",
    rb"\bconsumer " + _QUOTE + rb"?",
)
_WITH_KIND = {"entity_id", *(name for name, kind in NAMED.items() if kind is not None)}


def pattern_of(ids: Mapping[str, str], shared: Collection[str] = ()) -> re.Pattern[bytes] | None:
    """What finds the ids in bytes of a text; None without ids.

    Args:
        ids: Erased persons' ids to pseudonyms.
        shared: Those that something else in the home has as its id, such as a sku.
    """
    if not ids:
        return None
    texts = sorted(ids, key=len, reverse=True)
    own = [one for one in texts if one not in shared and re.search(r"[^\W\d_]", one)]
    said = [one for one in texts if one not in own]
    names = b"|".join(name.encode() for name in (*OWNERS, *NAMED) if name not in _WITH_KIND)
    parts = []
    if own:
        parts.append(rb"(?<![\w-])(?P<own>" + _any(own) + rb")(?![\w-])")
    if said:
        says = b"|".join(_SAYS).replace(b"%(names)s", names)
        parts.append(rb"(?P<says>" + says + rb")(?P<said>" + _any(said) + rb")(?![\w-])")
    return re.compile(b"|".join(parts))


def clear_text(file: Path, ids: Mapping[str, str], pattern: re.Pattern[bytes] | None) -> Rewritten:
    """Put pseudonyms into a text file; one that names nobody is not touched.

    Args:
        file: UTF-8.
        ids: Erased persons' ids to pseudonyms.
        pattern: Of `pattern_of` over the same ids.
    """
    content = file.read_bytes() if pattern is not None else b""
    if pattern is None or not pattern.search(content):
        return Rewritten()

    def pseudonym(found: re.Match[bytes]) -> bytes:
        groups = found.groupdict()
        if groups.get("own") is not None:
            return ids[groups["own"].decode()].encode()
        return groups["says"] + ids[groups["said"].decode()].encode()

    left, count = pattern.subn(pseudonym, content)
    mode = file.stat().st_mode
    with atomic_path(file) as temporary:
        temporary.write_bytes(left)
        temporary.chmod(mode)
    return Rewritten(renamed=count)


def _any(ids: Collection[str]) -> bytes:
    return b"|".join(re.escape(one.encode()) for one in ids)
