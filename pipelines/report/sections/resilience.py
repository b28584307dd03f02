"""Where supply leans on one supplier, and what its failure would cost: a part of the supply section."""

from __future__ import annotations

import polars as pl

from pipelines.report import svg
from pipelines.report.blocks import Block, Column, Figure, Figures, Note, Table
from pipelines.report.evidence import Evidence
from pipelines.report.formats import NOTHING, amount, count, decimal, percent, plain_name
from pipelines.report.origins import Origin

_ROWS = 12
_MAPPED = 16


def blocks(evidence: Evidence, origin: Origin) -> list[Block]:
    """The largest categories that lean on one supplier, and the failures that lose most sales."""
    resilience, failures = evidence.scores("supply_resilience"), evidence.scores("supply_failures")
    if resilience is None or failures is None:
        return []
    categories, suppliers = resilience.collect(), failures.collect()
    leaning = categories.filter("is_main_too_large")
    weak = categories.filter("is_backup_too_small").height
    note = Note(
        f"{count(leaning.height)} of {count(categories.height)} categories have more than 60% of their units "
        f"from one supplier; in {count(weak)} the others could not ship 30%."
    )
    return [
        note,
        _map(categories, origin),
        *_leaning(leaning, origin),
        *_failures(evidence, suppliers, origin),
    ]


def _map(categories: pl.DataFrame, origin: Origin) -> Figures:
    rows = categories.sort("units_per_day", "category_id", descending=[True, False]).head(_MAPPED)

    def drawn(share: str, flag: str, title: str) -> Figure:
        bars = [
            svg.Bar(plain_name(name), value, percent(value, 0), "other" if is_bad else "model")
            for name, value, is_bad in rows.select("category_id", share, flag).iter_rows()
        ]
        legend = [("model", "within its limit"), ("other", "beyond its limit")]
        return Figure(svg.bars(bars, title, label_width=210), title, origin, legend=legend)

    return Figures(
        [
            drawn("main_share", "is_main_too_large", "Share of the main supplier, the largest categories"),
            drawn(
                "backup_share", "is_backup_too_small", "What the others could ship, the largest categories"
            ),
        ]
    )


def _leaning(leaning: pl.DataFrame, origin: Origin) -> list[Block]:
    if leaning.is_empty():
        return []
    rows = leaning.sort("units_per_day", "category_id", descending=[True, False]).head(_ROWS)
    table = Table(
        [
            Column("category", True),
            Column("units a day"),
            Column("main supplier", True),
            Column("its share"),
            Column("others could ship"),
            Column("new suppliers to be tried for"),
            Column("units to move"),
        ],
        [
            [
                plain_name(row["category_id"]),
                decimal(row["units_per_day"], 1),
                row["main_supplier_id"],
                percent(row["main_share"]),
                percent(row["backup_share"]),
                percent(row["trial_share"]),
                percent(row["moved_share"]),
            ]
            for row in rows.iter_rows(named=True)
        ],
        f"The {count(rows.height)} largest categories that lean on one supplier, of {count(leaning.height)}",
        origin,
    )
    return [table]


def _failures(evidence: Evidence, suppliers: pl.DataFrame, origin: Origin) -> list[Block]:
    losing = suppliers.filter(pl.col("lost_units") > 0)
    if losing.is_empty():
        return []
    rows = losing.sort("lost_sales_cents", "supplier_id", descending=[True, False]).head(_ROWS)
    table = Table(
        [
            Column("supplier", True),
            Column("skus"),
            Column("units lost"),
            Column("of its units"),
            Column("sales lost"),
            Column("extra cost"),
            Column("days later"),
            Column("short on day"),
        ],
        [
            [
                row["supplier_id"],
                count(row["skus"]),
                decimal(row["lost_units"], 0),
                percent(row["lost_units"] / row["units"]),
                amount(row["lost_sales_cents"], evidence.currency),
                amount(row["extra_cost_cents"], evidence.currency),
                NOTHING if row["extra_days"] is None else decimal(row["extra_days"], 1),
                NOTHING if row["days_until_short"] is None else count(row["days_until_short"]),
            ]
            for row in rows.iter_rows(named=True)
        ],
        f"What if a supplier fails tomorrow for 28 days: the {count(rows.height)} that lose most sales, "
        f"of {count(losing.height)}",
        origin,
    )
    return [table]
