"""What consumers write about: topics of the newest month beside the one before; nothing without texts."""

from __future__ import annotations

from pipelines.report.blocks import Block, Column, Table
from pipelines.report.evidence import Evidence
from pipelines.report.formats import NOTHING, count, percent


def blocks(evidence: Evidence) -> list[Block]:
    """A table of all shops together; empty without a text that was sorted."""
    topics = evidence.feedback_topics()
    if topics is None or topics.is_empty():
        return []
    month = topics["month_start_on"][0]
    complaints = int(topics["negative_count"].sum())
    return [
        Table(
            [
                Column("topic", True), Column("texts"), Column("meant badly"), Column("share of complaints"),
                Column("unanswered"), Column("texts, month before"), Column("meant badly, change"),
            ],
            [_row(row, complaints) for row in topics.iter_rows(named=True)],
            f"What consumers wrote about in {month:%Y-%m}, all shops",
            evidence.origins.of("feedback"),
            "Texts of consumers sorted by a small model and corrected by people; complaints are all that are "
            "meant badly, unanswered are those of them without a public answer.",
        )
    ]  # fmt: skip


def _row(row: dict[str, int | str], complaints: int) -> list[str]:
    texts, negative = int(row["text_count"]), int(row["negative_count"])
    return [
        str(row["topic"]),
        count(texts),
        percent(negative / texts) if texts else NOTHING,
        percent(negative / complaints) if complaints else NOTHING,
        count(int(row["unanswered_count"])),
        count(int(row["text_count_before"])),
        f"{int(row['negative_change']):+d}",
    ]
