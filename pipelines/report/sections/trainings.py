"""Trainings of agents and merchants: what a seat brought, with its interval; nothing without one."""

from __future__ import annotations

from typing import Any

from pipelines.report.blocks import Block, Column, Table
from pipelines.report.evidence import Evidence
from pipelines.report.formats import NOTHING, amount, count
from pipelines.stores.training_lifts import LIFTS

_MOST = 20
_WORDS = {"gain": "gain", "loss": "loss", "not_shown": "not shown", "too_few": "too few"}


def blocks(evidence: Evidence) -> list[Block]:
    """The newest trainings; empty without a training."""
    lake = evidence.lake
    if not lake.derived_path(LIFTS).exists():
        return []
    lifts = lake.get(LIFTS)
    if lifts.is_empty():
        return []
    return [
        Table(
            [
                Column("training", True), Column("month"), Column("measured until"),
                Column("seats by lot"), Column("of parties in the lot"),
                Column("a seat brought (95% interval)"), Column("verdict", True),
            ],
            [_row(evidence.currency, row) for row in lifts.head(_MOST).iter_rows(named=True)],
            f"Trainings of agents and merchants, money in {evidence.currency}",
            evidence.origins.of("orders", "agents"),
            "Net sales of a party that was drawn, less those of one that was in the same lot and was not.",
        )
    ]  # fmt: skip


def _row(currency: str, row: dict[str, Any]) -> list[str]:
    cents, low, high = (amount(row[name], currency) for name in ("cents", "low", "high"))
    return [
        row["title"],
        f"{row['month']:%Y-%m}",
        f"{row['until']:%Y-%m}",
        count(row["by_lot"]),
        count(row["by_lot"] + row["not_drawn"]),
        NOTHING if row["cents"] is None else f"{cents} ({low} to {high})",
        "not over" if row["word"] is None else _WORDS[row["word"]],
    ]
