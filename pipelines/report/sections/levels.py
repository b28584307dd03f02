"""Levels of members: how many are on each, who moved in a month, what their coupons cost."""

from __future__ import annotations

from typing import Any

from pipelines.report.blocks import Block, Column, Facts, Note, Section, Table
from pipelines.report.evidence import Evidence
from pipelines.report.formats import NOTHING, amount, count
from pipelines.report.origins import Origin
from pipelines.stores.members import MONTH_DAYS, REPORT


def section(evidence: Evidence) -> Section:
    """Members by level, and what their levels cost."""
    told = evidence.lake.read_report(REPORT) or {"levels": []}
    origin = evidence.origins.of("orders", "events")
    return Section(
        "levels",
        "Members and their levels",
        "Growth value comes from settled spend and interactions of a window of days. Up goes who reaches a "
        "level, at once; down who is still below it when the period and the days of grace are over, and who "
        "was told.",
        origin,
        _blocks(evidence, told["levels"], origin),
    )


def _blocks(evidence: Evidence, levels: list[dict[str, Any]], origin: Origin) -> list[Block]:
    if not levels:
        return [
            Note(
                "No programme of members is in force. POST /v1/member-programmes keeps one as a draft; "
                "another person puts it into force.",
                is_gap=True,
            )
        ]
    sums = {name: sum(level[name] for level in levels) for name in levels[0] if name in _SUMMED}
    blocks: list[Block] = [
        Facts(
            [
                ("Members", count(sums["members"]), "with growth, on every level"),
                ("Went up", count(sums["up"]), f"within {MONTH_DAYS} days"),
                ("Went down", count(sums["down"]), f"within {MONTH_DAYS} days"),
                ("At risk", count(sums["at_risk"]), "below their level near its end"),
                (
                    "Coupons of levels",
                    amount(sums["cost_cents"], evidence.currency),
                    "taken off orders that stand",
                ),
            ]
        )
    ]
    if sums["not_told"]:
        blocks.append(
            Note(
                f"Members at risk whom nobody told: {count(sums['not_told'])}. They keep their level until "
                "the journey level_at_risk or a person tells them.",
                is_gap=True,
            )
        )
    return [*blocks, _table(levels, evidence.currency, origin)]


_SUMMED = ("members", "up", "down", "at_risk", "not_told", "cost_cents")


def _table(levels: list[dict[str, Any]], currency: str, origin: Origin) -> Table:
    columns = [
        Column("level", True), Column("from growth"), Column("members"), Column("at risk"), Column("joined"),
        Column("came up"), Column("came down"), Column("coupons given"), Column("coupons used"),
        Column("taken off"),
    ]  # fmt: skip
    rows = [
        [
            level["level"],
            NOTHING if level["from_growth"] is None else count(level["from_growth"]),
            count(level["members"]),
            count(level["at_risk"]),
            count(level["joined"]),
            count(level["up"]),
            count(level["down"]),
            count(level["coupons"]),
            count(level["redeemed"]),
            amount(level["cost_cents"], currency),
        ]
        for level in levels
    ]
    return Table(
        columns,
        rows,
        f"Levels of members; moves of {MONTH_DAYS} days, coupons since the beginning, money in {currency}",
        origin,
    )
