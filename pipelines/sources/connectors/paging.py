"""Rows of an answer, and where the next page is. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.sources.connectors.declaration import Stream
from pipelines.sources.connectors.errors import ConnectorError

Row = dict[str, Any]

_NOTHING = object()
_NO_MORE = (None, False, 0, "", "false", "0")
_NO_NEXT = (None, "")


@dataclass(frozen=True)
class Page:
    """What an answer holds.

    Attributes:
        lines: Its rows, one JSON text each, fields in one order.
        next: Position of the next page; None: this was the last.
        written_at: When the answer was written, as it says.
    """

    lines: tuple[str, ...]
    next: str | None
    written_at: str | None = None

    @property
    def digest(self) -> str:
        """Tells its content."""
        return digest_of(self.lines)


def digest_of(lines: tuple[str, ...] | list[str]) -> str:
    """Tells the content of some rows."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def request_for(stream: Stream, position: str | None, mark: str | None) -> tuple[str, dict[str, str]]:
    """Path and parameters of a page.

    Args:
        stream: What is pulled.
        position: Number, cursor or address of the page; None: the first.
        mark: Only what changed since is asked for; None: everything.
    """
    params = dict(stream.params)
    if stream.since is not None and mark is not None:
        params[stream.since.param] = mark
    pages = stream.pages
    if pages is None:
        return stream.path, params
    if pages.kind == "next_url" and position is not None:
        return position, {}
    if pages.kind == "page":
        params[str(pages.param)] = position or str(pages.first)
    elif pages.kind == "cursor" and position is not None:
        params[str(pages.param)] = position
    return stream.path, params


def read_page(stream: Stream, answer: Any, position: str | None) -> Page:
    """The rows of an answer and where the next are.

    Raises:
        ConnectorError: It does not have what the declaration names.
    """
    records = _field(answer, stream.records)
    if not isinstance(records, list):
        raise ConnectorError(
            f"the answer has no array of rows at {stream.records or 'its top'!r}; it has {_names(answer)}: "
            "correct `records`"
        )
    rows = [row for record in records for row in _rows_of(record, stream.each)]
    lines = tuple(_sound(json.dumps(row, ensure_ascii=False, sort_keys=True)) for row in rows)
    written_at = None
    if stream.written_at is not None:
        value = _field(answer, stream.written_at)
        if not isinstance(value, str | int):
            raise ConnectorError(f"the answer has no {stream.written_at!r}: correct `written_at`")
        written_at = str(value)
    return Page(lines, _next(stream, answer, position, is_empty=not records), written_at)


def _next(stream: Stream, answer: Any, position: str | None, *, is_empty: bool) -> str | None:
    pages = stream.pages
    if pages is None:
        return None
    name = pages.more if pages.kind == "page" else pages.next
    value = _field(answer, name) if name is not None else not is_empty
    if value is _NOTHING:
        if pages.ends_without:
            return None
        raise ConnectorError(
            f"the answer has no {name!r}, which says whether more pages follow; it has {_names(answer)}: "
            "correct `pages`, or say `ends_without: true` where the last page lacks it"
        )
    if pages.kind == "page":
        return None if value in _NO_MORE else str(int(position or pages.first) + 1)
    return None if value in _NO_NEXT else _sound(str(value))


def _sound(text: str) -> str:
    """A text that can be written: half of a character, as of an emoji that was cut, is U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _rows_of(record: Any, each: str | None) -> list[Any]:
    """A record as rows; one that is no object stays as it is, to be refused with its text."""
    if not isinstance(record, dict):
        return [record]
    parts = _field(record, each) if each is not None else _NOTHING
    if each is None or not isinstance(parts, list):
        return [_flat(record)]
    around = {name: value for name, value in _flat(record).items() if name != each}
    return [{**around, **_flat({each: part})} for part in parts]


def _flat(record: Mapping[str, Any], before: str = "") -> Row:
    """Fields of objects under their path; null as blank text, which tells it from one that is not there."""
    row: Row = {}
    for name, value in record.items():
        if isinstance(value, dict):
            row |= _flat(value, f"{before}{name}.")
        else:
            row[before + name] = "" if value is None else value
    return row


def _field(value: Any, path: str) -> Any:
    for name in path.split(".") if path else ():
        if not isinstance(value, Mapping) or name not in value:
            return _NOTHING
        value = value[name]
    return value


def _names(answer: Any) -> str:
    if isinstance(answer, Mapping):
        return ", ".join(map(str, answer)) or "nothing"
    return "an array" if isinstance(answer, list) else "no object"
