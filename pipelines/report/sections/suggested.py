"""What merchants were advised to take in, and what they answered: a part of the supply section."""

from __future__ import annotations

import polars as pl

from pipelines.report.blocks import Block, Column, Note, Table
from pipelines.report.evidence import Evidence
from pipelines.report.formats import amount, count, decimal, plain_name
from pipelines.report.origins import Origin

_ROWS = 12


def blocks(evidence: Evidence, origin: Origin) -> list[Block]:
    """Open suggestions by reason, the merchants with the most, and answers with what came of them."""
    published, answers = evidence.scores("assortment_suggestions"), evidence.assortment_answers()
    if published is None:
        return []
    rows = published.drop("explanation", "backups").collect()
    if rows.is_empty() and (answers is None or answers.is_empty()):
        return [Note("Matching suggests nothing: nothing useful to take in is known.", is_gap=True)]
    qty, margin = rows.select(pl.col("expected_qty", "expected_margin_cents").sum()).row(0)
    note = Note(
        f"Matching suggests {count(rows.height)} skus to {count(rows['merchant_id'].n_unique())} merchants; "
        f"they are expected to bring {decimal(qty, 0)} units and "
        f"{amount(margin, evidence.currency)} of margin within 56 days."
    )
    return [
        note,
        *([_by_reason(rows, evidence.currency, origin)] if rows.height else []),
        *([] if answers is None or answers.is_empty() else [_answers(answers, evidence.currency, origin)]),
    ]


def _by_reason(rows: pl.DataFrame, currency: str, origin: Origin) -> Table:
    counted = (
        rows.group_by("reason_code", "basis")
        .agg(
            pl.len(), pl.col("merchant_id").n_unique(), pl.col("expected_qty", "expected_margin_cents").sum()
        )
        .sort("len", "reason_code", descending=[True, False])
    )
    return Table(
        [
            Column("reason", True),
            Column("ranked by", True),
            Column("suggestions"),
            Column("to merchants"),
            Column("expected units"),
            Column("expected margin"),
        ],
        [
            [
                plain_name(row["reason_code"]),
                plain_name(row["basis"]),
                count(row["len"]),
                count(row["merchant_id"]),
                decimal(row["expected_qty"], 1),
                amount(row["expected_margin_cents"], currency),
            ]
            for row in counted.head(_ROWS).iter_rows(named=True)
        ],
        "Suggestions of assortment, by what speaks for them",
        origin,
    )


def _answers(answers: pl.DataFrame, currency: str, origin: Origin) -> Table:
    return Table(
        [
            Column("answer", True),
            Column("because of", True),
            Column("suggestions"),
            Column("expected so far"),
            Column("sold"),
            Column("paid for it"),
        ],
        [
            [
                plain_name(row["answer"]),
                plain_name(row["reason_code"] or ""),
                count(row["suggestions"]),
                decimal(row["expected_qty"], 1),
                decimal(row["sold_qty"], 1),
                amount(row["sold_net_paid_cents"], currency),
            ]
            for row in answers.head(_ROWS).iter_rows(named=True)
        ],
        "What merchants answered, and what was sold since",
        origin,
        "Within 56 days of a decision; expected units as far as these days have passed.",
    )
