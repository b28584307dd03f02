"""Delimited text to rows of strings. A line with the wrong number of fields is refused, the rest loads.

What does not live here: lines (`lines`), types and rules (`values`, `validation`).
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from pipelines.sources.contract import SourceError
from pipelines.sources.files.lines import MAX_LINE_BYTES, Line, Refusals, lines_of, take
from pipelines.sources.protocol import LINE_COLUMN, Chunk

MAX_RECORD_LINES = 200
"""Most lines a quoted CSV field may span; an unclosed quote must not swallow the file."""

_OPEN_QUOTE = "unexpected end of data"


def read_csv(path: Path, name: str) -> Iterator[Chunk]:
    """Rows of a comma-separated file as strings; the first line that is not blank is the header.

    Args:
        path: The file. Lines may end in LF or CRLF; a byte order mark is ignored.
        name: What to call it in the quarantine.

    Raises:
        SourceError: If the header cannot be read or names a column twice.
    """
    refusals = Refusals()
    lines = lines_of(path, refusals)
    header = _header(next(lines, None), name, refusals)
    if header is None:
        return
    yield Chunk(_frame(header, [], []), name, is_text=True)
    while batch := take(lines):
        frame = _split_plain(batch, header, refusals)
        if frame is None:
            frame = _split_quoted(batch, lines, header, refusals)
        yield Chunk(frame, name, refused=refusals.take(), is_text=True)
    if refusals:
        yield Chunk(_frame(header, [], []), name, refused=refusals.take(), is_text=True)


def _header(first: Line | None, name: str, refusals: Refusals) -> list[str] | None:
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


def _split_plain(batch: list[Line], header: list[str], refusals: Refusals) -> pl.DataFrame | None:
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
    batch: list[Line], lines: Iterator[Line], header: list[str], refusals: Refusals
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


def _record(lines: list[Line]) -> tuple[list[str], str | None]:
    """Fields of one CSV record, or what is wrong with it."""
    try:
        text = b"\n".join(line.data for line in lines).decode("utf-8")
    except UnicodeDecodeError:
        return [], "not UTF-8"
    try:
        return next(csv.reader([text], strict=True)), None
    except csv.Error as error:
        return [], str(error)
