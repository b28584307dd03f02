"""What is said and found of the form of a file: kind, encoding, delimiter, the header among its first rows.

The header is the row that names most of the columns that are expected; without expectations, or when none
of them is found, it is the first row as wide as those that follow it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

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
