"""The account of a load: what came, what was accepted and what was refused."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from typing import Any

from pipelines.lake.tables import Lake


class IngestError(Exception):
    """The account of a load does not add up; nothing should be built on it."""


@dataclass(frozen=True)
class IngestReport:
    """The account of one load of one table.

    Attributes:
        table: Contract table.
        origin: 'observed', 'overlay', or 'both' when rows of both came in.
        received: Rows of the source that belong to this load.
        accepted: Rows that came in: accepted = current + history + unchanged.
        quarantined: Rows now in the quarantine; received = accepted + quarantined.
        reasons: Quarantined rows by reason.
        extra_columns: Columns of the source that the contract does not know; they were set aside.
        first_time: Oldest time of the accepted rows, for tables with a time.
        last_time: Newest time of the accepted rows.
        notes: What a reader should know: choices made, tables not supplied.
        current: Rows of this load that stand in the lake.
        history: Its older versions and deletions, in the history of the table.
        unchanged: Its rows that repeat a version which another file brought; kept once.
        deleted: Rows that are gone, by their newest version or with their parent.
        kept: Versions in the history that earlier loads brought and the source no longer has.
    """

    table: str
    origin: str
    received: int
    accepted: int
    quarantined: int
    reasons: dict[str, int]
    extra_columns: tuple[str, ...]
    first_time: dt.datetime | None
    last_time: dt.datetime | None
    notes: tuple[str, ...]
    current: int = 0
    history: int = 0
    unchanged: int = 0
    deleted: int = 0
    kept: int = 0

    def to_json(self) -> dict[str, Any]:
        """The report with times as ISO texts."""
        content = asdict(self)
        for name in ("first_time", "last_time"):
            content[name] = content[name].isoformat() if content[name] else None
        return content

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> IngestReport:
        """The report that `to_json` wrote."""
        times = {
            name: dt.datetime.fromisoformat(content[name]) if content[name] else None
            for name in ("first_time", "last_time")
        }
        lists = {name: tuple(content[name]) for name in ("extra_columns", "notes")}
        # Reports of before rows had versions.
        return cls(**{"current": content["accepted"], **content, **times, **lists})


def read_report(lake: Lake, table: str) -> IngestReport | None:
    """The report of the last load of a table, or None if there was none."""
    content = lake.read_report(f"ingest/{table}")
    return IngestReport.from_json(content) if content is not None else None
