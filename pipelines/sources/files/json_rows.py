"""JSON Lines to rows of strings. A line that is not a JSON object is refused, the rest loads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.sources.files.lines import Line, Refusals, lines_of, take
from pipelines.sources.protocol import LINE_COLUMN, Chunk


def read_json_lines(path: Path, name: str) -> Iterator[Chunk]:
    """Rows of a file with one JSON object a line, as strings; nested values stay JSON text."""
    refusals = Refusals()
    lines = lines_of(path, refusals)
    while batch := take(lines):
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


def _json_row(line: Line, refusals: Refusals) -> dict[str, str | None] | None:
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
