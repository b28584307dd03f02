"""Agents and merchants: the places of the newest month that is over, as wide as chance makes them."""

from __future__ import annotations

import polars as pl

from pipelines.report import svg
from pipelines.report.blocks import Block, Facts, Figure, Note, Section
from pipelines.report.evidence import Evidence
from pipelines.report.formats import amount, count
from pipelines.report.origins import Origin

_ROWS = 12
_REACH = 1.96
"""Standard errors to each side of a 95% interval."""
_BASES = {"settled": "net sales settled", "orders": "net sales of orders"}


def section(evidence: Evidence) -> Section:
    """Who sold most, and how sure its place is."""
    origin = evidence.origins.of("orders", "agents")
    return Section(
        "parties",
        "Agents and merchants",
        "A place is told as the places that chance leaves open: most have few buyers, and one more or less "
        "moves them. Peers share level, region and time since joining, as far as there are five of them.",
        origin,
        _blocks(evidence, origin),
    )


def _blocks(evidence: Evidence, origin: Origin) -> list[Block]:
    published = evidence.scores("party_reviews")
    over = None if published is None else published.filter("is_whole").collect()
    if over is None or over.is_empty():
        return [Note("No month of an agent or a merchant is over yet.", is_gap=True)]
    newest = over.filter(pl.col("month_start_on") == pl.col("month_start_on").max())
    month = newest["month_start_on"][0]
    facts = Facts(
        [
            (
                kind,
                count(of_kind.height),
                f"{count(of_kind['rank'].count())} ranked, {count(of_kind.filter(order_count=0).height)} "
                "sold nothing",
            )
            for kind, of_kind in (
                ("Agents", newest.filter(party_type="agent")),
                ("Merchants", newest.filter(party_type="merchant")),
            )
        ]
    )
    figures = [
        _ranking(kind, of_kind, f"{month:%Y-%m}", evidence.currency, origin)
        for kind in ("agent", "merchant")
        if not (of_kind := newest.filter(pl.col("rank").is_not_null(), party_type=kind)).is_empty()
    ]
    few = [] if figures else [Note(f"In {month:%Y-%m} nobody has five peers, so nobody is ranked.")]
    return [facts, *figures, *few]


def _ranking(kind: str, rows: pl.DataFrame, month: str, currency: str, origin: Origin) -> Figure:
    basis = _BASES[rows["basis"][0]]
    title = f"{kind.capitalize()}s of {month} by {basis}, with 95% intervals"
    dots = [
        svg.Dot(
            row["party_id"],
            row["ranked_cents"] / 100,
            (row["ranked_cents"] - _REACH * row["error_cents"]) / 100,
            (row["ranked_cents"] + _REACH * row["error_cents"]) / 100,
            f"place {row['rank']} ({row['rank_low']} to {row['rank_high']}) of {row['peers']}",
            "model",
        )
        for row in rows.sort("ranked_cents", "party_id", descending=[True, False])
        .head(_ROWS)
        .iter_rows(named=True)
    ]
    drawn = svg.dots(
        dots, title, width=svg.WIDE, label_width=250, zero=True,
        tick_text=lambda value: amount(round(value * 100), currency),
    )  # fmt: skip
    return Figure(
        drawn,
        title,
        origin,
        f"The {len(dots)} with the most sales of {rows.height} that are ranked; each place is one among the "
        "own peers.",
    )
