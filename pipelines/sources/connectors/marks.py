"""Marks of incremental loads: which is newer, and from where to ask again. Pure."""

from __future__ import annotations

import datetime as dt

Value = dt.datetime | int


def value_of(text: str, zone: dt.tzinfo = dt.UTC) -> Value | None:
    """A time or a whole number that can be compared; None for anything else.

    Args:
        text: As the other side writes it.
        zone: Zone of times without an offset.

    >>> value_of("2026-11-01T09:30:00Z") == value_of("2026-11-01T17:30:00+08:00")
    True
    >>> value_of("17"), value_of("x")
    (17, None)
    """
    if text.strip().removeprefix("-").isdecimal():
        return int(text)
    try:
        at = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=zone)


def is_newer(text: str, than: str | None, now: dt.datetime, zone: dt.tzinfo = dt.UTC) -> bool:
    """Whether a mark lies after another and not in the future.

    What changes between now and a time that is ahead would never be asked for, if that time were the mark.

    Args:
        text: The mark.
        than: The other; None: there is none yet.
        now: The time (UTC).
        zone: Zone of times without an offset.
    """
    value, other = value_of(text, zone), value_of(than, zone) if than is not None else None
    if value is None or (isinstance(value, dt.datetime) and value > now):
        return False
    if other is None:
        return True
    if isinstance(value, dt.datetime) and isinstance(other, dt.datetime):
        return value > other
    return isinstance(value, int) and isinstance(other, int) and value > other


def earlier(mark: str, overlap_s: int) -> str:
    """The mark some seconds before, written as times of its kind are; numbers count seconds.

    >>> earlier("2026-11-28 10:00:00", 60), earlier("2026-11-28T10:00:00Z", 60)
    ('2026-11-28 09:59:00', '2026-11-28T09:59:00Z')
    """
    value, written = value_of(mark), mark.strip()
    if value is None or not overlap_s:
        return mark
    if isinstance(value, int):
        return str(value - overlap_s)
    at = dt.datetime.fromisoformat(written) - dt.timedelta(seconds=overlap_s)
    text = at.isoformat(" " if " " in written else "T")
    return text.replace("+00:00", "Z") if written.endswith("Z") else text


def is_at_or_after(text: str, mark: str) -> bool:
    """Whether a row with this mark will be answered again when everything from a mark on is asked for."""
    value, other = value_of(text), value_of(mark)
    if isinstance(value, dt.datetime) and isinstance(other, dt.datetime):
        return value >= other
    return isinstance(value, int) and isinstance(other, int) and value >= other
