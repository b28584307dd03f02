"""What a file looks like: its kind, encoding, delimiter and header, found in its first lines.

The header is the line that names most of the columns that are expected; without expectations, or when none
of them is found, it is the first line as wide as the rows that follow it.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipelines.sources.contract import SourceError
from pipelines.sources.files.encoding import find_encoding, known_encoding
from pipelines.sources.files.lines import MAX_LINE_BYTES, Line, Refusals, blocks_of
from pipelines.sources.files.opened import opened

DELIMITERS = (",", "\t", ";", "|")
LOOK_LINES = 200
"""Lines that are looked at for the delimiter and the header; a longer preamble needs `header_line`."""

SUFFIXES = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".tab": "csv",
    ".json": "json", ".jsonl": "json", ".ndjson": "json",
    ".parquet": "parquet", ".pq": "parquet",
    ".xlsx": "xlsx", ".xlsm": "xlsx", ".xlsb": "xlsx", ".xls": "xlsx", ".ods": "xlsx",
}  # fmt: skip
"""Kinds of files by the end of their name, in lower case; each also with `.gz`."""

_NOTED_LENGTH = 60
_BOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060\ufeff]")


@dataclass(frozen=True)
class Dialect:
    """What an owner says of the files of a table; None means: found out.

    Attributes:
        encoding: Name of the encoding, such as `gb18030`.
        delimiter: The one character between two fields.
        header_line: Number of the line that names the columns, from 1.
    """

    encoding: str | None = None
    delimiter: str | None = None
    header_line: int | None = None


@dataclass(frozen=True)
class Found:
    """What a file turned out to be.

    Attributes:
        kind: 'csv', 'json', 'parquet' or 'xlsx'.
        encoding: Encoding of a text file; None for others.
        delimiter: Delimiter of a delimited file; None for others.
        header_line: Line that names the columns, from 1; 0 for files without such a line.
        columns: Names of the columns, as the file has them; a column without a name is called by its number.
        skipped_lines: Lines before the header, as text.
        line_end: 'LF', 'CRLF', 'CR' or '' for files without lines.
    """

    kind: str
    encoding: str | None
    delimiter: str | None
    header_line: int
    columns: tuple[str, ...]
    skipped_lines: tuple[str, ...] = ()
    line_end: str = ""


class Header(NamedTuple):
    """The place of the header among the first rows of a file or sheet."""

    position: int
    names: tuple[str, ...]


def kind_of_file(path: Path) -> str | None:
    """Kind of a file by its name; None for names that say nothing."""
    name = path.name.lower().removesuffix(".gz")
    return SUFFIXES.get(Path(name).suffix)


def stem_of_file(path: Path) -> str:
    """Name of a file without the ends that say its kind, in lower case."""
    return Path(path.name.lower().removesuffix(".gz")).stem


def sniff(path: Path, hints: Dialect, expected: Collection[str] = (), name: str | None = None) -> Found:
    """Finds out what a file is.

    Args:
        path: The file.
        hints: What is known already.
        expected: Names of columns that the header may have, in lower case.
        name: What to call it in messages; the name of the file if None.

    Raises:
        SourceError: If nothing can be made of it; the message names the file and the remedy.
    """
    from pipelines.sources.files import json_rows, parquet_rows, xlsx_rows

    name = name or path.name
    kind = _kind_by_content(path, name) or kind_of_file(path)
    if kind == "xlsx" and not _is_packed_book(path, name):
        # Many programs export text under the name of a spreadsheet.
        found = _sniff_text(path, name, hints, expected)
        wanted = {plain_name(column) for column in expected}
        if sum(plain_name(column) in wanted for column in found.columns) > 1:
            return found
    if kind == "parquet":
        return Found("parquet", None, None, 0, parquet_rows.columns_of(path, name))
    if kind == "xlsx":
        header, skipped = xlsx_rows.header_of(path, name, hints, expected)
        return Found("xlsx", None, None, header.position + 1, header.names, skipped)
    if kind == "json":
        return Found("json", _encoding(path, name, hints), None, 0, json_rows.columns_of(path, name))
    if kind == "csv":
        return _sniff_text(path, name, hints, expected)
    raise SourceError(
        f"{name} is no kind of file that can be read; save it as .csv, .jsonl, .parquet or .xlsx"
    )


def _head(path: Path, name: str) -> bytes:
    with opened(path, name) as file:
        return file.read(64)


def _kind_by_content(path: Path, name: str) -> str | None:
    """Kind that the first bytes tell, whatever the name says; None where they tell nothing."""
    head = _head(path, name)
    if head.startswith(_BOOKS):
        return "xlsx"
    if head.startswith(b"PAR1"):
        return "parquet"
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    return "json" if re.match(rb'\[\s*\{\s*"|\{\s*"', start) and kind_of_file(path) == "csv" else None


def _is_packed_book(path: Path, name: str) -> bool:
    return _head(path, name).startswith(_BOOKS)


def clean_name(text: str) -> str:
    """A column name without blanks, guards and invisible characters around it."""
    return _INVISIBLE.sub("", text).strip().strip("'\"").strip()


def named(cells: list[str]) -> tuple[str, ...]:
    """Column names of the cells of a header; a column without a name is called by its number."""
    return tuple(clean_name(cell) or f"column {number}" for number, cell in enumerate(cells, 1))


def left_out(lines: Sequence[str]) -> str:
    """A note that says which lines before the header were not read."""
    count = len(lines)
    cut = [line if len(line) <= _NOTED_LENGTH else f"{line[:_NOTED_LENGTH]}…" for line in lines[:3]]
    shown = ", ".join(map(repr, cut))
    more = ", …" if count > 3 else ""
    return f"{count} line{'s' if count > 1 else ''} before the header left out: {shown}{more}"


def plain_name(text: str) -> str:
    """A column name as it is compared: lower case, with underscores."""
    return re.sub(r"[\s\-.]+", "_", text.strip().lower())


def find_header(rows: list[list[str]], expected: Collection[str]) -> int | None:
    """Position of the row that names the columns; None when no row could.

    Args:
        rows: The first rows as cells.
        expected: Names of columns that the header may have, in lower case.
    """
    hits = [sum(plain_name(clean_name(cell)) in expected for cell in row) for row in rows]
    best = max(hits, default=0)
    if best > 1 or (best == 1 and not any(len(row) > 1 for row in rows)):
        return hits.index(best)
    widths = Counter(len(row) for row in rows if any(cell.strip() for cell in row))
    if not widths:
        return None
    usual = max(widths, key=lambda width: (widths[width], width))
    for position, row in enumerate(rows):
        filled = sum(bool(cell.strip()) for cell in row)
        if len(row) == usual and (2 * filled > usual or filled == len(row)):
            return position
    return None


def _encoding(path: Path, name: str, hints: Dialect) -> str:
    if hints.encoding is not None:
        return known_encoding(hints.encoding, name)
    return find_encoding(path, name)


def _sniff_text(path: Path, name: str, hints: Dialect, expected: Collection[str]) -> Found:
    encoding = _encoding(path, name, hints)
    lines = _first_lines(path, name, encoding)
    line_end = _line_end(path, name, encoding)
    if not any(line.text.strip() for line in lines):
        return Found("csv", encoding, hints.delimiter or ",", 0, (), (), line_end)
    choices = (hints.delimiter,) if hints.delimiter is not None else DELIMITERS
    wanted = {plain_name(name) for name in expected}
    delimiter = max(choices, key=lambda choice: _fitness(lines, choice, wanted))
    if hints.header_line is not None:
        header = next((line for line in lines if line.number == hints.header_line), None)
        if header is None:
            raise SourceError(
                f"{name} has no line {hints.header_line} that could be the header; "
                f"correct header_line in muyun.yaml"
            )
    else:
        filled = [line for line in lines if line.text.strip()]
        position = find_header([_cells(line.text, delimiter) for line in filled], wanted)
        header = filled[position or 0]
    try:
        cells = next(csv.reader([header.text], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise SourceError(f"{name}: the header cannot be read ({error}); it must name the columns") from None
    skipped = tuple(line.text for line in lines if line.number < header.number and line.text.strip())
    return Found("csv", encoding, delimiter, header.number, named(cells), skipped, line_end)


def _first_lines(path: Path, name: str, encoding: str) -> list[Line]:
    refusals = Refusals()
    lines: list[Line] = []
    for block in blocks_of(path, name, encoding, refusals):
        if refusals and not lines and refusals.first == 1:
            raise SourceError(
                f"{name}: the first line is longer than {MAX_LINE_BYTES} bytes or not in the encoding "
                f"{encoding}; it must name the columns"
            )
        head = block.texts.head(LOOK_LINES)
        lines += [Line(*pair) for pair in zip(block.numbers.head(LOOK_LINES), head, strict=True)]
        if len(lines) >= LOOK_LINES:
            break
    return lines[:LOOK_LINES]


def _cells(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        return text.split(delimiter)


def _fitness(lines: list[Line], delimiter: str, wanted: Collection[str]) -> tuple[int, int, int]:
    """How well a delimiter fits: expected names in one line, lines of the usual width, that width."""
    rows = [_cells(line.text, delimiter) for line in lines if line.text.strip()]
    named_most = max(sum(plain_name(clean_name(cell)) in wanted for cell in row) for row in rows)
    widths = Counter(len(row) for row in rows if len(row) > 1)
    usual, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
    return named_most, count, usual


def _line_end(path: Path, name: str, encoding: str) -> str:
    with opened(path, name) as file:
        head = file.read(1 << 16)
    text = head.decode(encoding, "replace")
    if "\r\n" in text:
        return "CRLF"
    if "\n" in text:
        return "LF"
    return "CR" if "\r" in text else ""
