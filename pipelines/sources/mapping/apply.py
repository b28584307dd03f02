"""What a document says, done to the raw rows of one table: chunk in, chunk out.

The order: columns are renamed and computed, then constants, defaults, words and guests, then roles of goods
and zones of merchants, and last one row is made of many. No value is judged here.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from pipelines.sources.contract import SourceError, contract_table
from pipelines.sources.mapping.columns import column_of
from pipelines.sources.mapping.goods import with_goods
from pipelines.sources.mapping.model import GUESTS, Document, From
from pipelines.sources.mapping.names import file_columns, nearest
from pipelines.sources.mapping.one_row import OneRow
from pipelines.sources.mapping.words import with_constants, with_defaults, with_words, without_guests
from pipelines.sources.mapping.zones import with_zones
from pipelines.sources.protocol import LINE_COLUMN, Chunk
from pipelines.sources.values.rules import ValueRules

_MINOR_DIGITS = 2
_OBJECT_SUFFIXES = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz")
"""Files whose rows need not have every column."""


class MappedTable:
    """One pass over the rows of one table.

    Args:
        table: Contract table.
        document: What the user says.
        rules: How values of the table are read.
    """

    def __init__(self, table: str, document: Document, rules: ValueRules) -> None:
        self._table = table
        self._document = document
        self._said = document.table(table)
        self._rules = rules
        self._checked: set[str] = set()
        self._guests = 0
        key = self._said.one_row_per
        self._one_row = OneRow(key, tuple(file_columns(table))) if key else None

    def apply(self, chunk: Chunk) -> Chunk:
        """The rows of one chunk in the contract's columns and words.

        Where one row is made of many nothing comes out here, but from `finish`.

        Raises:
            SourceError: The document names a column that the file does not have.
        """
        if any(name != LINE_COLUMN for name in chunk.frame.columns):
            self._require_columns(chunk)
            frame = self._with_columns(chunk.frame)
            frame = with_defaults(with_constants(frame, self._said.constants), self._said.defaults)
            frame = with_words(frame, self._words())
            frame = self._without_guests(frame)
            frame = with_goods(self._table, frame, self._document)
            chunk = replace(chunk, day_first=self._day_first(chunk))
            frame = with_zones(self._table, frame, self._document.time_zones, chunk)
            chunk = replace(chunk, frame=frame)
        if self._one_row is None:
            return chunk
        self._one_row.add(chunk)
        return replace(chunk, frame=chunk.frame.clear())

    def complete(self, chunk: Chunk) -> Chunk:
        """Rows that were derived, not read, with the roles and themes of goods."""
        return replace(chunk, frame=with_goods(self._table, chunk.frame, self._document))

    def finish(self) -> list[Chunk]:
        """Rows that were made of many; call it once, after the last chunk."""
        return [] if self._one_row is None else self._one_row.finish()

    def notes(self) -> tuple[str, ...]:
        """What a reader of the load report should know, after the pass."""
        notes = []
        if self._one_row is not None:
            key = ", ".join(self._said.one_row_per)
            notes.append(
                f"{self._one_row.rows:,} rows of the files made {self._one_row.made:,}, one per {key}"
            )
        if self._guests:
            notes.append(f"{self._guests} rows name a guest as consumer: they have no consumer")
        return tuple(notes)

    def _require_columns(self, chunk: Chunk) -> None:
        if chunk.file in self._checked or chunk.file.lower().endswith(_OBJECT_SUFFIXES):
            return
        self._checked.add(chunk.file)
        for name, made in self._said.columns.items():
            for column in made.columns:
                if column not in chunk.frame.columns:
                    given = [column for column in chunk.frame.columns if column != LINE_COLUMN]
                    raise SourceError(
                        f"muyun.yaml: {self._table}.columns.{name}: {chunk.file} has no column {column!r}"
                        f"{nearest(column, given)} Its columns: {', '.join(given)}"
                    )

    def _with_columns(self, frame: pl.DataFrame) -> pl.DataFrame:
        said = self._said.columns
        if not said:
            return frame
        money = _MINOR_DIGITS if self._rules.money == "major" else 0
        made = [
            column_of(frame, source, decimals=money if name.endswith("_cents") else None).alias(name)
            for name, source in said.items()
        ]
        known = {*file_columns(self._table), LINE_COLUMN, self._said.changed_at, *self._said.deleted_when}
        used = {column for source in self._columns_of_the_file() for column in source.columns}
        kept = [name for name in frame.columns if name not in said and (name in known or name not in used)]
        return pl.DataFrame([*(frame[name] for name in kept), *made])

    def _columns_of_the_file(self) -> list[From]:
        """What the columns of every table are made of that the same files feed."""
        files = self._said.file
        tables = [
            one for one in self._document.tables.values() if one is self._said or files == one.file != ()
        ]
        return [source for one in tables for source in one.columns.values()]

    def _day_first(self, chunk: Chunk) -> dict[str, bool]:
        """What the values of a file's columns tell of day and month, by the columns made of them."""
        told = dict(chunk.day_first)
        for name, made in self._said.columns.items():
            sources = [chunk.day_first[column] for column in made.columns if column in chunk.day_first]
            if sources and made.how != "product":
                told[name] = sources[0]
        return told

    def _words(self) -> dict[str, dict[str, str]]:
        """Maps of words; an order's status stays as it came, its words are read where the state is told."""
        return {
            name: words
            for name, words in self._said.values.items()
            if (self._table, name) != ("orders", "status")
        }

    def _without_guests(self, frame: pl.DataFrame) -> pl.DataFrame:
        if "consumer_id" not in contract_table(self._table).nullable:
            return frame
        guests = GUESTS if self._document.guests is None else self._document.guests
        frame, count = without_guests(frame, "consumer_id", guests)
        self._guests += count
        return frame
