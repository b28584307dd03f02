"""A look at the live store that takes no lock: a copy of its file, taken while nobody wrote to it.

The store has one writer and no other reader: whoever opened its file, or held its lock, would make a tick
fail. Between two ticks the file stands still, so a copy is whole when neither the file nor its log changed
from before the copying until after it. The copy loses its name as soon as it is open, and goes with the
process.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from pipelines.live.store import LiveStore, LiveStoreBusyError

_SETTLED_S = 0.05
"""Two writes may bear the same time of change when they are nearer than a tick of the kernel's clock."""
_PREFIX = "look-"
_LEFTOVER_S = 3600.0

State = tuple[tuple[int, int, int] | None, ...]


@contextmanager
def looked_at(store: LiveStore, *, patience_s: float = 60.0) -> Iterator[duckdb.DuckDBPyConnection | None]:
    """A connection in UTC to a copy of the current generation; None when there is none.

    Args:
        store: The live store.
        patience_s: How long to wait for a tick to end.

    Raises:
        LiveStoreBusyError: It was written to until patience ended.
    """
    _remove_leftovers(store.folder)
    deadline = time.monotonic() + patience_s
    while (file := store.file()) is not None:
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=store.folder) as folder:
            copy = Path(folder) / "store.duckdb"
            if _is_copied(file, copy):
                connection = duckdb.connect(str(copy))
                break
        if time.monotonic() > deadline:
            raise LiveStoreBusyError(
                "the live store is being written to all the time; try again when the tick has ended"
            )
        time.sleep(2 * _SETTLED_S)
    else:
        yield None
        return
    try:
        connection.execute("set threads=2; set TimeZone='UTC'; set memory_limit='2GB'")
        connection.execute(f"set temp_directory='{tempfile.gettempdir()}'")
        yield connection
    finally:
        connection.close()


def _is_copied(file: Path, copy: Path) -> bool:
    """Copies a file with its log; False when either changed meanwhile or just before."""
    before = _state(file)
    newest_ns = max((state[0] for state in before if state is not None), default=0)
    if time.time_ns() - newest_ns < _SETTLED_S * 1e9:
        return False
    try:
        shutil.copyfile(file, copy)
        if before[1] is not None:
            shutil.copyfile(_log_of(file), _log_of(copy))
    except FileNotFoundError:  # a new generation has taken the place of this one
        return False
    return _state(file) == before


def _state(file: Path) -> State:
    """Time of change, size and inode of a file and of its log; None for what is not there."""
    return tuple(_stat(path) for path in (file, _log_of(file)))


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _log_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.wal")


def _remove_leftovers(folder: Path) -> None:
    """Copies of processes that were killed while they copied: they hold rows of people."""
    for left in folder.glob(f"{_PREFIX}*"):
        if time.time() - left.stat().st_mtime > _LEFTOVER_S:
            shutil.rmtree(left, ignore_errors=True)
