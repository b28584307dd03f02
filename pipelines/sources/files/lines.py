"""Text files to blocks of numbered lines, in bounded memory; lines that cannot be read are refused.

What lives here: decoding, line ends (LF, CRLF, CR), line numbers, refusals. What does not: which encoding a
file has (`encoding`), columns (`csv_rows`, `json_rows`).
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from pipelines.sources.files.encoding import UTF8, is_wide, mark_of
from pipelines.sources.files.opened import opened
from pipelines.sources.protocol import REFUSED_SCHEMA
from pipelines.sources.refused.quarantine import MAX_VALUE_LENGTH

MAX_LINE_BYTES = 1 << 20
"""Longest line that is read; longer ones are refused without being held in memory."""

_BLOCK_BYTES = 8 << 20
_LOST_HALF = "\udcff"


class Line(NamedTuple):
    """One line and its number, from 1."""

    number: int
    text: str


class Refusals:
    """Refused lines since the last chunk."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, None, str, str, str]] = []

    def add(self, number: int, text: str, reason: str) -> None:
        """Refuses one line."""
        shown = text if len(text) <= MAX_VALUE_LENGTH else text[:MAX_VALUE_LENGTH] + "…"
        row = json.dumps({"text": shown}, ensure_ascii=False)
        self._rows.append((number, None, shown, reason, row))

    @property
    def first(self) -> int | None:
        """Number of the first refused line."""
        return self._rows[0][0] if self._rows else None

    def __bool__(self) -> bool:
        return bool(self._rows)

    def take(self) -> pl.DataFrame:
        """The refusals so far, which are then forgotten."""
        rows, self._rows = self._rows, []
        return pl.DataFrame(rows, schema=REFUSED_SCHEMA, orient="row")


class Block(NamedTuple):
    """Some lines of a file: their texts without line ends, and their numbers."""

    texts: pl.Series
    numbers: pl.Series

    def lines(self) -> list[Line]:
        """The same, line by line."""
        return [Line(*pair) for pair in zip(self.numbers.to_list(), self.texts.to_list(), strict=True)]


def block_of(lines: list[Line]) -> Block:
    """Lines as a block."""
    return Block(
        pl.Series("text", [line.text for line in lines], dtype=pl.String),
        pl.Series("number", [line.number for line in lines], dtype=pl.Int64),
    )


def blocks_of(path: Path, name: str, encoding: str, refusals: Refusals) -> Iterator[Block]:
    """The lines of a text file, blank ones included.

    Args:
        path: The file, maybe compressed with gzip.
        name: What to call it in messages.
        encoding: Its encoding.
        refusals: Takes lines that are too long or not in that encoding.

    Raises:
        SourceError: If the file cannot be read.
    """
    codec = UTF8 if is_wide(encoding) else encoding
    number = 1
    too_long: bytes | None = None
    for data, is_whole in _cut(_unified(_narrow(path, name, encoding))):
        if not is_whole:  # a piece of a line that is too long
            too_long = too_long or data[: 4 * MAX_VALUE_LENGTH]
            continue
        if too_long is not None:
            shown = too_long.decode(codec, "replace")
            refusals.add(number, shown, f"line longer than {MAX_LINE_BYTES} bytes")
            _, _, data = data.partition(b"\n")
            number, too_long = number + 1, None
            if not data:
                continue
        block = _decoded(data, codec, number, refusals)
        number += data.count(b"\n") + (not data.endswith(b"\n"))
        yield block
    if too_long is not None:
        refusals.add(number, too_long.decode(codec, "replace"), f"line longer than {MAX_LINE_BYTES} bytes")


def _narrow(path: Path, name: str, encoding: str) -> Iterator[bytes]:
    """Bytes of the file without byte order mark; UTF-16 and UTF-32 as UTF-8."""
    with opened(path, name) as file:
        head = file.read(4)
        mark = mark_of(head)
        block = head[mark[1] :] if mark is not None else head
        block += file.read(_BLOCK_BYTES)
        if not is_wide(encoding):
            while block:
                yield block
                block = file.read(_BLOCK_BYTES)
            return
        # Halves of surrogate pairs pass here and are refused line by line, since they are no UTF-8.
        decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        while block:
            yield decoder.decode(block).encode(UTF8, "surrogatepass")
            block = file.read(_BLOCK_BYTES)
        if decoder.getstate()[0]:
            yield _LOST_HALF.encode(UTF8, "surrogatepass")


def _unified(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes with LF as the only line end."""
    held = b""
    for raw in blocks:
        block = held + raw
        held = b"\r" if block.endswith(b"\r") else b""
        if held:
            block = block[:-1]
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        yield block
    if held:
        yield b"\n"


def _cut(blocks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Blocks cut at line ends, and pieces (False) of lines that are too long to be held."""
    rest = b""
    for block in blocks:
        end = block.rfind(b"\n") + 1
        if end:
            yield rest + block[:end], True
            rest = block[end:]
        else:
            rest += block
        if len(rest) > MAX_LINE_BYTES:
            yield rest, False
            rest = b""
    if rest:
        yield rest, True


def _decoded(data: bytes, codec: str, first: int, refusals: Refusals) -> Block:
    body = data.removesuffix(b"\n")
    try:
        texts = pl.Series("text", [body.decode(codec)]).str.split("\n").explode()
    except UnicodeDecodeError:
        return _decoded_by_line(body, codec, first, refusals)
    numbers = pl.int_range(first, first + len(texts), dtype=pl.Int64, eager=True).alias("number")
    if len(body) > MAX_LINE_BYTES:
        too_long = texts.str.len_bytes() > MAX_LINE_BYTES
        for number, text in zip(numbers.filter(too_long), texts.filter(too_long), strict=True):
            refusals.add(number, text, f"line longer than {MAX_LINE_BYTES} bytes")
        texts, numbers = texts.filter(~too_long), numbers.filter(~too_long)
    return Block(texts, numbers)


def _decoded_by_line(body: bytes, codec: str, first: int, refusals: Refusals) -> Block:
    lines: list[Line] = []
    for number, line in enumerate(body.split(b"\n"), first):
        if len(line) > MAX_LINE_BYTES:
            shown = line[: 4 * MAX_VALUE_LENGTH].decode(codec, "replace")
            refusals.add(number, shown, f"line longer than {MAX_LINE_BYTES} bytes")
            continue
        try:
            lines.append(Line(number, line.decode(codec)))
        except UnicodeDecodeError:
            label = "UTF-8" if codec == UTF8 else codec.upper()
            shown = line.decode(codec, "replace")
            refusals.add(number, shown, f"not {label}: save the file as UTF-8 or set encoding in muyun.yaml")
    return block_of(lines)
