"""Delimited text to rows of strings. A line with the wrong number of fields is refused, the rest loads.

Blocks without quotes are split at once; where every line closes the quotes it opens, only the lines with
quotes are read one by one. What does not live here: lines (`lines`), types and rules (`values`).
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from pipelines.sources.contract import SourceError
from pipelines.sources.files.form import Found, clean_name, left_out
from pipelines.sources.files.lines import MAX_LINE_BYTES, Block, Line, Refusals, block_of, blocks_of
from pipelines.sources.files.totals import is_total
from pipelines.sources.protocol import LINE_COLUMN, Chunk

MAX_RECORD_LINES = 200
"""Most lines a quoted CSV field may span; an unclosed quote must not swallow the file."""

HEADER_AGAIN = "the header again: files were joined"

_BLANKS = " \t\u3000\u00a0\ufeff\x1a"
_OPEN_QUOTE = "unexpected end of data"


class _Blocks:
    """The blocks of a file, of which the end may be given back."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks = blocks
        self._held: deque[Block] = deque()

    def __iter__(self) -> Iterator[Block]:
        return self

    def __next__(self) -> Block:
        return self._held.popleft() if self._held else next(self._blocks)

    def give_back(self, lines: list[Line]) -> None:
        """Lines that are to come again, before all others."""
        if lines:
            self._held.appendleft(block_of(lines))


class _Splitter:
    """Splits the rows of one file."""

    def __init__(self, found: Found, refusals: Refusals) -> None:
        self.delimiter = found.delimiter or ","
        self.names = found.columns
        self.width = len(found.columns)
        self._refusals = refusals

    def frame(self, block: Block, blocks: _Blocks) -> pl.DataFrame:
        """The rows of a block; a quoted field may run on into the next one."""
        quotes = block.texts.str.count_matches('"', literal=True)
        if not (quotes > 0).any():
            return self._plain(block)
        if (quotes % 2 == 0).all():
            is_plain = quotes == 0
            parts = [self._plain(Block(block.texts.filter(is_plain), block.numbers.filter(is_plain)))]
            quoted = Block(block.texts.filter(~is_plain), block.numbers.filter(~is_plain))
            read = self._closed(quoted)
            parts.append(self._quoted(quoted, _Blocks(iter(()))) if read is None else read)
            return pl.concat(parts).sort(LINE_COLUMN)
        return self._quoted(block, blocks)

    def rows(self, rows: list[list[str]], numbers: list[int]) -> pl.DataFrame:
        """Rows of the right width as a frame."""
        columns = list(zip(*rows, strict=True)) if rows else [()] * self.width
        data = {name: list(values) for name, values in zip(self.names, columns, strict=True)}
        schema = {**dict.fromkeys(self.names, pl.String), LINE_COLUMN: pl.Int64}
        return pl.DataFrame({**data, LINE_COLUMN: numbers}, schema=schema)

    def _plain(self, block: Block) -> pl.DataFrame:
        text, numbers = block.texts, block.numbers
        blank = text.str.strip_chars(f"{_BLANKS}{self.delimiter}") == ""
        if blank.any():
            text, numbers = text.filter(~blank), numbers.filter(~blank)
        fields = text.str.count_matches(self.delimiter, literal=True) + 1
        if (fields > self.width).any():
            text = self._without_empty_ends(text, fields)
            fields = text.str.count_matches(self.delimiter, literal=True) + 1
        fits = fields == self.width
        if not fits.all():
            for number, line in zip(numbers.filter(~fits), text.filter(~fits), strict=True):
                self._refuse(number, line, line.split(self.delimiter))
            text, numbers = text.filter(fits), numbers.filter(fits)
        parts = text.str.split_exact(self.delimiter, self.width - 1).struct.unnest()
        frame = parts.rename(dict(zip(parts.columns, self.names, strict=True)))
        frame = frame.with_columns(numbers.alias(LINE_COLUMN))
        again = frame[self.names[0]].str.strip_chars(_BLANKS) == self.names[0]
        if again.any():
            suspects = frame.filter(again)
            repeated = [
                row[-1] for row in suspects.iter_rows() if self._is_header([str(cell) for cell in row[:-1]])
            ]
            lines = dict(zip(numbers.filter(again), text.filter(again), strict=True))
            for number in repeated:
                self._refusals.add(number, lines[number], HEADER_AGAIN)
            frame = frame.filter(~pl.col(LINE_COLUMN).is_in(repeated))
        return frame

    def _without_empty_ends(self, text: pl.Series, fields: pl.Series) -> pl.Series:
        """Lines with more fields than there are columns, without the surplus ones if these are empty."""
        mark = re.escape(self.delimiter)
        surplus = (fields.cast(pl.Int64) - self.width).alias("surplus")
        for count in surplus.filter(surplus > 0).unique():
            bare = text.str.replace(rf"(?:{mark}[ \t]*){{{count}}}$", "")
            text = bare.zip_with(surplus == count, text)
        return text

    def _closed(self, block: Block) -> pl.DataFrame | None:
        """Lines that each hold one record, read at once; None if one of them is not a plain row."""
        try:
            rows = list(csv.reader(block.texts, delimiter=self.delimiter, strict=True))
        except csv.Error:
            return None
        is_plain = all(len(row) == self.width and self.names[0] not in row[0] for row in rows)
        return (
            self.rows(rows, block.numbers.to_list()) if is_plain and len(rows) == len(block.texts) else None
        )

    def _quoted(self, block: Block, blocks: _Blocks) -> pl.DataFrame:
        """The block record by record; only a record that is open at its end takes lines of the next."""
        queue = deque(block.lines())
        rows: list[list[str]] = []
        numbers: list[int] = []
        borrowed = False
        while queue and not borrowed:
            first = queue.popleft()
            if not first.text.strip(f"{_BLANKS}{self.delimiter}"):
                continue
            taken = [first]
            size = len(first.text)
            while True:
                fields, problem = self._record(taken)
                if problem != _OPEN_QUOTE:
                    break
                if not queue and (more := next(blocks, None)) is not None:
                    queue.extend(more.lines())
                    borrowed = True
                following = queue.popleft() if queue else None
                if following is not None:
                    taken.append(following)
                    size += len(following.text)
                if following is None or len(taken) > MAX_RECORD_LINES or size > MAX_LINE_BYTES:
                    problem = "a quote is opened and never closed"
                    queue.extendleft(reversed(taken[1:]))
                    break
            while len(fields) > self.width and not fields[-1].strip():
                fields.pop()
            if problem is not None:
                self._refusals.add(first.number, first.text, problem)
            elif len(fields) != self.width:
                self._refuse(first.number, first.text, fields)
            elif self._is_header(fields):
                self._refusals.add(first.number, first.text, HEADER_AGAIN)
            else:
                rows.append(fields)
                numbers.append(first.number)
        blocks.give_back(list(queue))
        return self.rows(rows, numbers)

    def _record(self, lines: list[Line]) -> tuple[list[str], str | None]:
        """Fields of one record, or what is wrong with it."""
        text = "\n".join(line.text for line in lines)
        try:
            return next(csv.reader([text], delimiter=self.delimiter, strict=True)), None
        except csv.Error as error:
            return [], str(error)

    def _refuse(self, number: int, text: str, fields: list[str]) -> None:
        count = len(fields)
        few = "few" if count < self.width else "many"
        reason = f"too {few} fields: {count} instead of {self.width}"
        first = next((field.strip() for field in fields if field.strip()), "")
        self._refusals.add(number, text, f"a total row ({reason})" if is_total(first) else reason)

    def _is_header(self, fields: list[str]) -> bool:
        return all(
            clean_name(field) == name or (not field.strip() and name.startswith("column "))
            for field, name in zip(fields, self.names, strict=True)
        )


