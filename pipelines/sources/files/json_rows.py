"""JSON to rows of strings: one object a line, an array of objects, or an object that holds one such array.

A line that is not an object is refused, the rest loads. Numbers keep the digits they are written with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.sources.contract import SourceError
from pipelines.sources.files.encoding import find_encoding
from pipelines.sources.files.lines import MAX_LINE_BYTES, Line, Refusals, blocks_of
from pipelines.sources.protocol import LINE_COLUMN, Chunk, no_refusals

_ARRAY_ROWS = 200_000
_ROWS_LOOKED_AT = 100


def read_json(path: Path, name: str, encoding: str) -> Iterator[Chunk]:
    """Rows of a JSON file as strings; nested values stay JSON text.

    Args:
        path: The file.
        name: What to call it in the quarantine.
        encoding: Its encoding.

    Raises:
        SourceError: If the file cannot be read, or is an array that is broken.
    """
    if _holds_lines(path, name, encoding):
        yield from _from_lines(path, name, encoding)
    else:
        yield from _from_array(path, name, encoding)


def columns_of(path: Path, name: str) -> tuple[str, ...]:
    """Names that the first objects have."""
    for chunk in read_json(path, name, find_encoding(path, name)):
        return tuple(column for column in chunk.frame.columns if column != LINE_COLUMN)
    return ()


def _holds_lines(path: Path, name: str, encoding: str) -> bool:
    """Whether the file is read line by line: its first line that is not blank is an object of its own."""
    for block in blocks_of(path, name, encoding, Refusals()):
        for text in block.texts:
            if text.strip():
                start = text.strip()
                if start[0] == "[":
                    return False
                return start[0] != "{" or _is_json(start) or not _is_json_start(path, name, encoding)
    return True


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_json_start(path: Path, name: str, encoding: str) -> bool:
    """Whether the whole file is one JSON value that begins in the middle of its first line."""
    return _is_json("\n".join(_text(path, name, encoding)))


def _text(path: Path, name: str, encoding: str) -> Iterator[str]:
    refusals = Refusals()
    for block in blocks_of(path, name, encoding, refusals):
        yield "\n".join(block.texts)
    if refusals:
        raise SourceError(
            f"{name}: line {refusals.first} is longer than {MAX_LINE_BYTES} bytes or not in the encoding "
            f"{encoding}; write one object a line (.jsonl)"
        )


def _from_lines(path: Path, name: str, encoding: str) -> Iterator[Chunk]:
    refusals = Refusals()
    for block in blocks_of(path, name, encoding, refusals):
        rows, numbers = [], []
        for line in block.lines():
            row = _row(line, refusals) if line.text.strip() else None
            if row is not None:
                rows.append(row)
                numbers.append(line.number)
        if rows or refusals:
            yield Chunk(_frame(rows, numbers), name, refused=refusals.take(), is_text=True)
    if refusals:
        yield Chunk(pl.DataFrame(), name, refused=refusals.take(), is_text=True)


def _from_array(path: Path, name: str, encoding: str) -> Iterator[Chunk]:
    text = "\n".join(_text(path, name, encoding))
    refusals = Refusals()
    items, notes = _items(text, name)
    while batch := list(islice(items, _ARRAY_ROWS)):
        rows, numbers = [], []
        for number, value in batch:
            if isinstance(value, dict):
                row = _values(value)
                if _is_text(row):
                    rows.append(row)
                    numbers.append(number)
                    continue
                refusals.add(number, ascii(value), "not JSON: half of a surrogate pair is no text")
            else:
                refusals.add(number, json.dumps(value, ensure_ascii=False), "not a JSON object")
        refused = refusals.take() if refusals else no_refusals()
        yield Chunk(_frame(rows, numbers), name, refused=refused, is_text=True, notes=notes)
        notes = ()


def _items(text: str, name: str) -> tuple[Iterator[tuple[int, Any]], tuple[str, ...]]:
    """Line and value of each element of the one array in a text."""
    decoder = json.JSONDecoder(parse_float=str, parse_constant=_refuse_constant)
    start = len(text) - len(text.lstrip())
    if text[start : start + 1] == "[":
        return _elements(text, start, decoder, name), ()
    try:
        value = decoder.decode(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{name} is not JSON ({error}); write one object a line (.jsonl)") from None
    fields = value.items() if isinstance(value, dict) else ()
    lists = {key: item for key, item in fields if isinstance(item, list)}
    if not lists and isinstance(value, dict):
        return iter([(1, value)]), ()
    if len(lists) != 1:
        raise SourceError(
            f"{name} is no JSON object with one array in it (arrays: {', '.join(lists) or 'none'}); "
            f"write an array of objects or one object a line"
        )
    ((key, rows),) = lists.items()
    return iter([(0, row) for row in rows]), (f"rows taken from its field '{key}'",)


def _elements(text: str, start: int, decoder: json.JSONDecoder, name: str) -> Iterator[tuple[int, Any]]:
    position, number, counted = start + 1, 1, 0
    is_first = True
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        number += text.count("\n", counted, position)
        counted = position
        mark = text[position : position + 1]
        if mark == "]":
            if text[position + 1 :].strip():
                raise _broken(name, number, "more follows after its end")
            return
        if not is_first:
            if mark != ",":
                raise _broken(name, number, "a comma or the closing bracket is missing")
            position += 1
            while position < len(text) and text[position].isspace():
                position += 1
            number += text.count("\n", counted, position)
            counted = position
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            raise _broken(name, number, str(error)) from None
        is_first = False
        yield number, value


def _broken(name: str, number: int, problem: str) -> SourceError:
    return SourceError(
        f"{name} is a JSON array that breaks off in line {number} ({problem}); export it again, "
        f"or write one object a line (.jsonl)"
    )


def _frame(rows: list[dict[str, str | None]], numbers: list[int]) -> pl.DataFrame:
    columns = {key: None for row in rows for key in row}
    data = {key: [row.get(key) for row in rows] for key in columns}
    return pl.DataFrame(
        {**data, LINE_COLUMN: numbers},
        schema={**dict.fromkeys(columns, pl.String), LINE_COLUMN: pl.Int64},
    )


def _row(line: Line, refusals: Refusals) -> dict[str, str | None] | None:
    try:
        row = json.loads(line.text, parse_float=str, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        refusals.add(line.number, line.text, "not JSON")
        return None
    if not isinstance(row, dict):
        refusals.add(line.number, line.text, "not a JSON object")
        return None
    values = _values(row)
    if "\\u" in line.text and not _is_text(values):
        refusals.add(line.number, line.text, "not JSON: half of a surrogate pair is no text")
        return None
    return values


def _values(row: dict[str, Any]) -> dict[str, str | None]:
    return {key: _json_text(value) for key, value in row.items() if key != LINE_COLUMN}


def _is_text(values: dict[str, str | None]) -> bool:
    """Whether names and values are valid text; half of a surrogate pair is valid JSON and no text."""
    try:
        "".join(f"{key}{value}" for key, value in values.items()).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _json_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
