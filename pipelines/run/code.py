"""Whether any code could be another than at the last run: one hash of all of it, read in milliseconds.

Coarser than the closures of steps (`pipelines.steps.closure`): where it differs, each step decides.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from pipelines.settings import REPOSITORY
from pipelines.steps.closure import DATA_SUFFIXES, PACKAGES

_READ = DATA_SUFFIXES | {".py"}


def code_version(root: Path = REPOSITORY) -> str:
    """Hash of every source and data file of our packages and of the names of what is installed.

    Args:
        root: Folder that holds our packages.
    """
    digest = hashlib.blake2b(digest_size=16)
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*")):
            if file.suffix in _READ:
                content = file.read_bytes()
                digest.update(f"{file.relative_to(root)}:{len(content)}:".encode() + content)
    digest.update("\n".join(installed()).encode())
    return digest.hexdigest()


def installed() -> list[str]:
    """Every installed distribution with its version, as its folder is named, sorted."""
    folders = {Path(entry) for entry in sys.path if entry}
    return sorted(found.name for folder in folders for found in folder.glob("*.dist-info"))
