"""Who uses an embedded server: each process holds a shared file lock, and only the last one may stop it.

The kernel gives a killed process's lock back, so nothing is counted and nothing can be left behind.
"""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import TextIO

from serving.db.embedded import EmbeddedPostgres

_FILE = "users"
_LOOK_AGAIN_S = 0.1
_held: dict[Path, TextIO] = {}


def join(cluster: EmbeddedPostgres) -> None:
    """Use the server until this process ends or leaves; waits while somebody stops it."""
    if cluster.folder in _held:
        return
    cluster.folder.mkdir(parents=True, exist_ok=True)
    file = (cluster.folder / _FILE).open("a")
    fcntl.flock(file, fcntl.LOCK_SH)
    _held[cluster.folder] = file


def leave(cluster: EmbeddedPostgres, *, patience_s: float = 0.0) -> bool:
    """Use the server no longer, and stop it unless somebody else uses it or started it by hand.

    Args:
        cluster: The server.
        patience_s: How long to wait for users that are about to end, such as our own child processes.

    Returns:
        True when the server was stopped.
    """
    own = _held.pop(cluster.folder, None)
    if own is not None:
        own.close()
    return not cluster.is_kept() and stop_if_unused(cluster, patience_s=patience_s)


def stop_if_unused(cluster: EmbeddedPostgres, *, patience_s: float = 0.0) -> bool:
    """Stop the server if no process uses it; True when it was stopped."""
    path = cluster.folder / _FILE
    if not path.exists():
        return cluster.stop()
    with path.open("a") as file:
        deadline = time.monotonic() + patience_s
        while not _is_alone(file):
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK_AGAIN_S)
        return cluster.stop()


def _is_alone(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
