"""What other ways to fill the slots that explore would have sold: a part of the recommendation section."""

from __future__ import annotations

from pipelines.decisions.explored import TABLE
from pipelines.report.blocks import Block, Column, Note, Table
from pipelines.report.evidence import Evidence
from pipelines.report.formats import count, percent, plain_name
from pipelines.report.origins import Origin


def blocks(evidence: Evidence, origin: Origin) -> list[Block]:
    """The estimates and why some are refused; nothing before the first lists were logged."""
    if not evidence.lake.derived_path(TABLE).exists():
        return []
    rows = list(evidence.lake.get(TABLE).iter_rows(named=True))
    if not any(row["refused"] is None for row in rows):
        return [
            Note(
                f"Slots that explore: nothing can be told of other ways to fill them yet "
                f"({rows[0]['refused']}).",
                is_gap=True,
            )
        ]
    return [
        Table(
            [
                Column("way to fill a slot", True),
                Column("estimator", True),
                Column("bought within 14 days"),
                Column("effective decisions"),
                Column("refused because", True),
            ],
            [
                [
                    plain_name(row["policy"]),
                    plain_name(row["estimator"]),
                    ""
                    if row["value"] is None
                    else f"{percent(row['value'], 2)} [{percent(row['low'], 2)}, {percent(row['high'], 2)}]",
                    count(round(row["effective"])),
                    row["refused"] or "",
                ]
                for row in rows
            ],
            "Slots that explore: what other ways to fill them would have sold, from "
            f"{count(rows[0]['decisions'])} decisions",
            origin,
        )
    ]
