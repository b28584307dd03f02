"""Whether the files that a step wrote are still as it left them.

Names, sizes and times are compared first; where a time differs, as after a copy or a restore, the bytes
decide.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path


def evidence_of(paths: Iterable[Path], home: Path) -> dict[str, str]:
    """What is recorded of a step's outputs.

    Args:
        paths: Files, and folders of which every file below counts; one that is missing counts as missing.
        home: Paths below it are named relative to it, so that a moved home holds the same outputs.

    Returns:
        `stats` (names, sizes, times) and `content` (names, bytes) as hashes, `paths` as lines; empty without
        paths.
    """
    paths = sorted(set(paths))
    files = list(_files(paths))
    if not files:
        return {}
    return {
        "stats": _stats(files, home),
        "content": _content(files, home),
        "paths": "\n".join(_relative(path, home) for path in paths),
    }


def recorded_still_holds(recorded: Mapping[str, str], home: Path) -> bool:
    """Whether outputs are as recorded, for one who knows nothing of the step but its record."""
    names = recorded.get("paths", "")
    return still_holds(recorded, [home / name for name in names.split("\n")] if names else [], home)


def still_holds(recorded: Mapping[str, str], paths: Iterable[Path], home: Path) -> bool:
    """Whether outputs are as recorded; a step that recorded none must have none now either."""
    files = list(_files(paths))
    if not files or not recorded:
        return not files and not recorded
    return recorded.get("stats") == _stats(files, home) or recorded.get("content") == _content(files, home)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in sorted(set(paths)):
        if path.is_dir():
            # A name that begins with a dot is another writer's work in progress.
            yield from sorted(
                file for file in path.rglob("*") if file.is_file() and not file.name.startswith(".")
            )
        yield path


def _stats(files: list[Path], home: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        digest.update(_name(file, home))
        if file.is_file():
            found = file.stat()
            digest.update(f"{found.st_size}:{found.st_mtime_ns};".encode())
        else:
            digest.update(b"folder;" if file.is_dir() else b"missing;")
    return digest.hexdigest()


def _content(files: list[Path], home: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        digest.update(_name(file, home))
        if file.is_file():
            with file.open("rb") as handle:
                digest.update(hashlib.file_digest(handle, "sha256").digest())
        else:
            digest.update(b"folder;" if file.is_dir() else b"missing;")
    return digest.hexdigest()


def _name(file: Path, home: Path) -> bytes:
    return f"{_relative(file, home)}:".encode()


def _relative(file: Path, home: Path) -> str:
    return os.path.relpath(file, home) if file.is_relative_to(home) else str(file)
