"""A trial load: every table through the adapter, the row rules and a lake that is thrown away."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipelines.lake.tables import Lake
from pipelines.sources.contract import INGEST_ORDER, SourceError, contract_table
from pipelines.sources.files import Files
from pipelines.sources.loading.ingest import IngestError, IngestReport, KnownKeys, ingest
from pipelines.sources.refused.quarantine import read_quarantine

SHOWN_ROWS = 3
"""Refused rows that are shown of each table."""


@dataclass(frozen=True)
class Refused:
    """A row that the load refuses."""

    file: str
    line: int | None
    column: str | None
    value: str | None
    reason: str


@dataclass(frozen=True)
class Trial:
    """What a load of the folder would do.

    Attributes:
        reports: Account of each table that was loaded, in load order.
        refused: First refused rows of each table, one a reason first.
        problem: Why the folder cannot be loaded at all; None if it can.
    """

    reports: tuple[IngestReport, ...] = ()
    refused: dict[str, tuple[Refused, ...]] | None = None
    problem: str | None = None

    def report(self, table: str) -> IngestReport | None:
        """The account of one table; None if it was not loaded."""
        return next((report for report in self.reports if report.table == table), None)


def try_load(source: Files, as_of: dt.datetime) -> Trial:
    """Loads every table of a source into a lake in a temporary folder.

    Args:
        source: The folder.
        as_of: Business time; later history is refused.
    """
    reports: list[IngestReport] = []
    refused: dict[str, tuple[Refused, ...]] = {}
    with _throwaway_lake() as lake:
        try:
            supplied = source.tables()
            known = KnownKeys(lake, supplied)
            for table in INGEST_ORDER:
                if table not in supplied or contract_table(table).is_book:
                    continue
                report = ingest(source, table, lake, as_of=as_of, window=None, loaded_at=as_of, known=known)
                reports.append(report)
                if report.quarantined:
                    refused[table] = _first_refused(lake, table)
        except (SourceError, IngestError) as error:
            return Trial(tuple(reports), refused, str(error))
    return Trial(tuple(reports), refused)


@contextmanager
def _throwaway_lake() -> Iterator[Lake]:
    with tempfile.TemporaryDirectory(prefix="muyun-check-") as folder:
        lake = Lake(Path(folder) / "lake")
        lake.create()
        yield lake


def _first_refused(lake: Lake, table: str) -> tuple[Refused, ...]:
    """The first row of each of the most frequent reasons."""
    rows = read_quarantine(lake, table)
    frequent = rows["reason"].value_counts(sort=True)["reason"].head(SHOWN_ROWS)
    first = rows.filter(rows["reason"].is_in(frequent.implode())).unique(
        "reason", keep="first", maintain_order=True
    )
    return tuple(
        Refused(*row) for row in first.select("file", "line", "column", "value", "reason").iter_rows()
    )
