"""Spreadsheets to rows of strings: the one sheet that has the columns of the table.

Cells are written out as a person would type them, so that the rules for text hold: a date as its local time,
a number with its digits. A spreadsheet keeps 15 digits; a longer whole number is written with an exponent and
so refused as an id.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import polars as pl
from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

from pipelines.sources.contract import SourceError
from pipelines.sources.files.csv_rows import HEADER_AGAIN
from pipelines.sources.files.form import (
    LOOK_LINES,
    Dialect,
    Header,
    clean_name,
    find_header,
    left_out,
    named,
    plain_name,
)
from pipelines.sources.files.lines import Refusals
from pipelines.sources.files.opened import opened
from pipelines.sources.protocol import LINE_COLUMN, Chunk

_CHUNK_ROWS = 200_000
_EXACT_DIGITS = 10**15


def header_of(
    path: Path, name: str, hints: Dialect, expected: Collection[str]
) -> tuple[Header, tuple[str, ...]]:
    """The header of the sheet that holds the table, and what stands above it."""
    _, rows, header, _ = _table(path, name, hints, expected)
    return header, _above(rows, header)


def read_xlsx(path: Path, name: str, hints: Dialect, expected: Collection[str]) -> Iterator[Chunk]:
    """Rows of a spreadsheet as strings.

    Args:
        path: The file.
        name: What to call it in the quarantine.
        hints: What is known of its header.
        expected: Names of columns that the header may have, in lower case.

    Raises:
        SourceError: If it is no spreadsheet that can be read, or not exactly one sheet holds the table.
    """
    sheet, rows, header, notes = _table(path, name, hints, expected)
    if not header.names:
        return
    label = name if sheet is None else f"{name}[{sheet}]"
    twice = sorted({column for column in header.names if header.names.count(column) > 1})
    if twice:
        raise SourceError(f"{label}: the header names {', '.join(map(repr, twice))} more than once")
    width = len(header.names)
    body = list(enumerate(rows[header.position + 1 :], header.position + 2))
    yield Chunk(_frame(header.names, []), name, is_text=True, notes=notes)
    for start in range(0, len(body), _CHUNK_ROWS):
        refusals = Refusals()
        kept = []
        for number, row in body[start : start + _CHUNK_ROWS]:
            if not any(cell.strip() for cell in row):
                continue
            if tuple(clean_name(cell) for cell in row) == tuple(clean_name(n) for n in rows[header.position]):
                refusals.add(number, " ".join(row), HEADER_AGAIN)
            else:
                kept.append((*row[:width], number))
        frame = _frame(header.names, kept)
        unnamed = [column for column in frame.columns if column.startswith("column ")]
        frame = frame.drop([column for column in unnamed if (frame[column].str.strip_chars() == "").all()])
        yield Chunk(frame, name, refused=refusals.take(), is_text=True)


def _frame(names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    schema = {**dict.fromkeys(names, pl.String()), LINE_COLUMN: pl.Int64()}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _table(
    path: Path, name: str, hints: Dialect, expected: Collection[str]
) -> tuple[str | None, list[list[str]], Header, tuple[str, ...]]:
    """The sheet that holds the table: its name, all its rows as text, its header, and notes."""
    with opened(path, name) as file:
        content = file.read()
    if not content:
        return None, [], Header(0, ()), ()
    wanted = {plain_name(column) for column in expected}
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        hidden = {sheet.name for sheet in book.sheets_metadata if sheet.visible != SheetVisibleEnum.Visible}
        tables = {sheet.name for sheet in book.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet}
        sheets = {
            sheet: _texts(book.get_sheet_by_name(sheet).to_python(skip_empty_area=False))
            for sheet in book.sheet_names
            if sheet in tables
        }
    except PasswordError:
        raise SourceError(f"{name} is locked with a password; save it without one") from None
    except (CalamineError, ValueError, OSError) as error:
        raise SourceError(
            f"{name} is not a readable spreadsheet ({error}); open it, save it again as .xlsx or .csv (UTF-8)"
        ) from None
    filled = {sheet: rows for sheet, rows in sheets.items() if rows}
    headers = {sheet: _header(rows, hints, wanted) for sheet, rows in filled.items()}
    fitting = [sheet for sheet in filled if _hits(headers[sheet], wanted) > 1 and sheet not in hidden]
    if not fitting and len(filled) == 1:
        fitting = list(filled)
    if not filled:
        return None, [], Header(0, ()), ()
    if len(fitting) != 1:
        names = ", ".join(f"'{sheet}'" for sheet in (fitting or filled))
        problem = "several sheets with the columns of the table" if fitting else "no sheet with its columns"
        raise SourceError(
            f"{name} has {problem}: {names}; keep one such sheet, or save each as a file of its own in a "
            f"folder named after the table"
        )
    (chosen,) = fitting
    header = headers[chosen]
    notes = []
    if len(sheets) > 1:
        others = ", ".join(f"'{sheet}'" for sheet in sheets if sheet != chosen)
        notes.append(f"sheet '{chosen}' read; sheets not read: {others}")
    above = _above(filled[chosen], header)
    if above:
        notes.append(left_out(above))
    return chosen, filled[chosen], header, tuple(notes)


def _header(rows: list[list[str]], hints: Dialect, wanted: Collection[str]) -> Header:
    if hints.header_line is not None:
        position = min(hints.header_line, len(rows)) - 1
    else:
        position = find_header(rows[:LOOK_LINES], wanted) or 0
    return Header(position, named(rows[position]))


def _above(rows: list[list[str]], header: Header) -> tuple[str, ...]:
    """Rows before the header that are not blank, as text."""
    texts = (" ".join(cell for cell in row if cell.strip()) for row in rows[: header.position])
    return tuple(text for text in texts if text)


def _hits(header: Header, wanted: Collection[str]) -> int:
    return sum(plain_name(name) in wanted for name in header.names)


def _texts(rows: list[list[Any]]) -> list[list[str]]:
    return [[_text(cell) for cell in row] for row in rows]


def _text(cell: Any) -> str:
    """A cell as a person would type it."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        if cell.is_integer() and abs(cell) < _EXACT_DIGITS:
            return str(int(cell))
        return repr(cell) if abs(cell) < _EXACT_DIGITS else f"{cell:.14E}"
    if isinstance(cell, int):
        return str(cell) if abs(cell) < _EXACT_DIGITS else f"{cell:.14E}"
    if isinstance(cell, dt.datetime | dt.date | dt.time):
        return cell.isoformat()
    return str(cell)
