"""Erased persons stay out of what comes in: raw rows of a source, and rows that are typed already.

A feed goes on delivering what it has. Its rows are judged before any other rule, so that neither the accepted
rows nor the quarantine ever hold the person again; how many were taken out is told with the load.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import polars as pl

from pipelines.erasure.rules import KEPT, PERSONAL, VISITOR, Cleared, cleared, names_one, others_of
from pipelines.erasure.tombstones import Tombstones
from pipelines.sources.contract import ContractTable, contract_table
from pipelines.sources.loading.versions import changed_column
from pipelines.sources.protocol import LINE_COLUMN, Chunk, TableReading, with_lines
from pipelines.sources.values.columns import file_column, has_column, read_column

PERSON_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "consumers": ("consumer_id", "inviter_id"),
    "consents": ("consumer_id",),
    "identity_edges": ("consumer_id",),
    "orders": ("consumer_id",),
    "events": ("consumer_id", VISITOR, "occurred_at"),
    "coupons": ("consumer_id",),
    "messages": ("consumer_id",),
    "touches": ("consumer_id", VISITOR, "occurred_at"),
    "points_ledger": ("consumer_id",),
    "level_changes": ("consumer_id",),
    "settlement_legs": ("payee_type", "payee_id"),
    "ledger_entries": ("party_type", "party_id"),
}
"""Contract tables that name consumers, with the columns that decide about a row."""


_OWNER = "consumer_id"
_ROW = "_row"


class ErasureFilter:
    """Takes erased persons out of what is loaded, and counts.

    Args:
        tombstones: Who was erased.
    """

    def __init__(self, tombstones: Tombstones) -> None:
        self._tombstones = tombstones
        self._removed: Counter[str] = Counter()
        self._renamed: Counter[str] = Counter()

    def begin(self, table: str) -> None:
        """Count the rows of a table from 0."""
        self._removed[table] = self._renamed[table] = 0

    def chunks(
        self, table: str, chunks: Iterable[Chunk], reading: TableReading | None = None
    ) -> Iterator[Chunk]:
        """Raw rows of a contract table without erased persons.

        Args:
            table: Contract table.
            chunks: As a source yields them.
            reading: What the source's owner says about the table.
        """
        if self._tombstones.is_empty or table not in PERSON_COLUMNS:
            yield from chunks
            return
        for chunk in chunks:
            yield self._cleared(contract_table(table), chunk, reading or TableReading())

    def rows(self, table: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of a contract table in its types without erased persons."""
        return self._counted(table, cleared(table, rows, self._tombstones)).frame

    def notes(self, table: str) -> tuple[str, ...]:
        """How many rows of the last load named an erased person, for its report; empty when none did."""
        removed, renamed = self._removed[table], self._renamed[table]
        said = [f"{removed:,} rows of erased persons left out"] if removed else []
        return (*said, *([f"{renamed:,} rows of erased persons under a pseudonym"] if renamed else []))

    def _counted(self, table: str, done: Cleared) -> Cleared:
        self._removed[table] += done.removed
        self._renamed[table] += done.renamed
        return done

    def _cleared(self, contract: ContractTable, chunk: Chunk, reading: TableReading) -> Chunk:
        refused = chunk.refused
        if refused.height:
            others = others_of(contract.name)
            of_erased = refused["row_json"].map_elements(
                lambda row: names_one(row, others, self._tombstones), return_dtype=pl.Boolean
            )
            self._removed[contract.name] += int(of_erased.sum())
            chunk = replace(chunk, refused=refused.filter(~of_erased))
        typed = self._typed(contract, chunk)
        done = self._counted(
            contract.name, cleared(contract.name, typed.with_row_index(_ROW), self._tombstones)
        )
        if not done.is_changed:
            return chunk
        left = done.frame[_ROW]
        frame = with_lines(chunk)[left.to_list()]
        if contract.name in KEPT:
            kept = {*reading.deleted_when, LINE_COLUMN, changed_column(chunk, reading) or LINE_COLUMN}
            frame = _renamed(contract, frame, typed[left.to_list()], done.frame, kept)
        return replace(chunk, frame=frame)

    def _typed(self, contract: ContractTable, chunk: Chunk) -> pl.DataFrame:
        """The columns of a chunk that decide, in contract types; unreadable values are null."""
        return pl.DataFrame(
            [
                read_column(chunk, contract, name).values.alias(name)
                for name in PERSON_COLUMNS[contract.name]
                if has_column(chunk, contract, name)
            ]
        )


def _renamed(
    contract: ContractTable, frame: pl.DataFrame, before: pl.DataFrame, after: pl.DataFrame, kept: set[str]
) -> pl.DataFrame:
    """Raw rows with pseudonyms; of an erased person's row nothing is left that the contract does not know.

    Args:
        contract: The table.
        frame: Raw rows.
        before: The columns that decide, row for row.
        after: The same with pseudonyms.
        kept: Further columns of the frame that say how a row is to be read.
    """
    written = {name: file_column(contract, name) for name in contract.columns}
    nobody = pl.Series([False], dtype=pl.Boolean).new_from_index(0, frame.height)
    is_erased = before["consumer_id"].ne_missing(after["consumer_id"]) if _OWNER in before.columns else nobody
    known = {*written, *written.values(), *kept}
    changes = {name: _filled(frame[name], is_erased, None) for name in frame.columns if name not in known}
    for name in before.columns:
        differs = before[name].ne_missing(after[name])
        if differs.any():
            raw = name if name in frame.columns else written[name]
            changes[raw] = frame[raw].cast(pl.String).zip_with(~differs, after[name].cast(pl.String))
    for name, value in PERSONAL.items() if contract.name == "consumers" else ():
        raw = name if name in frame.columns else written[name]
        if raw in frame.columns:
            changes[raw] = _filled(changes.get(raw, frame[raw]), is_erased, value)
    return frame.with_columns(series.alias(name) for name, series in changes.items())


def _filled(series: pl.Series, mask: pl.Series, value: bool | None) -> pl.Series:
    """A raw column with a value where a mask says so, in the column's own way of writing it."""
    written = str(value).lower() if value is not None and series.dtype == pl.String() else value
    other = pl.Series([written], dtype=series.dtype, strict=False).new_from_index(0, len(series))
    return series.zip_with(~mask, other)
