"""What was sold, by the warehouse's one definition: sales less returns, guests, and what was set aside."""

from __future__ import annotations

from typing import Any

import polars as pl

from pipelines.report.blocks import Block, Column, Facts, Note, Section, Table
from pipelines.report.evidence import Evidence
from pipelines.report.formats import amount, count, decimal, percent, plain_name
from pipelines.report.origins import Origin

_TABLES = ("orders", "order_lines")


def section(evidence: Evidence) -> Section:
    """Orders and revenue, returns, guests, kinds of goods, and orders that do not count."""
    origin = evidence.origins.of(*_TABLES)
    return Section(
        "sales",
        "What was sold",
        "An order counts when it is paid. Revenue is what was paid for its lines less what came back. "
        "Marts, tags and models read the same flags.",
        origin,
        _blocks(evidence, origin),
    )


def _blocks(evidence: Evidence, origin: Origin) -> list[Block]:
    orders = evidence.orders_by_state()
    if orders is None or not orders.height:
        return [Note("No order is in the warehouse.", is_gap=True)]
    counted = orders.filter(pl.col("state") == "paid").to_dicts()
    blocks: list[Block] = [
        _facts(counted[0], evidence.currency)
        if counted
        else Note("No order counts: none of them is paid.", is_gap=True),
        _kinds(evidence, origin),
    ]
    aside = orders.filter(pl.col("state") != "paid")
    return [*blocks, _aside(aside, evidence.currency, origin)] if aside.height else blocks


def _facts(paid: dict[str, Any], currency: str) -> Facts:
    return Facts(
        [
            ("orders that count", count(paid["sale_orders"]), "paid, with something sold"),
            ("revenue", amount(paid["net_sales_cents"], currency), f"{currency}, returns subtracted"),
            (
                "returns",
                amount(paid["returned_cents"], currency),
                f"{currency}, {percent(_share(paid['returned_cents'], paid['sold_cents']))} of what was sold",
            ),
            (
                "guests",
                percent(_share(paid["guest_orders"], paid["sale_orders"])),
                f"of the orders, {amount(paid['guest_cents'], currency)} {currency}",
            ),
        ]
    )


def _kinds(evidence: Evidence, origin: Origin) -> Table:
    kinds = evidence.sales_by_kind()
    rows = [] if kinds is None else kinds.to_dicts()
    return Table(
        [
            Column("kind of goods", True),
            Column("sale lines"),
            Column("return lines"),
            Column("units"),
            Column(f"revenue, {evidence.currency}"),
        ],
        [
            [
                plain_name(row["line_kind"]),
                count(row["sale_lines"]),
                count(row["return_lines"]),
                decimal(row["units"], 1),
                amount(row["net_sales_cents"], evidence.currency),
            ]
            for row in rows
        ],
        "Sales by what the goods are",
        origin,
        "Only merchandise is forecast, recommended and priced; money counts every kind.",
    )


def _aside(orders: pl.DataFrame, currency: str, origin: Origin) -> Table:
    return Table(
        [Column("state", True), Column("orders set aside"), Column(f"amount, {currency}")],
        [
            [plain_name(row["state"]), count(row["orders"]), amount(row["net_paid_cents"], currency)]
            for row in orders.to_dicts()
        ],
        "Set aside: orders that do not count",
        origin,
        "They are in core.fct_orders with is_counted false, and in no mart, tag or model.",
    )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
