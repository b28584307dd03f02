"""`muyun quarantine`: what was refused and why, and trying it again after a fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipelines.intake import causes_of
from pipelines.lake import Lake
from pipelines.limits.document import LimitsError, load_limits
from pipelines.limits.quarantined import quarantined_share
from pipelines.settings import Settings
from pipelines.sources.causes import Cause
from pipelines.sources.contract import INGEST_ORDER, TABLES
from pipelines.sources.ingest import read_report

CAUSES_SHOWN = 5
"""Causes that the end of a run prints."""


@dataclass(frozen=True)
class Tried:
    """What a replay did to one table.

    Attributes:
        table: Contract table.
        before: Refused rows before.
        after: Refused rows now.
        accepted: Accepted rows now, less accepted rows before.
    """

    table: str
    before: int
    after: int
    accepted: int

    def __str__(self) -> str:
        return (
            f"{self.table}: {self.before:,} refused rows before, {self.after:,} now; "
            f"{self.accepted:+,} accepted rows"
        )


def cause_lines(causes: Iterable[Cause], shown: int | None = None) -> list[str]:
    """Causes as lines to print: what, the first row, what to do."""
    ranked = list(causes)
    lines = []
    for cause in ranked[:shown]:
        value = f" ({cause.value!r})" if cause.value else ""
        lines += [f"  {cause}", f"    first: {cause.place}{value}   do: {cause.remedy}"]
    if shown is not None and len(ranked) > shown:
        rest = sum(cause.total for cause in ranked[shown:])
        lines.append(f"  and {rest:,} rows of {len(ranked) - shown} further causes: muyun quarantine")
    return lines


def show(settings: Settings) -> int:
    """Print the refused rows by table and by root cause."""
    lake, limits = Lake(settings.lake_dir), load_limits(settings.home)
    reports = [report for table in INGEST_ORDER if (report := read_report(lake, table)) is not None]
    refused = [report for report in reports if report.quarantined]
    if not refused:
        print("no row is in the quarantine" if reports else "nothing was loaded yet")
        return 0
    for report in refused:
        share = quarantined_share(report, limits.quarantined_share, settings.max_quarantined_share)
        print(f"{share}{'  TOO MUCH' if share.is_too_much else ''}")
    print("\ncauses, most rows first:")
    for line in cause_lines(causes_of(lake)):
        print(line)
    print(f"\nevery row: {lake.root / 'quarantine'}/<table>/   after a fix: muyun quarantine replay")
    return 0


def affected_tables(refused: Mapping[str, int], table: str | None) -> list[str]:
    """The tables that a replay reads again, in load order.

    Args:
        refused: Refused rows by table.
        table: The one table to try; None for all with refused rows.

    Returns:
        Those tables and all that hang on them: a parent that is accepted at last frees its children.

    Raises:
        LimitsError: There is no such table.
    """
    if table is not None and table not in TABLES:
        (near,) = difflib.get_close_matches(table, TABLES, n=1, cutoff=0.0)
        raise LimitsError(f"there is no table '{table}'; the nearest is '{near}'")
    chosen = {name for name, rows in refused.items() if rows} if table is None else {table}
    for name in INGEST_ORDER:
        contract = TABLES[name]
        parents = {key.parent for key in contract.foreign_keys}
        if not contract.is_book and parents & chosen:
            chosen.add(name)
    return [name for name in INGEST_ORDER if name in chosen]
