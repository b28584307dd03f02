"""`muyun quarantine`: what was refused and why, and trying it again after a fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from pipelines.home.lock import home_lock
from pipelines.intake.share import cause_lines, causes_of
from pipelines.lake.tables import Lake
from pipelines.limits.document import LimitsError, load_limits
from pipelines.limits.quarantined import quarantined_share
from pipelines.messages import Texts
from pipelines.run.environment import prepare
from pipelines.run.graph import run_graph
from pipelines.run.screen import print_problem
from pipelines.run.served import told_with_what_serves
from pipelines.settings import Settings
from pipelines.sources.contract import INGEST_ORDER, TABLES
from pipelines.sources.loading.ingest import read_report
from pipelines.steps.state import StateStore

Counts = Mapping[str, tuple[int, int]]
"""Refused and accepted rows by table."""


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
        print(f"  {line}")
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
        if contract.completed_by is not None:
            # An order whose lines are accepted at last is accepted with them.
            lines = TABLES[contract.completed_by]
            parents |= {lines.name, *(key.parent for key in lines.foreign_keys)} - {name}
        if not contract.is_book and parents & chosen:
            chosen.add(name)
    return [name for name in INGEST_ORDER if name in chosen]


def _refused_and_accepted(lake: Lake) -> dict[str, tuple[int, int]]:
    """Refused and accepted rows of every loaded table."""
    reports = [read_report(lake, table) for table in INGEST_ORDER]
    return {report.table: (report.quarantined, report.accepted) for report in reports if report is not None}


def _print_tried(before: Counts, after: Counts, tables: Iterable[str]) -> None:
    """Print what a replay did to the tables that had refused rows."""
    for table in tables:
        refused, accepted = before.get(table, (0, 0))
        still_refused, now_accepted = after.get(table, (0, 0))
        if refused or still_refused:
            print(
                f"{table}: {refused:,} refused rows before, {still_refused:,} now; "
                f"{now_accepted - accepted:+,} accepted rows"
            )


def replay(settings: Settings, table: str | None = None) -> int:
    """Try refused rows again after a fix: their tables, and all that hang on them, are read anew.

    The source is the truth and a load replaces what the load before wrote, so reading a table again through
    the same door is the replay: what passes now is accepted, nothing comes in twice, the account closes.

    Args:
        settings: The installation's settings.
        table: The one table to try; None for all with refused rows.

    Returns:
        0 when the account of every table closes and no check blocks, 1 otherwise.

    Raises:
        LimitsError: There is no such table.
        SourceError: The source cannot be read.
        HomeBusyError: Another run is at work.
    """
    lake = Lake(settings.lake_dir)
    before = _refused_and_accepted(lake)
    tables = affected_tables({name: refused for name, (refused, _) in before.items()}, table)
    if not tables:
        print("no row is in the quarantine")
        return 0
    prepare(settings)
    with home_lock(settings.home, "muyun quarantine replay"):
        records = StateStore(settings.state_dir)
        for name in tables:
            records.forget(f"raw/{name}")
        graph = told_with_what_serves(settings, lambda: run_graph(settings, tables=tables))
    _print_tried(before, _refused_and_accepted(lake), tables)
    for problem in graph.problems:
        print_problem(problem, Texts(settings.lang))
    if not graph.failed and not graph.failed_checks:
        print("next: make run   (carries what was accepted into warehouse, models and publication)")
    return 1 if graph.failed or graph.failed_checks else 0
