"""A dump of the serving database into one file, and back, with the bundled programs of the same version."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from serving.db.programs import binary
from serving.db.urls import libpq_url, without_password
from serving.errors import ServingError


class DumpError(ServingError):
    """A dump cannot be made or read; the message ends with what the program said."""


def dump(url: str, file: Path) -> None:
    """Write the database to a file, in the custom format of `pg_dump`.

    Raises:
        DumpError: The server does not answer or is newer than the program, or the file cannot be written.
    """
    partial = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    _run("pg_dump", ("--format=custom", f"--file={partial}", f"--dbname={libpq_url(url)}"), url)
    partial.replace(file)


def restore(url: str, file: Path) -> None:
    """Replace what a migrated database holds by a dump, whole or not at all.

    Raises:
        DumpError: The server does not answer, or the file is no dump.
    """
    flags = ("--clean", "--if-exists", "--exit-on-error", "--single-transaction", "--no-owner")
    _run("pg_restore", (*flags, f"--dbname={libpq_url(url)}", str(file)), url)


def _run(program: str, arguments: Sequence[str], url: str) -> None:
    done = subprocess.run(
        [str(binary(program)), *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        said = " ".join(done.stderr.strip().splitlines()[:3])
        raise DumpError(f"{program} of {without_password(url)} failed: {said}")
