"""What a home remembers of itself, in `<home>/muyun.toml`: its id, its source and what it was loaded with.

Every process of an installation reads its settings through this file, so that a command without `DATA=`
works on what the home holds. Reading and writing the file live here; which source a home may take on is
decided in `pipelines.home.source`.
"""

from __future__ import annotations

import os
import tomllib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from serving.errors import ServingError

FILE = "muyun.toml"
EMBEDDED = "embedded"
FOLDER = "folder"
REMEMBERED = ("time_zone", "utc_offset_hours", "currency", "tenant")
"""Settings that a home keeps when they were given once, besides its source."""

_HEAD = (
    "# Written by Muyun: what this home holds. One home has one source; see docs/operations.md.\n"
    "# `folder` is read from here, `folder_as_given` where that is not there.\n"
)


class HomeRecordError(ServingError):
    """The home's record cannot be read or written; the message says what to do."""


@dataclass(frozen=True)
class HomeRecord:
    """What a home remembers.

    Attributes:
        home_id: Tells this home from every other, also after it was moved.
        source: `embedded`, `folder`, or None as long as nothing was loaded.
        folder: The user's folder, relative to the home where both lie in one place; None when embedded.
        folder_as_given: The same as an absolute path.
        settings: Values of `REMEMBERED` settings that were given.
    """

    home_id: str
    source: str | None = None
    folder: str | None = None
    folder_as_given: str | None = None
    settings: tuple[tuple[str, str | int], ...] = ()

    def data(self, home: Path) -> Path | None:
        """The user's folder now: the one near the home if it is there, else the one that was given."""
        if self.source != FOLDER or self.folder is None:
            return None
        near = Path(os.path.normpath(home / self.folder))
        given = Path(self.folder_as_given or near)
        return near if near.is_dir() or not given.is_dir() else given

    def with_source(self, home: Path, data: Path | None, settings: dict[str, str | int]) -> HomeRecord:
        """The same home with a source.

        Args:
            home: Its folder.
            data: The user's folder; None means the embedded panel.
            settings: Values of `REMEMBERED` settings that were given.
        """
        merged = without_old_zone(dict(self.settings), settings) | settings
        if "time_zone" in merged:
            merged.pop("utc_offset_hours", None)  # a zone by name says more than an offset
        kept = tuple(sorted(merged.items()))
        if data is None:
            return replace(self, source=EMBEDDED, folder=None, folder_as_given=None, settings=kept)
        is_near = data.is_relative_to(home.parent)
        folder = os.path.relpath(data, home) if is_near else str(data)
        return replace(self, source=FOLDER, folder=folder, folder_as_given=str(data), settings=kept)

    def named(self, home: Path) -> str:
        """The source in words."""
        if self.source is None:
            return "nothing yet"
        return "the embedded panel" if self.source == EMBEDDED else str(self.data(home))


def new_record() -> HomeRecord:
    """The record of a home that holds nothing."""
    return HomeRecord(uuid.uuid4().hex)


def read_record(home: Path) -> HomeRecord | None:
    """The record of a home; None when it has none.

    Raises:
        HomeRecordError: The file cannot be read as a record.
    """
    file = home / FILE
    try:
        found = tomllib.loads(file.read_text())
        return HomeRecord(
            str(found["home_id"]),
            found.get("source"),
            found.get("folder"),
            found.get("folder_as_given"),
            tuple((name, found[name]) for name in sorted(REMEMBERED) if name in found),
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, KeyError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise HomeRecordError(
            f"{file} cannot be read ({type(error).__name__}: {error}): restore it from a backup; without it "
            "nobody knows what the home holds"
        ) from error


def write_record(home: Path, record: HomeRecord) -> None:
    """Write the record whole or not at all."""
    lines = {
        "home_id": record.home_id,
        "source": record.source,
        "folder": record.folder,
        "folder_as_given": record.folder_as_given,
        **dict(record.settings),
    }
    text = "".join(f"{name} = {_quoted(value)}\n" for name, value in lines.items() if value is not None)
    temporary = home / f".{FILE}.{os.getpid()}.tmp"
    temporary.write_text(_HEAD + text)
    temporary.replace(home / FILE)


def without_old_zone(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Remembered settings without the zone, in either form, where a new one is given."""
    zone = {"time_zone", "utc_offset_hours"}
    return {name: value for name, value in old.items() if not (zone & new.keys() and name in zone)}


def with_remembered(values: Mapping[str, Any], home: Path) -> dict[str, Any]:
    """Settings as given, with what the home remembers where nothing was given; empty text gives nothing.

    Args:
        values: Settings by field name.
        home: The folder of the home.

    Raises:
        HomeRecordError: The record cannot be read.
    """
    given = {name: value for name, value in values.items() if value not in ("", None)}
    record = read_record(home)
    if record is None:
        return given
    kept: dict[str, Any] = without_old_zone(dict(record.settings), given)
    data = record.data(home)
    return kept | ({"data": str(data)} if data is not None else {}) | given


def _quoted(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'
