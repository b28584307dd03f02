"""One home, one source: what a home holds is remembered, and another source is refused."""

from __future__ import annotations

from pathlib import Path

from pipelines.settings import Settings
from serving.errors import ServingError
from serving.home_record import (
    REMEMBERED,
    HomeRecord,
    new_record,
    read_record,
    write_record,
)
from serving.settings import DEFAULT_TENANT


class AnotherSourceError(ServingError):
    """A home holds another source than the one asked for; the message says the ways out."""


def identify(settings: Settings) -> HomeRecord:
    """The home's record; a new home gets its id.

    Raises:
        HomeRecordError: The record cannot be read.
        AnotherSourceError: An earlier version filled the home and did not write down from what.
    """
    record = read_record(settings.home)
    if record is not None:
        return record
    if _is_filled(settings):
        raise AnotherSourceError(
            f"{settings.home} was filled by an earlier version, which did not write down from what. Say it "
            "once: `make adopt-source` if it was the embedded panel, `make adopt-source DATA=folder` if not"
        )
    record = new_record()
    write_record(settings.home, record)
    return record


def require_same_source(settings: Settings) -> None:
    """Refuse a source other than the one that the home holds.

    Raises:
        AnotherSourceError: It is another folder, or the embedded panel instead of a folder.
    """
    record = identify(settings)
    if record.source is None:
        return
    known = record.data(settings.home)
    if not _is_same(known, settings.data):
        asked = settings.data or "the embedded panel"
        moved = (
            "" if known is None or known.is_dir() else f"; if {known} was moved, `make adopt-source` says so"
        )
        raise AnotherSourceError(
            f"{settings.home} holds {record.named(settings.home)}, and {asked} is another source. Name "
            f"another home with MUYUN_HOME=..., or set the old state aside with `make forget-source`{moved}"
        )


def remember_source(settings: Settings) -> None:
    """Write down what the home is about to be loaded with; called before the first row is written.

    Raises:
        AnotherSourceError: The home holds another source.
    """
    require_same_source(settings)
    _write(settings, identify(settings))


def adopt_source(settings: Settings) -> str:
    """Take the configured source as the one that the home holds: it was moved, or never written down.

    Returns:
        The source in words.

    Raises:
        AnotherSourceError: The folder that the home remembers is still there.
    """
    record = read_record(settings.home) or new_record()
    known = record.data(settings.home)
    is_open = record.source is None or (known is not None and not known.is_dir())
    if not is_open and not _is_same(known, settings.data):
        raise AnotherSourceError(
            f"{settings.home} holds {record.named(settings.home)}, which is still there: nothing was moved. "
            "Set the old state aside with `make forget-source` first"
        )
    return _write(settings, record).named(settings.home)


def _write(settings: Settings, record: HomeRecord) -> HomeRecord:
    defaults = {None, DEFAULT_TENANT}
    given = {name: value for name in REMEMBERED if (value := getattr(settings, name)) not in defaults}
    found = record.with_source(settings.home, settings.data, given)
    if found != record:
        write_record(settings.home, found)
    return found


def _is_same(one: Path | None, other: Path | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or (one.exists() and other.exists() and one.samefile(other))


def _is_filled(settings: Settings) -> bool:
    return settings.state_dir.is_dir() and any(settings.state_dir.iterdir())
