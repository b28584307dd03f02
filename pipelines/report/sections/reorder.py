"""What suppliers should bring in, how much and by when."""

from __future__ import annotations

import polars as pl

from pipelines.report import svg
from pipelines.report.blocks import Block, Column, Figure, Figures, Note, Section, Table
from pipelines.report.evidence import Evidence
from pipelines.report.formats import NOTHING, count, day, decimal, plain_name, shortened
from pipelines.report.origins import Origin
from pipelines.report.sections import clearance

_ROWS = 20
_SUPPLIERS = 12


def section(evidence: Evidence) -> Section:
    """Reasons, suppliers with the largest orders, and the most urgent lines."""
    origin = evidence.origins.of("order_lines", "products", "promotions", "offers")
    return Section(
        "reorder",
        "Reorder list",
        "Forecast demand over lead time and review, against the stock of the offers: what is missing is "
        "ordered in packs, within minimum and capacity. What lies there too long could be cleared by a cut; "
        "a star marks a cut below the floor.",
        origin,
        [
            *_blocks(evidence, origin),
            *clearance.blocks(evidence, origin),
        ],
    )


def _blocks(evidence: Evidence, origin: Origin) -> list[Block]:
    scores = evidence.scores("reorder_suggestions")
    frame = None if scores is None else scores.drop("explanation").collect()
    if frame is None or not frame.height:
        return [
            Note(
                "reorder_suggestions: nothing is suggested. Offers and a demand forecast are needed.",
                is_gap=True,
            )
        ]
    ordered = frame.filter(pl.col("reorder_qty") > 0)
    slow = frame.filter(pl.col("is_stalled")).height
    blocks: list[Block] = [
        Note(
            f"{count(frame.height)} supplier and sku pairs were judged: {count(ordered.height)} are to be "
            f"ordered, {count(int(ordered['reorder_qty'].sum()))} units in all; {count(slow)} move slowly."
        ),
        *_purchases(evidence),
        Figures([_reasons(frame, origin), _suppliers(ordered, origin)]),
    ]
    if not ordered.height:
        return [*blocks, Note("Nothing needs ordering now.", is_gap=True)]
    return [*blocks, _urgent(evidence, ordered, origin)]


def _purchases(evidence: Evidence) -> list[Block]:
    done = evidence.lake.read_report("operations/purchases")
    if done is None:
        return []
    if not done["orders"] + done["asked"]:
        return [
            Note(
                f"None of the {count(done['left'])} suggestions that are due was ordered by this run: "
                "`PUT /v1/purchase-policies` says which categories are ordered at once or asked for."
            )
        ]
    text = (
        f"Of what is due by tomorrow this run placed {count(done['orders'])} purchase orders with "
        f"{count(done['lines'])} lines for {count(done['cents'] // 100)} at supply prices; "
        f"{count(done['asked'])} wait for an approval, {count(done['left'])} have no policy."
    )
    played = done["demonstration"]
    if played["past"] + played["answered"]:
        text += (
            f" On the embedded panel {count(played['past'])} deliveries of the last weeks are told as "
            "purchase orders that were received, and suppliers are played: "
            f"{count(played['answered'])} answered, {count(played['shipped'])} shipped, "
            f"{count(played['received'])} delivered."
        )
    return [Note(text)]


def _reasons(frame: pl.DataFrame, origin: Origin) -> Figure:
    reasons = (
        frame.group_by("reason_code")
        .agg(pl.len().alias("rows"))
        .sort("rows", "reason_code", descending=[True, False])
    )
    return Figure(
        svg.bars(
            [
                svg.Bar(plain_name(reason), rows, count(rows), "model" if _orders(reason) else "other")
                for reason, rows in reasons.iter_rows()
            ],
            "Suggestions by reason",
            label_width=210,
        ),
        "Supplier and sku pairs by reason",
        origin,
        legend=[("model", "to be ordered"), ("other", "not to be ordered")],
    )


def _orders(reason: str) -> bool:
    return reason in (
        "below_order_up_to_level",
        "reorder_capped_by_capacity",
        "reorder_cut_by_budget",
    )


def _suppliers(ordered: pl.DataFrame, origin: Origin) -> Figure:
    largest = (
        ordered.group_by("supplier_id")
        .agg(pl.col("reorder_qty").sum(), pl.len().alias("skus"))
        .sort("reorder_qty", "supplier_id", descending=[True, False])
        .head(_SUPPLIERS)
    )
    return Figure(
        svg.bars(
            [
                svg.Bar(f"{supplier} ({count(skus)} skus)", units, count(units), "model")
                for supplier, units, skus in largest.iter_rows()
            ],
            "Suppliers with the largest orders",
            label_width=150,
        ),
        "Suppliers with the largest orders, units",
        origin,
    )


def _urgent(evidence: Evidence, ordered: pl.DataFrame, origin: Origin) -> Table:
    rows = ordered.sort(
        "order_by_on",
        "reorder_qty",
        "supplier_id",
        "sku_id",
        descending=[False, True, False, False],
        nulls_last=True,
    ).head(_ROWS)
    titles = evidence.sku_titles(rows["sku_id"])
    return Table(
        [
            Column("order by", True),
            Column("supplier", True),
            Column("sku", True),
            Column("on hand"),
            Column("lead days"),
            Column("mean demand"),
            Column("90% demand"),
            Column("order up to"),
            Column("reorder"),
            Column("reason", True),
        ],
        [
            [
                day(row["order_by_on"]),
                row["supplier_id"],
                f"{shortened(titles[row['sku_id']], 48)} ({row['sku_id']})",
                count(row["on_hand_qty"]) if row["on_hand_qty"] is not None else NOTHING,
                count(row["lead_time_days"]),
                decimal(row["demand_mean_qty"], 1),
                decimal(row["demand_p90_qty"], 1),
                count(row["order_up_to_qty"]),
                count(row["reorder_qty"]),
                plain_name(row["reason_code"]) + (", stalled" if row["is_stalled"] else ""),
            ]
            for row in rows.iter_rows(named=True)
        ],
        f"The {count(rows.height)} most urgent of {count(ordered.height)} lines, units",
        origin,
    )
