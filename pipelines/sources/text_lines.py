"""Text files (CSV and JSON Lines) to raw rows, whatever the file looks like.

What lives here: bytes to lines to string columns, with the line number of every row, in bounded memory.
A line that is not UTF-8, is too long, has the wrong number of fields or is not JSON is refused with a
reason; the rest loads. What does not: types and rules (`parsing`, `validation`), folders and file names
(`files`).
"""

from __future__ import annotations

import csv
import json
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from pipelines.sources.contract import SourceError
from pipelines.sources.protocol import LINE_COLUMN, REFUSED_SCHEMA, Chunk
from pipelines.sources.quarantine import MAX_VALUE_LENGTH

MAX_LINE_BYTES = 1 << 20
"""Longest line that is read; longer ones are refused without being held in memory."""
MAX_RECORD_LINES = 200
"""Most lines a quoted CSV field may span; an unclosed quote must not swallow the file."""

_BATCH_LINES = 200_000
_BATCH_BYTES = 32 << 20
_BOM = b"\xef\xbb\xbf"
_OPEN_QUOTE = "unexpected end of data"


class _Line(NamedTuple):
    number: int
    data: bytes


class _Refusals:
    """Refused lines since the last chunk."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, None, str, str, str]] = []

    def add(self, number: int, text: str, reason: str) -> None:
        shown = text if len(text) <= MAX_VALUE_LENGTH else text[:MAX_VALUE_LENGTH] + "…"
        row = json.dumps({"text": shown}, ensure_ascii=False)
        self._rows.append((number, None, shown, reason, row))

    def __bool__(self) -> bool:
        return bool(self._rows)

    def take(self) -> pl.DataFrame:
        rows, self._rows = self._rows, []
        return pl.DataFrame(rows, schema=REFUSED_SCHEMA, orient="row")


def read_csv(path: Path, name: str) -> Iterator[Chunk]:
    """Rows of a comma-separated file as strings; the first line that is not blank is the header.

    Args:
        path: The file. Lines may end in LF or CRLF; a byte order mark is ignored.
        name: What to call it in the quarantine.

    Raises:
        SourceError: If the header cannot be read or names a column twice.
    """
    refusals = _Refusals()
    lines = _lines(path, refusals)
    header = _header(next(lines, None), name, refusals)
    if header is None:
        return
    yield Chunk(_frame(header, [], []), name, is_text=True)
    while batch := _take(lines):
        frame = _split_plain(batch, header, refusals)
        if frame is None:
            frame = _split_quoted(batch, lines, header, refusals)
        yield Chunk(frame, name, refused=refusals.take(), is_text=True)
    if refusals:
        yield Chunk(_frame(header, [], []), name, refused=refusals.take(), is_text=True)


def read_json_lines(path: Path, name: str) -> Iterator[Chunk]:
    """Rows of a file with one JSON object a line, as strings; nested values stay JSON text."""
    refusals = _Refusals()
    lines = _lines(path, refusals)
    while batch := _take(lines):
        rows, numbers = [], []
        for line in batch:
            row = _json_row(line, refusals)
            if row is not None:
                rows.append(row)
                numbers.append(line.number)
        columns = {key: None for row in rows for key in row}
        data = {key: [row.get(key) for row in rows] for key in columns}
        frame = pl.DataFrame(
            {**data, LINE_COLUMN: numbers},
            schema={**dict.fromkeys(columns, pl.String), LINE_COLUMN: pl.Int64},
        )
        yield Chunk(frame, name, refused=refusals.take(), is_text=True)
    if refusals:
        yield Chunk(pl.DataFrame(), name, refused=refusals.take(), is_text=True)


def _lines(path: Path, refusals: _Refusals) -> Iterator[_Line]:
    """Lines that are not blank, without their end, and their numbers from 1."""
    with path.open("rb") as file:
        number = 0
        while data := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if number == 1:
                data = data.removeprefix(_BOM)
            if len(data) > MAX_LINE_BYTES and not data.endswith(b"\n"):
                shown = data[: 4 * MAX_VALUE_LENGTH].decode("utf-8", "replace")
                refusals.add(number, shown, f"line longer than {MAX_LINE_BYTES} bytes")
                while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                    continue
            elif data.strip():
                yield _Line(number, data.rstrip(b"\r\n"))


def _take(lines: Iterator[_Line]) -> list[_Line]:
    batch: list[_Line] = []
    size = 0
    for line in islice(lines, _BATCH_LINES):
        batch.append(line)
        size += len(line.data)
        if size >= _BATCH_BYTES:
            break
    return batch


def _header(first: _Line | None, name: str, refusals: _Refusals) -> list[str] | None:
    if refusals:
        raise SourceError(
            f"{name}: the first line is longer than {MAX_LINE_BYTES} bytes; it must name the columns"
        )
    if first is None:
        return None
    try:
        text = first.data.decode("utf-8")
        header = [column.strip() for column in next(csv.reader([text], strict=True))]
    except UnicodeDecodeError:
        raise SourceError(
            f"{name}: the header is not UTF-8; save the file as UTF-8 and load it again"
        ) from None
    except csv.Error as error:
        raise SourceError(f"{name}: the header cannot be read ({error}); it must name the columns") from None
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        raise SourceError(f"{name}: the header names {', '.join(map(repr, twice))} more than once")
    return header


def _frame(header: list[str], rows: list[list[str]], numbers: list[int]) -> pl.DataFrame:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    data = {name: list(values) for name, values in zip(header, columns, strict=True)}
    return pl.DataFrame(
        {**data, LINE_COLUMN: numbers}, schema={**dict.fromkeys(header, pl.String), LINE_COLUMN: pl.Int64}
    )


def _ragged(fields: int, expected: int) -> str:
    return f"{'too few' if fields < expected else 'too many'} fields: {fields} instead of {expected}"


def _split_plain(batch: list[_Line], header: list[str], refusals: _Refusals) -> pl.DataFrame | None:
    """The batch split at commas, fast; None if a line has quotes or is not UTF-8."""
    joined = b"\n".join(line.data for line in batch)
    if b'"' in joined:
        return None
    try:
        texts = joined.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        return None
    numbers = pl.Series(LINE_COLUMN, [line.number for line in batch], dtype=pl.Int64)
    text = pl.Series("text", texts, dtype=pl.String)
    fields = text.str.count_matches(",", literal=True) + 1
    fits = fields == len(header)
    if not fits.all():
        for number, line, count in zip(
            numbers.filter(~fits), text.filter(~fits), fields.filter(~fits), strict=True
        ):
            refusals.add(number, line, _ragged(count, len(header)))
        text, numbers = text.filter(fits), numbers.filter(fits)
    parts = text.str.split_exact(",", len(header) - 1).struct.unnest()
    return parts.rename(dict(zip(parts.columns, header, strict=True))).with_columns(numbers)


def _split_quoted(
    batch: list[_Line], lines: Iterator[_Line], header: list[str], refusals: _Refusals
) -> pl.DataFrame:
    """The batch parsed line by line; a quoted field may run on into the next lines, also past the batch."""
    queue = deque(batch)
    rows: list[list[str]] = []
    numbers: list[int] = []
    while queue:
        first = queue.popleft()
        taken = [first]
        while True:
            fields, problem = _record(taken)
            if problem != _OPEN_QUOTE:
                break
            following = queue.popleft() if queue else next(lines, None)
            if following is not None:
                taken.append(following)
            size = sum(len(line.data) for line in taken)
            if following is None or len(taken) > MAX_RECORD_LINES or size > MAX_LINE_BYTES:
                problem = "a quote is opened and never closed"
                queue.extendleft(reversed(taken[1:]))
                break
        if problem is None and len(fields) != len(header):
            problem = _ragged(len(fields), len(header))
        if problem is None:
            rows.append(fields)
            numbers.append(first.number)
        else:
            refusals.add(first.number, first.data.decode("utf-8", "replace"), problem)
    return _frame(header, rows, numbers)


def _record(lines: list[_Line]) -> tuple[list[str], str | None]:
    """Fields of one CSV record, or what is wrong with it."""
    try:
        text = b"\n".join(line.data for line in lines).decode("utf-8")
    except UnicodeDecodeError:
        return [], "not UTF-8"
    try:
        return next(csv.reader([text], strict=True)), None
    except csv.Error as error:
        return [], str(error)


def _json_row(line: _Line, refusals: _Refusals) -> dict[str, str | None] | None:
    try:
        text = line.data.decode("utf-8")
    except UnicodeDecodeError:
        refusals.add(line.number, line.data.decode("utf-8", "replace"), "not UTF-8")
        return None
    try:
        row = json.loads(text, parse_constant=_refuse_constant)
        if not isinstance(row, dict):
            refusals.add(line.number, text, "not a JSON object")
            return None
        values = {key: _json_text(value) for key, value in row.items() if key != LINE_COLUMN}
        if "\\u" in text:
            # A lone surrogate is valid JSON and no valid text.
            "".join(f"{key}{value}" for key, value in values.items()).encode("utf-8")
    except (ValueError, RecursionError):
        refusals.add(line.number, text, "not JSON")
        return None
    return values


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _json_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
