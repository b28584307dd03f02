"""A lake in memory that holds what a few rows need, so that the nightly load's own rules can judge them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.lake.tables import Lake
from pipelines.sources.contract import contract_table, empty


class SliceLake(Lake):
    """Accepted rows of the keys that a load asks for; what it writes stays here."""

    def __init__(self) -> None:
        super().__init__(Path())
        self._known: dict[str, pl.DataFrame] = {}
        self.accepted: dict[str, pl.DataFrame] = {}
        """What a load accepted, in the contract's columns."""
        self.history: dict[str, pl.DataFrame] = {}
        """Versions that no longer stand."""
        self.refused: dict[str, pl.DataFrame] = {}
        """What a load refused, in the columns of the quarantine."""

    def know(self, rows: dict[str, pl.DataFrame]) -> None:
        """Take rows that the next load may refer to.

        Args:
            rows: By contract table, in some of the contract's columns, without any key that is loaded.
        """
        self._known = rows

    def scan(self, table: str) -> pl.LazyFrame:
        """Rows that are known and rows that were accepted; columns that are not known are null."""
        nothing = empty(table)
        known = self._known.get(table, nothing)
        return pl.concat([nothing, known, self.accepted.get(table, nothing)], how="diagonal").lazy()

    def scan_history(
        self, table: str, first_day: dt.date = dt.date.min, last_day: dt.date = dt.date.max
    ) -> pl.LazyFrame:
        """Versions that no longer stand."""
        nothing = pl.DataFrame(schema=dict(contract_table(table).history_dtypes))
        return self.history.get(table, nothing).lazy()

    def read(self, table: str, columns: Iterable[str] | None = None) -> pl.DataFrame:
        """Rows that are known or were accepted."""
        frame = self.scan(table)
        return (frame if columns is None else frame.select(list(columns))).collect()

    def replace(self, table: str, frame: pl.DataFrame) -> None:
        """Takes what a load accepted."""
        self.accepted[table] = frame.select(contract_table(table).columns)

    def replace_days(
        self,
        table: str,
        frame: pl.DataFrame,
        time_column: str | None = None,
        first_day: dt.date | None = None,
        last_day: dt.date | None = None,
    ) -> None:
        """Takes what a load accepted."""
        self.replace(table, frame)

    def replace_history(
        self,
        table: str,
        frame: pl.DataFrame,
        time_column: str,
        first_day: dt.date | None = None,
        last_day: dt.date | None = None,
    ) -> None:
        """Takes the older versions that a load found."""
        columns = contract_table(table).history_dtypes
        self.history[table] = frame.select(pl.col(name).cast(dtype) for name, dtype in columns.items())

    def write_quarantine(
        self, table: str, frame: pl.DataFrame, load: str | None = None, part: int = 0
    ) -> None:
        """Takes what a load refused."""
        self.refused[table] = pl.concat([self.refused[table], frame]) if part else frame

    def keep_quarantine_parts(self, table: str, parts: int, load: str | None = None) -> None:
        """Nothing: there are no files."""

    def read_quarantine(self, table: str) -> pl.DataFrame:
        """What loads refused."""
        return self.refused.get(table, pl.DataFrame())

    def write_report(self, key: str, content: dict[str, Any]) -> Path:
        """Nothing is reported: whoever takes rows in counts them."""
        return self.report_path(key)
