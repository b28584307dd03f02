"""Stock that turns over slowly, with the ladder of cuts: a part of the reorder section."""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from pipelines.report.blocks import Block, Column, Note, Table
from pipelines.report.evidence import Evidence
from pipelines.report.formats import NOTHING, amount, count, decimal, percent, shortened
from pipelines.report.origins import Origin

_ROWS = 12


def blocks(evidence: Evidence, origin: Origin) -> list[Block]:
    """How much stock is warned about, and the stock with the most money in it; nothing without the table."""
    scores = evidence.scores("clearance_warnings")
    if scores is None:
        return []
    frame = scores.with_columns(bound=pl.col("on_hand_qty") * pl.col("cost_cents").fill_null(0)).collect()
    if not frame.height:
        return [Note("No stock turns over slowly.")]
    unsold = frame.filter(pl.col("sold_qty") == 0).height
    bound = amount(int(frame["bound"].sum()), evidence.currency)
    note = Note(
        f"{count(frame.height)} stocks turn over by less than 15% in 30 days, {count(unsold)} of them sold "
        f"nothing; at cost they hold {bound} {evidence.currency}."
    )
    return [note, _most_bound(evidence, frame, origin)]


def _most_bound(evidence: Evidence, frame: pl.DataFrame, origin: Origin) -> Table:
    rows = frame.sort("bound", "supplier_id", "sku_id", descending=[True, False, False]).head(_ROWS)
    titles = evidence.sku_titles(rows["sku_id"])
    return Table(
        [
            Column("supplier", True),
            Column("sku", True),
            Column("on hand"),
            Column("sold in 30 days"),
            Column("turnover"),
            Column("days to clear"),
            Column("after a cut: days to clear and margin given up", True),
        ],
        [
            [
                row["supplier_id"],
                f"{shortened(titles[row['sku_id']], 48)} ({row['sku_id']})",
                count(row["on_hand_qty"]),
                decimal(row["sold_qty"], 0),
                percent(row["turnover_rate"]),
                NOTHING if row["days_to_clear_now"] is None else decimal(row["days_to_clear_now"], 0),
                "; ".join(_cut(cut, evidence.currency) for cut in json.loads(row["cuts"])),
            ]
            for row in rows.iter_rows(named=True)
        ],
        f"The {count(rows.height)} slow stocks with the most money in them, of {count(frame.height)}",
        origin,
    )


def _cut(cut: dict[str, Any], currency: str) -> str:
    days = NOTHING if cut["days_to_clear"] is None else decimal(cut["days_to_clear"], 0)
    cost = NOTHING if cut["margin_cost_cents"] is None else amount(cut["margin_cost_cents"], currency)
    return f"{percent(-cut['cut_bps'] / 10_000, 0)}: {days} / {cost}{' *' if cut['is_below_floor'] else ''}"
