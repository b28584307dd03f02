"""The door's account as a check: how much of a table was refused, why, and whether that stops the run."""

from __future__ import annotations

from collections.abc import Iterable

from pipelines.lake.tables import Lake
from pipelines.limits.document import load_limits
from pipelines.limits.quarantined import blocked, quarantined_share
from pipelines.settings import Settings
from pipelines.sources.contract import INGEST_ORDER, TABLES
from pipelines.sources.loading.ingest import IngestReport, read_report
from pipelines.sources.refused.causes import Cause, root_causes
from pipelines.sources.refused.quarantine import read_quarantine
from pipelines.steps.state import CheckRecord

SHARE_CHECK = "quarantined_share"
CAUSES_SHOWN = 5
"""Root causes that a check and the end of a run show."""


class IntakeRefusedError(Exception):
    """Too much of a table was refused to build on it; the message names the tables and the remedy."""


def admitted(settings: Settings, table: str) -> float:
    """Share of refused rows that a table may have."""
    limits = load_limits(settings.home).quarantined_share
    return limits.tables.get(table, settings.max_quarantined_share)


def share_check(settings: Settings, lake: Lake, report: IngestReport) -> CheckRecord:
    """Whether too much of a load was refused; a few rows of a small table only warn.

    Args:
        settings: The setting and the home with the user's limits.
        lake: Holds the quarantine.
        report: The account of the load.
    """
    limits = load_limits(settings.home).quarantined_share
    found = quarantined_share(report, limits, settings.max_quarantined_share)
    causes = causes_behind(lake, report.table)[:CAUSES_SHOWN] if found.refused else []
    return CheckRecord(
        SHARE_CHECK,
        not found.is_too_much,
        {
            "share": str(found),
            "received": found.received,
            "refused": found.refused,
            "admitted": found.admitted,
            "causes_md": "\n".join(f"- {line.strip()}" for line in cause_lines(causes)),
        },
        is_error=found.blocks,
    )


def cause_lines(causes: Iterable[Cause], shown: int | None = None) -> list[str]:
    """Causes as lines to read: what, the first row, what to do.

    Args:
        causes: Ranked.
        shown: Only the first so many, and a line that counts the rest.
    """
    ranked = list(causes)
    lines = []
    for cause in ranked[:shown]:
        value = f" ({cause.value!r})" if cause.value else ""
        remedy = "" if cause.remedy in cause.reason else f"; {cause.remedy}"
        lines += [f"{cause}", f"  first {cause.place}{value}{remedy}"]
    if shown is not None and len(ranked) > shown:
        rest = sum(cause.total for cause in ranked[shown:])
        lines.append(f"and {rest:,} rows of {len(ranked) - shown} further causes: muyun quarantine")
    return lines


def causes_of(lake: Lake, tables: Iterable[str] = INGEST_ORDER) -> list[Cause]:
    """Root causes of what lies in the quarantine, most rows first."""
    return root_causes({table: read_quarantine(lake, table) for table in tables})


def causes_behind(lake: Lake, table: str) -> list[Cause]:
    """Root causes of the refused rows of one table, which may lie with its parents."""
    wanted = {table}
    for name in reversed(INGEST_ORDER):
        if name in wanted:
            wanted |= {key.parent for key in TABLES[name].foreign_keys}
    causes = causes_of(lake, [name for name in INGEST_ORDER if name in wanted])
    return [cause for cause in causes if cause.table == table or table in cause.orphaned]


def require_intake(settings: Settings, lake: Lake) -> None:
    """Refuse to build on a lake of which too much was refused, whatever job starts here.

    Raises:
        IntakeRefusedError: Names the tables and the remedy.
    """
    reports = [report for table in INGEST_ORDER if (report := read_report(lake, table)) is not None]
    held = blocked(reports, load_limits(settings.home).quarantined_share, settings.max_quarantined_share)
    if held:
        raise IntakeRefusedError(
            f"not built: {'; '.join(map(str, held))}; mend the causes (muyun quarantine) and load them again"
        )
