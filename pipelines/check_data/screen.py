"""The check for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pipelines.check_data.check import Check
from pipelines.check_data.look import Look
from pipelines.check_data.trial import Refused
from pipelines.messages import Texts
from pipelines.sources.loading.ingest import IngestReport

_DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "pipe"}
_SHOWN_TAGS = 6


def as_json(check: Check) -> str:
    """The check as a JSON document."""
    texts = Texts("en")
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
            "guesses": [
                guess._asdict() | {"says": texts(f"guess.{guess.key}", **_named(guess))}
                for guess in check.suggestion.guesses
            ],
            "written": str(check.written) if check.written is not None else None,
        },
        ensure_ascii=False,
        indent=1,
        default=str,
    )


def _named(guess: Any) -> dict[str, str]:
    return {name: value for name, value in guess._asdict().items() if name != "key"}


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


def as_text(check: Check, texts: Texts) -> str:
    """The check as lines for a terminal.

    Args:
        check: What was found out.
        texts: The language.
    """
    return "\n".join(
        [
            texts("check.files", folder=check.folder, count=len(check.looks)),
            *_files(check, texts),
            "",
            texts("check.assumed", zone=check.time_zone, currency=check.currency),
            *_tables(check, texts),
            *_missing(check, texts),
            *_guesses(check, texts),
            *_verdict(check, texts),
        ]
    )


def _files(check: Check, texts: Texts) -> Iterator[str]:
    for look in check.looks:
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
            facts.append(texts("check.header", line=found.header_line))
        tables = ", ".join(check.feeds.get(look.name, ())) or texts("check.no_table")
        yield "  " + texts(
            "check.file", name=look.name, tables=tables, facts=", ".join(facts), columns=len(found.columns)
        )
        if found.skipped_lines:
            yield "      " + texts("check.before_header", count=len(found.skipped_lines))
        if unused := _unused(check, look):
            yield "      " + texts("check.unused", columns=", ".join(unused))


def _unused(check: Check, look: Look) -> list[str]:
    """Columns of a file that every table made of it sets aside."""
    reports = [check.trial.report(table) for table in check.feeds.get(look.name, ())]
    aside = [set(report.extra_columns) for report in reports if report is not None]
    return [column for column in look.columns if aside and all(column in one for one in aside)]


def _tables(check: Check, texts: Texts) -> Iterator[str]:
    if check.trial.reports:
        table, received, accepted, refused, time = texts("check.heading").split("|")
        yield ""
        yield f"  {table:<20} {received:>10} {accepted:>10} {refused:>10}  {time}"
    for report in check.trial.reports:
        yield _table(report, texts)
        for note in report.notes:
            yield f"      {note}"
        for row in _refused(check, report.table):
            where = texts("check.where", file=row.file, line=row.line) if row.line is not None else row.file
            where += f", {row.column} = {row.value!r}" if row.column else ""
            rows = report.reasons.get(row.reason, 1)
            yield "      " + texts("check.refused", rows=rows, reason=row.reason, where=where)


def _table(report: IngestReport, texts: Texts) -> str:
    first, last = report.first_time, report.last_time
    times = (
        texts("check.span", first=f"{first:%Y-%m-%d %H:%M}", last=f"{last:%Y-%m-%d %H:%M}")
        if first and last
        else ""
    )
    counts = f"{report.received:>10,} {report.accepted:>10,} {report.quarantined:>10,}"
    return f"  {report.table:<20} {counts}  {times}".rstrip()


def _refused(check: Check, table: str) -> tuple[Refused, ...]:
    return (check.trial.refused or {}).get(table, ())


def _missing(check: Check, texts: Texts) -> Iterator[str]:
    if check.costs:
        yield ""
        yield texts("check.missing")
    for cost in check.costs:
        parts = [cost.says] if cost.says else []
        if cost.tags:
            shown = ", ".join(cost.tags[:_SHOWN_TAGS]) + (" ..." if len(cost.tags) > _SHOWN_TAGS else "")
            parts.append(texts("check.tags", count=len(cost.tags), names=shown))
        if cost.publications:
            parts.append(texts("check.publications", names=", ".join(cost.publications)))
        yield f"  {cost.table}: {'; '.join(parts)}"


def _guesses(check: Check, texts: Texts) -> Iterator[str]:
    if check.suggestion.guesses and not check.has_document:
        yield ""
        yield texts("check.guessed")
        for guess in check.suggestion.guesses:
            yield "  " + texts(f"guess.{guess.key}", **_named(guess))
    if check.suggestion.unmatched and not check.has_document:
        yield texts("check.unmatched", names=", ".join(check.suggestion.unmatched))


def _verdict(check: Check, texts: Texts) -> Iterator[str]:
    yield ""
    if check.written is not None:
        yield texts("check.written", path=check.written)
    if check.works:
        yield texts("check.works", folder=check.folder)
        return
    yield texts("check.works_not")
    yield from (f"  {blocker}" for blocker in check.blockers)
