"""What came in and what was quarantined, table by table."""

from __future__ import annotations

from pipelines.intake.share import causes_of
from pipelines.report import svg
from pipelines.report.blocks import Block, Column, Figure, Figures, Note, Section, Table
from pipelines.report.evidence import Evidence
from pipelines.report.formats import NOTHING, count, day, percent
from pipelines.report.origins import MEANING
from pipelines.sources.refused.causes import Cause

_CAUSES_SHOWN = 12
_LEGEND = [(kind, MEANING[kind]) for kind in ("observed", "overlay")]


def section(evidence: Evidence) -> Section:
    """Rows received, accepted and quarantined, with the reasons."""
    return Section(
        "intake",
        "What came in, what was quarantined",
        "Every received row is either accepted or quarantined with a reason; none vanishes.",
        evidence.origins.of_all(),
        _blocks(evidence),
    )


def _blocks(evidence: Evidence) -> list[Block]:
    reports = evidence.ingest
    if not reports:
        return [Note("Nothing has been loaded yet.", is_gap=True)]
    origin = evidence.origins.of_all()
    largest = sorted((r for r in reports if r.received), key=lambda r: (-r.received, r.table))
    reasons = sorted(
        ((n, r.table, reason, r.origin) for r in reports for reason, n in r.reasons.items()),
        key=lambda item: (-item[0], item[1], item[2]),
    )
    blocks: list[Block] = [
        Figures(
            [
                Figure(
                    svg.bars(
                        [svg.Bar(r.table, r.accepted, count(r.accepted), r.origin) for r in largest],
                        "Accepted rows by table, logarithmic scale",
                        is_log=True,
                    ),
                    "Accepted rows by table, logarithmic scale",
                    origin,
                ),
                _reason_figure(evidence, reasons),
            ],
            legend=_LEGEND,
        )
    ]
    blocks.append(
        Table(
            [
                Column("table", True),
                Column("origin", True),
                Column("received"),
                Column("accepted"),
                Column("quarantined"),
                Column("share"),
                Column("first", True),
                Column("last", True),
                Column("remarks", True),
            ],
            [
                [
                    r.table,
                    r.origin,
                    count(r.received),
                    count(r.accepted),
                    count(r.quarantined),
                    percent(r.quarantined / r.received, 2) if r.received else NOTHING,
                    day(r.first_time),
                    day(r.last_time),
                    "; ".join([*r.notes, *(f"unknown column {name}" for name in r.extra_columns)]),
                ]
                for r in reports
            ],
            "Accounts: received = accepted + quarantined",
            origin,
            row_kinds=[r.origin for r in reports],
        )
    )
    causes = causes_of(evidence.lake)
    if causes:
        blocks.append(_causes_table(evidence, causes))
    if reasons:
        blocks.append(
            Table(
                [Column("table", True), Column("origin", True), Column("rows"), Column("reason", True)],
                [[table, own, count(n), reason] for n, table, reason, own in reasons],
                "Reasons of quarantine",
                evidence.origins.of(*(table for _, table, _, _ in reasons)),
                row_kinds=[own for _, _, _, own in reasons],
            )
        )
    return blocks


def _causes_table(evidence: Evidence, causes: list[Cause]) -> Table:
    """Causes, most missing rows first; orphans count with the rows that orphaned them."""
    shown = causes[:_CAUSES_SHOWN]
    return Table(
        [
            Column("what is wrong", True),
            Column("rows missing"),
            Column("first row", True),
            Column("what to do", True),
        ],
        [[str(cause), count(cause.total), cause.place, cause.remedy] for cause in shown],
        "Root causes of the quarantine, most missing rows first",
        evidence.origins.of(*dict.fromkeys(cause.table for cause in shown)),
        "After a fix: muyun quarantine replay.",
    )


def _reason_figure(evidence: Evidence, reasons: list[tuple[int, str, str, str]]) -> Figure:
    shown = reasons[:12]
    return Figure(
        svg.bars(
            [svg.Bar(f"{table}: {reason}", n, count(n), own) for n, table, reason, own in shown],
            "Quarantined rows by reason",
            label_width=260,
        ),
        "Quarantined rows by table and reason",
        evidence.origins.of(*(table for _, table, _, _ in shown)),
        "" if reasons else "No row was quarantined.",
    )
