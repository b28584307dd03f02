"""Reports, records and logs without erased persons: pseudonyms in the place of their ids.

A text has no columns that could be looked through, so that ids are not recognised by their digests here but
searched: those that the tables of the home name. An id without a letter could be any number; it is replaced
only where it stands in quotes or between tags.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pipelines.erasure.parquet import Rewritten
from pipelines.lake.files import atomic_path


def pattern_of(ids: Mapping[str, str]) -> re.Pattern[bytes] | None:
    """What finds the ids in bytes of a text; None without ids."""
    if not ids:
        return None
    texts = sorted(ids, key=len, reverse=True)
    named = [re.escape(one.encode()) for one in texts if re.search(r"[^\W\d_]", one)]
    bare = [re.escape(one.encode()) for one in texts if not re.search(r"[^\W\d_]", one)]
    parts = []
    if named:
        parts.append(rb"(?<![\w-])(?:" + b"|".join(named) + rb")(?![\w-])")
    if bare:
        parts.append(rb"(?<=[\"'>])(?:" + b"|".join(bare) + rb")(?=[\"'<\\])")
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
    left, count = pattern.subn(lambda found: ids[found.group().decode()].encode(), content)
    mode = file.stat().st_mode
    with atomic_path(file) as temporary:
        temporary.write_bytes(left)
        temporary.chmod(mode)
    return Rewritten(renamed=count)
