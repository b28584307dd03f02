"""Marks of incremental loads: which is newer, and from where to ask again. Pure."""

from __future__ import annotations

import datetime as dt

_AHEAD = dt.timedelta(days=1)
"""A time further ahead than any clock of the other side can be does not move a mark."""

Value = dt.datetime | int


def value_of(text: str) -> Value | None:
    """A time or a whole number that can be compared; None for anything else.

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
    return at if at.tzinfo else at.replace(tzinfo=dt.UTC)


def is_newer(text: str, than: str | None, now: dt.datetime) -> bool:
    """Whether a mark lies after another and not in the future."""
    value, other = value_of(text), value_of(than) if than is not None else None
    if value is None or (isinstance(value, dt.datetime) and value > now + _AHEAD):
        return False
    if other is None:
        return True
    if isinstance(value, dt.datetime) and isinstance(other, dt.datetime):
        return value > other
    return isinstance(value, int) and isinstance(other, int) and value > other


def earlier(mark: str, overlap_s: int) -> str:
    """The mark some seconds before, written as times of its kind are; numbers count seconds."""
    value = value_of(mark)
    if value is None or not overlap_s:
        return mark
    if isinstance(value, int):
        return str(value - overlap_s)
    text = (value - dt.timedelta(seconds=overlap_s)).isoformat()
    return text.replace("+00:00", "Z") if mark.strip().endswith("Z") else text


def is_at_or_after(text: str, mark: str) -> bool:
    """Whether a row with this mark will be answered again when everything from a mark on is asked for."""
    value, other = value_of(text), value_of(mark)
    if isinstance(value, dt.datetime) and isinstance(other, dt.datetime):
        return value >= other
    return isinstance(value, int) and isinstance(other, int) and value >= other
