"""Where a stream's rows lie: pages of a pull under way, the files that are landed, and how far it has come.

```
<home>/feeds/<connector>/<stream>/20261129T093000-000000.jsonl   landed, whole
                                 /.under_way/0001.jsonl          pages of a pull that is not done
                                 /.standing.json                 marks, and the pull under way
```

A page is written before the standing that counts it, and a landed file before the standing that knows it:
whoever is killed between does the same again, under the same name.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from pipelines.lake.files import atomic_path
from pipelines.sources.connectors.errors import ConnectorError

STAMP = "%Y%m%dT%H%M%S-%f"
"""Name of a landed file: when its pull began (UTC)."""

_STANDING = ".standing.json"
_UNDER_WAY = ".under_way"
_LOCK = ".lock"


class UnderWay(msgspec.Struct, kw_only=True):
    """A pull that has begun.

    Attributes:
        stamp: When, and what its file will be called.
        pages: Pages that are on the shelf.
        position: Of the next page.
        used: Positions that were asked for.
        digests: Contents of the pages.
        written_at: When the answers were written, as the first says.
        is_complete: Whether every page is there.
    """

    stamp: str
    pages: int = 0
    position: str | None = None
    used: list[str] = []
    digests: list[str] = []
    written_at: str | None = None
    is_complete: bool = False


class Standing(msgspec.Struct, kw_only=True):
    """How far a stream has come.

    Attributes:
        mark: Newest change that came.
        at_mark: Digests of the rows that will be answered again.
        written_at: When the newest landed answer was written.
        content: Digest of the newest landed content.
        landed_at: Stamp of the newest landed file.
        fields: Fields of the first pull, against which later ones are new.
        under_way: A pull that was not finished.
    """

    mark: str | None = None
    at_mark: list[str] = []
    written_at: str | None = None
    content: str | None = None
    landed_at: str | None = None
    fields: list[str] = []
    under_way: UnderWay | None = None


class Shelf:
    """The shelf of one stream.

    Args:
        folder: Its folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def standing(self) -> Standing:
        """How far the stream has come; nothing yet where nobody wrote it.

        Raises:
            ConnectorError: It cannot be read.
        """
        path = self.folder / _STANDING
        if not path.is_file():
            return Standing()
        try:
            return msgspec.json.decode(path.read_bytes(), type=Standing)
        except (OSError, msgspec.MsgspecError) as error:
            raise ConnectorError(f"{path} cannot be read ({error}); remove it to pull all again") from None

    def save(self, standing: Standing) -> None:
        """Write how far the stream has come."""
        with atomic_path(self.folder / _STANDING) as path:
            path.write_bytes(msgspec.json.encode(standing))

    def put(self, number: int, lines: tuple[str, ...]) -> None:
        """Put a page on the shelf; the same number takes its place."""
        self._write(self.folder / _UNDER_WAY / f"{number:05d}.jsonl", lines)

    def pages(self, count: int) -> list[str]:
        """The rows of the first pages, in order."""
        files = (self.folder / _UNDER_WAY / f"{number:05d}.jsonl" for number in range(1, count + 1))
        return [line for file in files for line in file.read_text(encoding="utf-8").split("\n") if line]

    def land(self, stamp: str, lines: list[str]) -> Path:
        """Make the rows of a pull visible, all at once."""
        path = self.folder / f"{stamp}.jsonl"
        self._write(path, lines)
        return path

    def clear(self) -> None:
        """Take the pages of a pull off the shelf."""
        for path in (self.folder / _UNDER_WAY).glob("*"):
            path.unlink()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep others from pulling the same stream meanwhile.

        Raises:
            ConnectorError: Another process pulls it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / _LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConnectorError("another process pulls this stream; try again when it is done") from None
            yield

    @staticmethod
    def _write(path: Path, lines: tuple[str, ...] | list[str]) -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
