"""The check for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pipelines.check_data.check import Check
from pipelines.check_data.look import Look
from pipelines.check_data.trial import Refused
from pipelines.sources.ingest import IngestReport

_DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "pipe"}
_SHOWN_TAGS = 6


def as_json(check: Check) -> str:
    """The check as a JSON document."""
    return json.dumps(
        {
            "folder": str(check.folder),
            "works": check.works,
            "blockers": list(check.blockers),
            "time_zone": check.time_zone,
            "currency": check.currency,
            "files": [_file_json(check, look) for look in check.looks],
            "tables": [
                report.to_json() | {"first_refused": [vars(row) for row in _refused(check, report.table)]}
                for report in check.trial.reports
            ],
            "missing": [vars(cost) for cost in check.costs],
            "guesses": list(check.suggestion.guesses),
            "written": str(check.written) if check.written is not None else None,
        },
        ensure_ascii=False,
        indent=1,
        default=str,
    )


def _file_json(check: Check, look: Look) -> dict[str, Any]:
    found = look.found
    return {
        "name": look.name,
        "tables": list(check.feeds.get(look.name, ())),
        "problem": look.problem,
        "kind": found.kind if found else None,
        "encoding": found.encoding if found else None,
        "delimiter": found.delimiter if found else None,
        "header_line": found.header_line if found else None,
        "line_end": found.line_end if found else None,
        "skipped_lines": list(found.skipped_lines) if found else [],
        "columns": list(look.columns),
        "unused_columns": _unused(check, look),
    }


def as_text(check: Check) -> str:
    """The check as lines for a terminal."""
    return "\n".join(
        [
            f"{check.folder}: {len(check.looks)} files",
            *_files(check),
            "",
            f"times without an offset are of {check.time_zone}, amounts are in {check.currency}",
            *_tables(check),
            *_missing(check),
            *_guesses(check),
            *_verdict(check),
        ]
    )


def _files(check: Check) -> Iterator[str]:
    for look in check.looks:
        tables = ", ".join(check.feeds.get(look.name, ())) or "no table"
        if look.problem is not None or look.found is None:
            yield f"  {look.name}: {look.problem}"
            continue
        found = look.found
        facts = [found.kind]
        if found.encoding is not None:
            facts.append(found.encoding)
        if found.delimiter is not None:
            facts.append(_DELIMITERS.get(found.delimiter, repr(found.delimiter)))
        if found.line_end:
            facts.append(found.line_end)
        if found.header_line:
            facts.append(f"header in line {found.header_line}")
        yield f"  {look.name} -> {tables}: {', '.join(facts)}, {len(found.columns)} columns"
        if found.skipped_lines:
            yield f"      {len(found.skipped_lines)} lines before the header are skipped"
        if unused := _unused(check, look):
            yield f"      columns that no table uses: {', '.join(unused)}"


def _unused(check: Check, look: Look) -> list[str]:
    """Columns of a file that every table made of it sets aside."""
    reports = [check.trial.report(table) for table in check.feeds.get(look.name, ())]
    aside = [set(report.extra_columns) for report in reports if report is not None]
    return [column for column in look.columns if aside and all(column in one for one in aside)]


def _tables(check: Check) -> Iterator[str]:
    if check.trial.reports:
        yield ""
        yield f"  {'table':<20} {'received':>10} {'accepted':>10} {'refused':>10}  time"
    for report in check.trial.reports:
        yield _table(report)
        for note in report.notes:
            yield f"      {note}"
        for row in _refused(check, report.table):
            where = f"{row.file} line {row.line}" if row.line is not None else row.file
            column = f", {row.column} = {row.value!r}" if row.column else ""
            yield f"      refused {report.reasons.get(row.reason, 1):,}: {row.reason} (first {where}{column})"


def _table(report: IngestReport) -> str:
    first, last = report.first_time, report.last_time
    times = f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC" if first and last else ""
    counts = f"{report.received:>10,} {report.accepted:>10,} {report.quarantined:>10,}"
    return f"  {report.table:<20} {counts}  {times}".rstrip()


def _refused(check: Check, table: str) -> tuple[Refused, ...]:
    return (check.trial.refused or {}).get(table, ())


def _missing(check: Check) -> Iterator[str]:
    if check.costs:
        yield ""
        yield "missing, and what that costs:"
    for cost in check.costs:
        parts = [cost.says] if cost.says else []
        if cost.tags:
            shown = ", ".join(cost.tags[:_SHOWN_TAGS]) + (" ..." if len(cost.tags) > _SHOWN_TAGS else "")
            parts.append(f"{len(cost.tags)} tags stay empty ({shown})")
        if cost.publications:
            parts.append(f"published without rows: {', '.join(cost.publications)}")
        yield f"  {cost.table}: {'; '.join(parts)}"


def _guesses(check: Check) -> Iterator[str]:
    if check.suggestion.guesses and not check.has_document:
        yield ""
        yield "guessed, please look it over:"
        yield from (f"  {guess}" for guess in check.suggestion.guesses)
    if check.suggestion.unmatched and not check.has_document:
        yield f"files that fit no table by their columns: {', '.join(check.suggestion.unmatched)}"


def _verdict(check: Check) -> Iterator[str]:
    yield ""
    if check.written is not None:
        yield f"written: {check.written}"
    if check.works:
        yield f"a run would work: make run DATA={check.folder}"
        return
    yield "a run would not work:"
    yield from (f"  {blocker}" for blocker in check.blockers)
