"""Files of the lake: written whole or not at all, read under one schema. No table is known here."""

from __future__ import annotations

import datetime as dt
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

_FULL = (errno.ENOSPC, errno.EDQUOT)


class LakeError(Exception):
    """The lake cannot be read or written; the message names the file and the remedy."""


def scan_files(files: list[Path], schema: dict[str, pl.DataType]) -> pl.LazyFrame:
    """Files of one schema; those of an older contract lack columns, which are null then."""
    if not files:
        return pl.DataFrame(schema=schema).lazy()
    return pl.scan_parquet(
        files,
        schema=schema,
        hive_partitioning=False,
        glob=False,
        missing_columns="insert",
        extra_columns="ignore",
    )


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, else vanishes.

    Raises:
        LakeError: If the disk is full or the folder cannot be written; names the file and the remedy.
    """
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except (OSError, pl.exceptions.PolarsError) as error:
        _discard(temporary)
        if _is_disk_full(error):
            raise LakeError(
                f"the disk is full: {path} was not written and its former content is untouched; "
                f"free space or point MUYUN_HOME to a larger disk, then run the step again"
            ) from error
        if isinstance(error, OSError):
            raise LakeError(
                f"cannot write {path}: {error}; check the folder's owner and permissions"
            ) from error
        raise
    except BaseException:
        _discard(temporary)
        raise


def _discard(temporary: Path) -> None:
    if temporary.exists():
        temporary.unlink()


def _is_disk_full(error: Exception) -> bool:
    # Polars reports a failed write of its own as a ComputeError that carries only the system's text.
    return getattr(error, "errno", None) in _FULL or any(os.strerror(code) in str(error) for code in _FULL)


def writer_is_alive(leftover: Path) -> bool:
    """Whether the process still runs that writes a temporary file."""
    pid = leftover.name.rsplit(".", 2)[-2]
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def partition_of(path: Path) -> dt.date:
    """Day or start of the week of a partition's file."""
    return dt.date.fromisoformat(path.parent.name.split("=", 1)[1])


def remove_partition(path: Path) -> None:
    """Removes a partition's file, and its folder once it is empty."""
    path.unlink()
    if not any(path.parent.iterdir()):
        path.parent.rmdir()
