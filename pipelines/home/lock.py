"""Who works in a home: one run at a time, whoever started it.

A lock is a file lock of the kernel, so that a killed process holds nothing; what is written in the file only
says who it is. `WORK` is held while a graph runs: by `muyun run`, and by every run that Dagster's daemon
starts. `UI` is held by `muyun ui` for as long as it serves.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from serving.errors import ServingError

WORK = "work.lock"
UI = "ui.lock"
_LOOK_AGAIN_S = 0.2


class HomeBusyError(ServingError):
    """Another process works in this home; the message says which one."""


def say(line: str) -> None:
    """Tell a person on standard error."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@contextmanager
def home_lock(
    home: Path,
    who: str,
    *,
    name: str = WORK,
    wait: bool = True,
    tell: Callable[[str], None] = say,
) -> Iterator[None]:
    """Hold a lock of the home.

    Args:
        home: The home's folder.
        who: What the holder is, e.g. `muyun run`; others are told.
        name: Which lock.
        wait: Whether to wait for the present holder; else it is an error.
        tell: Gets the one line that says for whom we wait.

    Raises:
        HomeBusyError: Somebody holds it, and we do not wait.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / name).open("a+") as file:
        if not _try(file):
            busy = f"{_holder(file)} is at work in {home}"
            if not wait:
                raise HomeBusyError(f"{busy}; try again when it has ended")
            tell(f"{busy}; waiting until it ends")
            while not _try(file):
                time.sleep(_LOOK_AGAIN_S)
        file.seek(0)
        file.truncate()
        json.dump({"who": who, "pid": os.getpid(), "since": f"{datetime.now(UTC).astimezone():%H:%M}"}, file)
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()


def holder_of(home: Path, name: str = WORK) -> str | None:
    """Who holds a lock of the home now, in words; None when nobody does."""
    path = home / name
    if not path.exists():
        return None
    with path.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _holder(file)
        return None


def _try(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: TextIO) -> str:
    file.seek(0)
    try:
        found = json.loads(file.read())
        return f"{found['who']} (pid {found['pid']}, since {found['since']})"
    except (ValueError, KeyError):
        return "another process"