def read_csv(path: Path, name: str, found: Found) -> Iterator[Chunk]:
    """Rows of a delimited file as strings.

    Args:
        path: The file.
        name: What to call it in the quarantine.
        found: What it looks like.

    Raises:
        SourceError: If the file cannot be read or its header names a column twice.
    """
    twice = sorted({column for column in found.columns if found.columns.count(column) > 1})
    if twice:
        raise SourceError(f"{name}: the header names {', '.join(map(repr, twice))} more than once")
    if not found.columns:
        return
    refusals = Refusals()
    splitter = _Splitter(found, refusals)
    yield Chunk(splitter.rows([], []), name, is_text=True, notes=_notes(found))
    blocks = _Blocks(blocks_of(path, name, found.encoding or "utf-8", refusals))
    for whole in blocks:
        block = whole
        if block.numbers.len() and block.numbers[0] <= found.header_line:
            rest = block.numbers > found.header_line
            block = Block(block.texts.filter(rest), block.numbers.filter(rest))
        frame = _without_empty_columns(splitter.frame(block, blocks))
        yield Chunk(frame, name, refused=refusals.take(), is_text=True)
    if refusals:
        yield Chunk(splitter.rows([], []), name, refused=refusals.take(), is_text=True)


def _without_empty_columns(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame without columns that have neither a name nor a value."""
    unnamed = [name for name in frame.columns if name.startswith("column ")]
    return frame.drop([name for name in unnamed if (frame[name].str.strip_chars() == "").all()])


def _notes(found: Found) -> tuple[str, ...]:
    notes = []
    if found.encoding != "utf-8":
        notes.append(f"read as {found.encoding}")
    if found.delimiter != ",":
        shown = {"\t": "tabs", ";": "semicolons", "|": "bars"}.get(found.delimiter or "", found.delimiter)
        notes.append(f"fields separated by {shown}")
    if found.skipped_lines:
        notes.append(left_out(found.skipped_lines))
    return tuple(notes)
