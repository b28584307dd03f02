"""Communities: who is in, what members buy and write, what promotions cost; nothing without one."""

from __future__ import annotations

from pipelines.report.blocks import Block, Column, Table
from pipelines.report.evidence import Evidence
from pipelines.report.formats import NOTHING, amount, count, percent
from pipelines.stores.communities import WEEKS

_MOST = 20


def blocks(evidence: Evidence) -> list[Block]:
    """The newest whole week of each community; empty without a community."""
    lake = evidence.lake
    if not lake.derived_path(WEEKS).exists():
        return []
    weeks = lake.get(WEEKS)
    days = weeks["week_on"].unique().sort(descending=True).to_list()
    if not days:
        return []
    day = days[1] if len(days) > 1 else days[0]
    shown = weeks.filter(weeks["week_on"] == day).sort("members", descending=True)
    return [
        Table(
            [
                Column("community", True), Column("members"), Column("joined"), Column("left"),
                Column("active"), Column("orders of members"), Column("net sales"), Column("margin"),
                Column("cost of promotions"), Column("texts"), Column("meant badly"),
            ],
            [_row(evidence, row) for row in shown.head(_MOST).iter_rows(named=True)],
            f"Communities in the week from {day.isoformat()}",
            evidence.origins.of("orders"),
            "Orders and texts of consumers who were members at that moment; the cost is what promotions of "
            "the community took off, whoever bears it.",
        )
    ]  # fmt: skip


def _row(evidence: Evidence, row: dict[str, int | str]) -> list[str]:
    texts = int(row["texts"])
    return [
        str(row["title"]),
        *(
            count(int(row[name]))
            for name in ("members", "joined", "left_members", "active_members", "orders")
        ),
        *(
            amount(int(row[name]), evidence.currency)
            for name in ("net_sales_cents", "margin_cents", "promotion_cost_cents")
        ),
        count(texts),
        percent(int(row["complaints"]) / texts) if texts else NOTHING,
    ]
