"""What a file looks like: its kind by content and name; encoding, delimiter and header of text."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from pipelines.sources.contract import SourceError
from pipelines.sources.files import json_rows, parquet_rows, xlsx_rows
from pipelines.sources.files.encoding import find_encoding, known_encoding
from pipelines.sources.files.form import (
    LOOK_LINES,
    Dialect,
    Found,
    clean_name,
    find_header,
    kind_of_file,
    named,
    plain_name,
)
from pipelines.sources.files.lines import MAX_LINE_BYTES, Line, Refusals, blocks_of
from pipelines.sources.files.opened import opened

DELIMITERS = (",", "\t", ";", "|")
_BOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


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
