"""Bytes of a file, unpacked: gzip is read by content and not by name, so that a wrong suffix does no harm."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipelines.sources.contract import SourceError

_GZIP = b"\x1f\x8b"


@contextmanager
def opened(path: Path, name: str) -> Iterator[IO[bytes]]:
    """The content of a file as a stream of bytes.

    Args:
        path: The file.
        name: What to call it in messages.

    Raises:
        SourceError: If the file cannot be opened, or is compressed and cut short or damaged.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP
            raw.seek(0)
            if not packed:
                yield raw
                return
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield io.BufferedReader(unpacked, 1 << 20)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SourceError(f"{name} is a damaged gzip file ({error}); pack or download it again") from error
    except OSError as error:
        raise SourceError(f"{name} cannot be read ({error}); check the file and its permissions") from error
