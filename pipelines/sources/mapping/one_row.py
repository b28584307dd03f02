"""One row made of the many of a file that repeat a key, such as an order made of the lines of an invoice."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from pipelines.sources.loading.validation import lines_of
from pipelines.sources.mapping.columns import as_text
from pipelines.sources.protocol import LINE_COLUMN, Chunk, no_refusals

_FILE = "__file__"
_KEY = "__key__"


class OneRow:
    """Holds one row for each key: the first filled value of every column, and the line of the first row.

    Rows without a key are kept one by one, to be refused with that reason.

    Args:
        key: Columns that say which rows belong together.
        columns: Columns of the contract that are kept.
    """

    def __init__(self, key: tuple[str, ...], columns: tuple[str, ...]) -> None:
        self._key = key
        self._columns = columns
        self._held: pl.DataFrame | None = None
        self._keyless: list[pl.DataFrame] = []
        self._files: dict[str, Chunk] = {}
        self.rows = 0

    def add(self, chunk: Chunk) -> None:
        """Takes the rows of one chunk."""
        self._files.setdefault(chunk.file, replace(chunk, frame=chunk.frame.clear(), refused=no_refusals()))
        frame = chunk.frame
        if not frame.height or any(name not in frame.columns for name in self._key):
            if frame.height:
                self._keyless.append(self._narrow(chunk))
            return
        self.rows += frame.height
        rows = self._narrow(chunk)
        parts = [as_text(frame[name]) for name in self._key]
        key = pl.select(pl.concat_str(parts, separator="\x1f")).to_series()
        rows = rows.with_columns(key.alias(_KEY))
        self._keyless.append(rows.filter(key.is_null()).drop(_KEY))
        fresh = self._first(rows.filter(key.is_not_null()))
        held = fresh if self._held is None else pl.concat([self._held, fresh], how="diagonal_relaxed")
        self._held = fresh if self._held is None else self._first(held)

    def finish(self) -> list[Chunk]:
        """The rows held, one chunk for each file that a row came from first."""
        parts = [part for part in self._keyless if part.height]
        if self._held is not None:
            parts.insert(0, self._held.drop(_KEY))
        if not parts:
            return []
        rows = pl.concat(parts, how="diagonal_relaxed")
        return [
            replace(self._files[str(name)], frame=part.drop(_FILE))
            for (name,), part in rows.partition_by(_FILE, as_dict=True, maintain_order=True).items()
        ]

    @property
    def made(self) -> int:
        """How many rows were made of those with a key."""
        return 0 if self._held is None else self._held.height

    def _narrow(self, chunk: Chunk) -> pl.DataFrame:
        kept = [_clean(chunk.frame[name]) for name in self._columns if name in chunk.frame.columns]
        return pl.DataFrame([*kept, lines_of(chunk).alias(LINE_COLUMN)]).with_columns(
            pl.lit(chunk.file).alias(_FILE)
        )

    @staticmethod
    def _first(rows: pl.DataFrame) -> pl.DataFrame:
        values = [name for name in rows.columns if name not in (_KEY, _FILE, LINE_COLUMN)]
        return rows.group_by(_KEY, maintain_order=True).agg(
            pl.col(values).drop_nulls().first(), pl.col(LINE_COLUMN).first(), pl.col(_FILE).first()
        )


def _clean(column: pl.Series) -> pl.Series:
    """The column with nulls for blanks; a type stays, since a number that was a float has its own rules."""
    if column.dtype == pl.String:
        return as_text(column)
    return column.fill_nan(None) if column.dtype.is_float() else column
