"""Bytes of a text file to numbered lines, in bounded memory; lines that are refused are kept with a reason.

What lives here: lines, their numbers, refusals. What does not: columns (`csv_rows`, `json_rows`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import polars as pl

from pipelines.sources.protocol import REFUSED_SCHEMA
from pipelines.sources.quarantine import MAX_VALUE_LENGTH

MAX_LINE_BYTES = 1 << 20
"""Longest line that is read; longer ones are refused without being held in memory."""

_BATCH_LINES = 200_000
_BATCH_BYTES = 32 << 20
_BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """One line and its number, from 1."""

    number: int
    data: bytes


class Refusals:
    """Refused lines since the last chunk."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, None, str, str, str]] = []

    def add(self, number: int, text: str, reason: str) -> None:
        """Refuses one line."""
        shown = text if len(text) <= MAX_VALUE_LENGTH else text[:MAX_VALUE_LENGTH] + "…"
        row = json.dumps({"text": shown}, ensure_ascii=False)
        self._rows.append((number, None, shown, reason, row))

    def __bool__(self) -> bool:
        return bool(self._rows)

    def take(self) -> pl.DataFrame:
        """The refusals so far, which are then forgotten."""
        rows, self._rows = self._rows, []
        return pl.DataFrame(rows, schema=REFUSED_SCHEMA, orient="row")


def lines_of(path: Path, refusals: Refusals) -> Iterator[Line]:
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
                yield Line(number, data.rstrip(b"\r\n"))


def take(lines: Iterator[Line]) -> list[Line]:
    """The next lines, as many as are handled at once."""
    batch: list[Line] = []
    size = 0
    for line in islice(lines, _BATCH_LINES):
        batch.append(line)
        size += len(line.data)
        if size >= _BATCH_BYTES:
            break
    return batch
