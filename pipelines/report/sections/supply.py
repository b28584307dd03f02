"""Suppliers: how good they are, what the brake holds, what the watch warns of, where supply leans on one."""

from __future__ import annotations

import polars as pl

from models.supply.brake.ladder import Level
from pipelines.report import svg
from pipelines.report.blocks import Block, Column, Facts, Figure, Figures, Note, Section, Table
from pipelines.report.evidence import Evidence
from pipelines.report.formats import count, decimal, percent, plain_name, shortened
from pipelines.report.origins import Origin
from pipelines.report.sections import alarms, resilience, suggested
from pipelines.stores.brake import ESTIMATES, FROZEN, LEVELS

_ROWS = 12
_GRADES = ("A", "B", "C", "D")
_PARTS = ("quality", "fulfilment", "price")
_DOES = {
    Level.WATCH: "watched",
    Level.LIMIT: "half the exposure, no cut",
    Level.STOP: "not sold",
    Level.RECALL: "recalled",
}


def section(evidence: Evidence) -> Section:
    """Grades, the brake, alarms with a parcel's proof, suggestions of assortment, and resilience."""
    origin = evidence.origins.of("offers", "shipments", "after_sales", "licences", "order_lines")
    return Section(
        "supply",
        "Suppliers and the quality of what they send",
        "A supplier is graded in each category by the lower bound of its score: quality, fulfilment, price. "
        "What complains above its category's line is braked, and orders, lists, prices and reorders obey.",
        origin,
        [
            *_grades(evidence, origin),
            *_brake(evidence, origin),
            *alarms.blocks(evidence),
            *suggested.blocks(evidence, origin),
            *resilience.blocks(evidence, origin),
        ],
    )


def _grades(evidence: Evidence, origin: Origin) -> list[Block]:
    suppliers, channels = evidence.scores("supplier_grades"), evidence.scores("channel_scores")
    if suppliers is None or channels is None:
        return [Note("supplier_grades: no supplier was graded. Offers or parcels are needed.", is_gap=True)]
    graded, judged = suppliers.drop("explanation").collect(), channels.drop("explanation").collect()
    stopped = graded.filter(pl.col("gate").is_not_null()).height
    return [
        Facts(
            [
                ("suppliers graded", count(graded.height), f"in {count(judged.height)} channels"),
                ("grade A", count(graded.filter(pl.col("grade") == "A").height), "by the lower bound"),
                ("no order goes to", count(stopped), "suppliers behind a gate"),
            ]
        ),
        Figures([_by_grade(graded, origin), _by_part(graded, origin)]),
        _lowest(judged, origin),
    ]


def _by_grade(graded: pl.DataFrame, origin: Origin) -> Figure:
    free = graded.filter(pl.col("gate").is_null())
    bars = [
        svg.Bar(grade, found, count(found), "model")
        for grade in _GRADES
        for found in [free.filter(pl.col("grade") == grade).height]
    ]
    gates = graded.drop_nulls("gate").group_by("gate").len().sort("gate")
    bars += [svg.Bar(plain_name(gate), found, count(found), "other") for gate, found in gates.iter_rows()]
    return Figure(
        svg.bars(bars, "Suppliers by grade"),
        "Suppliers by grade, and those that a gate stops",
        origin,
        legend=[("model", "may be ordered from"), ("other", "stopped, whatever the score")],
    )


def _by_part(graded: pl.DataFrame, origin: Origin) -> Figure:
    dots = []
    for part in _PARTS:
        known = graded[part].drop_nulls()
        if known.len():
            low, middle, high = (known.quantile(at, "linear") for at in (0.1, 0.5, 0.9))
            dots.append(svg.Dot(part, middle or 0.0, low, high, decimal(middle, 2), "model"))
    return Figure(
        svg.dots(dots, "Parts of the score"),
        "What scores are made of: median, and 80% of the suppliers",
        origin,
        "Each part lies between 0 and 1. A part of which nobody has any evidence is left out.",
    )


def _lowest(judged: pl.DataFrame, origin: Origin) -> Table:
    low = judged.filter(pl.col("grade").is_in(["C", "D"]))
    rows = low.sort(
        "line_count", "supplier_id", "category_id", descending=[True, False, False]
    ).head(_ROWS)  # fmt: skip
    return Table(
        [
            Column("supplier", True),
            Column("category", True),
            Column("lines"),
            Column("grade", True),
            Column("score"),
            Column("90% interval"),
            *(Column(part) for part in _PARTS),
            Column("gate", True),
        ],
        [
            [
                row["supplier_id"],
                plain_name(row["category_id"]),
                count(row["line_count"]),
                row["grade"],
                decimal(row["score"], 2),
                f"{decimal(row['score_low'], 2)} to {decimal(row['score_high'], 2)}",
                *(decimal(row[part], 2) for part in _PARTS),
                plain_name(row["gate"] or ""),
            ]
            for row in rows.iter_rows(named=True)
        ],
        f"The {count(rows.height)} channels of grade C and D that sell most lines, of {count(low.height)}",
        origin,
        "What would raise a grade: GET /v1/channel-scores.",
    )


def _brake(evidence: Evidence, origin: Origin) -> list[Block]:
    if not evidence.lake.derived_path(LEVELS).exists():
        return [Note("The quality brake has not judged anything yet.", is_gap=True)]
    levels, frozen = evidence.lake.get(LEVELS), evidence.lake.get(FROZEN)
    held = levels.filter(pl.col("level") >= Level.LIMIT)
    counted = [(level, levels.filter(pl.col("level") == level).height) for level in Level if level]
    note = Note(
        f"The brake judged {count(evidence.lake.get(ESTIMATES).height)} skus and batches that were delivered "
        f"in the last 30 days; it holds {count(levels.height)}. {count(frozen.height)} suppliers are frozen."
    )
    chart = Figure(
        svg.bars(
            [
                svg.Bar(f"{int(level)} {_DOES[level]}", found, count(found), "model" if found else "other")
                for level, found in counted
            ],
            "Skus by level of the brake",
            label_width=210,
        ),
        "Skus that the quality brake holds, by level",
        origin,
    )
    return [note, chart, *([_held(evidence, held, origin)] if held.height else [])]


def _held(evidence: Evidence, held: pl.DataFrame, origin: Origin) -> Table:
    estimates = evidence.lake.get(ESTIMATES).filter(pl.col("batch_id").is_null())
    rows = (
        held.join(estimates, on="sku_id", how="left")
        .sort("level", "complaints", "sku_id", descending=[True, True, False], nulls_last=True)
        .head(_ROWS)
    )
    titles = evidence.sku_titles(rows["sku_id"])
    return Table(
        [
            Column("sku", True),
            Column("level", True),
            Column("complaints"),
            Column("units"),
            Column("rate"),
            Column("alarm line"),
            Column("surely above"),
            Column("reason", True),
        ],
        [
            [
                f"{shortened(titles[row['sku_id']], 48)} ({row['sku_id']})",
                f"{row['level']} {_DOES[Level(row['level'])]}",
                count(row["complaints"]),
                decimal(row["units"], 0),
                percent(row["mean"]),
                percent(row["line"]),
                percent(row["above"]),
                plain_name(row["reason_code"]),
            ]
            for row in rows.iter_rows(named=True)
        ],
        f"The {count(rows.height)} skus that are held hardest, of {count(held.height)} at level 2 or more",
        origin,
    )
