"""What a source is: something that yields raw rows table by table and knows where each row came from.

Adapters (`complete_journey`, `files`, and others) implement `Source`; `ingest` consumes it. No rule on rows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import polars as pl

from pipelines.sources.values.rules import UTC_RULES, ValueRules

LINE_COLUMN = "__line__"
"""Optional column of a chunk's frame: the line of each row, where lines are not consecutive."""

REFUSED_SCHEMA = {
    "line": pl.Int64(),
    "column": pl.String(),
    "value": pl.String(),
    "reason": pl.String(),
    "row_json": pl.String(),
}
"""Rows that the reader itself could not turn into columns: broken text, wrong number of fields."""


def no_refusals() -> pl.DataFrame:
    """A frame of refused rows without rows."""
    return pl.DataFrame(schema=REFUSED_SCHEMA)


@dataclass(frozen=True)
class Chunk:
    """Some raw rows of one file.

    Attributes:
        frame: Raw columns, as strings or already typed; columns outside the contract are set aside.
        file: Name of the file for the quarantine.
        first_line: Line of the first row, when the frame has no `__line__` column.
        refused: Rows the reader could not turn into columns (`REFUSED_SCHEMA`).
        is_text: Values are text as typed by a person: trimmed, and empty means null.
        is_whole_partition: No other chunk of the table has rows of this partition or with these keys.
        origin: 'observed' or 'overlay' where it differs from the load's.
        rules: How its values are to be read.
        day_first: Columns whose order of day and month their own values tell.
        notes: What a reader of the load report should know about the file.
    """

    frame: pl.DataFrame
    file: str
    first_line: int = 1
    refused: pl.DataFrame = field(default_factory=no_refusals)
    is_text: bool = False
    is_whole_partition: bool = False
    origin: str | None = None
    rules: ValueRules = UTC_RULES
    day_first: Mapping[str, bool] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def rules_of(self, column: str) -> ValueRules:
        """The rules for one column."""
        if self.rules.day_first is None and column in self.day_first:
            return replace(self.rules, day_first=self.day_first[column])
        return self.rules


def with_lines(chunk: Chunk) -> pl.DataFrame:
    """The frame of a chunk with the line of each row in `__line__`."""
    if LINE_COLUMN in chunk.frame.columns:
        return chunk.frame.with_columns(pl.col(LINE_COLUMN).cast(pl.Int64))
    last = chunk.first_line + chunk.frame.height
    return chunk.frame.with_columns(pl.int_range(chunk.first_line, last, dtype=pl.Int64).alias(LINE_COLUMN))


@dataclass(frozen=True)
class TableReading:
    """What a source's owner says about a table, beyond its rows.

    Attributes:
        rules: How values are to be read.
        changed_at: Column (as it leaves the source) with the time a version of a row was written.
        deleted_when: Column and values that mark a row as deleted.
        status_words: The owner's words for states of an order, in lower case, to ours.
    """

    rules: ValueRules = UTC_RULES
    changed_at: str | None = None
    deleted_when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    status_words: Mapping[str, str] = field(default_factory=dict)


class Source(Protocol):
    """Where rows come from."""

    name: str
    origin: str
    received_at_rule: str
    """'event_time' or 'load_time': what `received_at` becomes where a row does not carry it."""

    def tables(self) -> tuple[str, ...]:
        """Contract tables this source supplies, in load order.

        Raises:
            SourceError: If the source cannot be read at all or lacks a required table.
        """
        ...

    def read(self, table: str) -> Iterator[Chunk]:
        """Raw rows of one supplied table, in file and line order."""
        ...

    def reading(self, table: str) -> TableReading:
        """What the source's owner says about a table, beyond its rows."""
        ...

    def notes(self, table: str) -> tuple[str, ...]:
        """What a reader of the load report should know about this table, after it was read."""
        ...

    def fingerprint(self) -> str:
        """A text that changes when the content of the source changes."""
        ...

    def history(self) -> tuple[dt.datetime, dt.datetime]:
        """Time of the oldest and of the newest order (UTC)."""
        ...

    def as_of(self) -> dt.datetime:
        """Time of the newest order (UTC)."""
        ...
