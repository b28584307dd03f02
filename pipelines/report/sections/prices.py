"""Price suggestions: how many move and how far, and some of them with every step that made them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from pipelines.report import svg
from pipelines.report.blocks import Block, Column, Figure, Figures, Note, Section, Table
from pipelines.report.evidence import Evidence
from pipelines.report.formats import amount, count, decimal, percent, plain_name, signed_percent
from pipelines.report.origins import Origin
from pipelines.report.scales import bin_counts
from pipelines.report.sections.price_steps import sentence

NEVER_PUBLISHED = "never published"

_ACTIONS = {
    "publish": "published at once",
    "await_approval": "waits for the merchant's approval",
    "keep": "kept",
}
_KINDS = {"publish": "model", "await_approval": "wait", "keep": "other"}
_MOVES = (
    "sku_id",
    "merchant_id",
    "cost_cents",
    "list_price_cents",
    "price_cents",
    "floor_cents",
    "ceiling_cents",
    "printed_formula_cents",
    "elasticity",
    "pricing_mode",
    "action",
    "explanation",
)


@dataclass(frozen=True)
class _Story:
    """A kind of worked example: its heading and the rows that fit it."""

    heading: str
    fits: pl.Expr


_STEP = pl.col("explanation").str
_CURRENT = pl.coalesce(
    _STEP.extract(r'"current_cents": ?(\d+)').cast(pl.Int64), pl.col("list_price_cents")
).alias("current_cents")
"""The price in force, from which the move starts."""
_CHANGE = pl.col("price_cents") / _CURRENT - 1
_STORIES = (
    _Story("A rise that is published", (pl.col("action") == "publish") & (_CHANGE > 0)),
    _Story("A cut that is published", (pl.col("action") == "publish") & (_CHANGE < 0)),
    _Story(
        "A change that waits for approval",
        (pl.col("action") == "await_approval") & (pl.col("pricing_mode") != "fixed"),
    ),
    _Story(
        "Lifted by the floor",
        (pl.col("action") != "keep") & _STEP.contains(r'"step": ?"floor"'),
    ),
    _Story(
        "Held back by a rail",
        (pl.col("action") == "keep") & _STEP.contains(r'"step": ?"(?:dwell|change_budget)"'),
    ),
    _Story("Fixed by the merchant", (pl.col("action") == "keep") & (pl.col("pricing_mode") == "fixed")),
)


def section(evidence: Evidence) -> Section:
    """Histogram of changes, actions, worked examples."""
    origin = evidence.origins.of("order_lines", "products", "offers", "listings", "competitor_prices")
    return Section(
        "prices",
        "Price moves and their explanation",
        "A suggestion starts from the cost, follows the market index and the demand's elasticity, and then "
        "passes guard rails: law, floor, ceiling, step limits, dwell, rounding, change budget.",
        origin,
        _blocks(evidence, origin),
    )


def _blocks(evidence: Evidence, origin: Origin) -> list[Block]:
    scores = evidence.scores("prices")
    actions = (
        None
        if scores is None
        else scores.group_by("action", "pricing_mode").agg(pl.len().alias("rows")).collect()
    )
    if scores is None or actions is None or not actions.height:
        return [
            Note("prices: no price has been suggested. Listings and offers with a cost are needed.", True)
        ]
    return [
        Figures([_histogram(scores, origin), _action_figure(actions, origin)]),
        *_examples(evidence, scores, origin),
        *_formula(scores, evidence.currency, origin),
    ]


def _histogram(scores: pl.LazyFrame, origin: Origin) -> Figure:
    moved = (
        scores.filter((pl.col("action") != "keep") & (pl.col("list_price_cents") > 0))
        .select("action", change=_CHANGE)
        .collect()
    )
    limit = _reach(moved["change"].to_numpy())
    edges = [n / 100 for n in range(-limit, limit + 1)]
    actions = [name for name in _ACTIONS if name != "keep"]
    stacks = {
        _KINDS[name]: bin_counts(moved.filter(pl.col("action") == name)["change"].to_numpy(), edges)
        for name in actions
    }
    beyond = moved.filter(pl.col("change").abs() > limit / 100).height
    title = "Listings by change of the price in force, in steps of one percent"
    return Figure(
        svg.histogram(
            edges,
            stacks,
            title,
            edge_text=lambda edge: signed_percent(edge, 0) if edge else "0",
            opens_low=True,
            opens_high=True,
            width=svg.HALF,
            height=220,
        ),
        title,
        origin,
        f"{count(moved.height)} listings move, {count(moved.filter(pl.col('change') > 0).height)} up and "
        f"{count(moved.filter(pl.col('change') < 0).height)} down; the end columns also hold the "
        f"{count(beyond)} that move by more than {limit}% because the floor lies above the price in force "
        "or the ceiling below it."
        if moved.height
        else "No listing moves.",
        legend=[(_KINDS[name], _ACTIONS[name]) for name in actions],
    )


def _reach(changes: np.ndarray[Any, np.dtype[np.float64]]) -> int:
    """Percent shown to either side: where nearly all changes lie, 6 at least and 20 at most."""
    if not len(changes):
        return 6
    return int(np.clip(np.ceil(100 * np.quantile(np.abs(changes), 0.9)) + 1, 6, 20))


def _action_figure(actions: pl.DataFrame, origin: Origin) -> Figure:
    total = int(actions["rows"].sum())
    rows = actions.sort("rows", "action", "pricing_mode", descending=[True, False, False])
    return Figure(
        svg.bars(
            [
                svg.Bar(
                    f"{_ACTIONS.get(row['action'], row['action'])}, mode {row['pricing_mode']}",
                    row["rows"],
                    f"{count(row['rows'])} ({percent(row['rows'] / total)})",
                    _KINDS.get(row["action"], "other"),
                )
                for row in rows.iter_rows(named=True)
            ],
            "Listings by action and pricing mode",
            label_width=270,
        ),
        "Listings by action and by the merchant's pricing mode",
        origin,
        f"{count(total)} listings have a suggestion.",
    )


def _examples(evidence: Evidence, scores: pl.LazyFrame, origin: Origin) -> list[Block]:
    """One worked example a story, by most steps, then largest capped move, then ids."""
    chosen: list[tuple[str, dict[str, Any]]] = []
    seen: set[str] = set()
    for story in _STORIES:
        rows = (
            scores.filter(story.fits & (pl.col("list_price_cents") > 0))
            .with_columns(
                n_steps=_STEP.count_matches('"step":', literal=True),
                size=_CHANGE.abs().clip(0, 0.2),
            )
            .sort(
                "n_steps",
                "size",
                "list_price_cents",
                "merchant_id",
                "sku_id",
                descending=[True, True, True, False, False],
            )
            .select(*_MOVES, _CURRENT)
            .head(len(_STORIES))
            .collect()
        )
        row = next((row for row in rows.iter_rows(named=True) if row["sku_id"] not in seen), None)
        if row is not None:
            seen.add(row["sku_id"])
            chosen.append((story.heading, row))
    titles = evidence.sku_titles(row["sku_id"] for _, row in chosen)
    currency = evidence.currency
    figures = [_example(heading, row, titles[row["sku_id"]], currency, origin) for heading, row in chosen]
    if not figures:
        return []
    return [
        Note(f"Worked examples, amounts in {currency}. Each row is one step from the price before it:"),
        Figures(
            figures,
            legend=[
                ("other", "cost"),
                ("raise", "step up"),
                ("cut", "step down"),
                ("model", "suggested price"),
                ("limit", "floor, list price, ceiling"),
            ],
            a_row=3,
        ),
    ]


def _example(heading: str, row: dict[str, Any], title: str, currency: str, origin: Origin) -> Figure:
    steps = json.loads(row["explanation"])
    moves = [svg.Move(plain_name(s["step"]), s["before_cents"], s["after_cents"]) for s in steps]
    name = f"{heading}: {title}, merchant {row['merchant_id']}, sku {row['sku_id']}"
    change = row["price_cents"] / row["current_cents"] - 1
    return Figure(
        svg.waterfall(
            ("cost", row["cost_cents"]),
            moves,
            ("price", row["price_cents"]),
            {"floor": row["floor_cents"], "list": row["list_price_cents"], "ceiling": row["ceiling_cents"]},
            name,
            value_text=lambda value: amount(value, currency),
        ),
        name,
        origin,
        f"{amount(row['current_cents'], currency)} → {amount(row['price_cents'], currency)} "
        f"({signed_percent(change)}): {_ACTIONS.get(row['action'], row['action'])}. "
        f"Elasticity {decimal(row['elasticity'], 2)}. "
        f"Printed formula {amount(row['printed_formula_cents'], currency)}: {NEVER_PUBLISHED}.",
        reasons=[sentence(step, currency) for step in steps],
    )


def _formula(scores: pl.LazyFrame, currency: str, origin: Origin) -> list[Block]:
    """The formula as printed beside the suggested price: evidence why it is not published."""
    rows = []
    for label, name, use in (
        ("printed formula", "printed_formula_cents", NEVER_PUBLISHED),
        ("suggested price", "price_cents", "published, or proposed"),
    ):
        value = pl.col(name)
        found = (
            scores.select(
                rows=value.count(),
                low=value.quantile(0.05),
                middle=value.median(),
                high=value.quantile(0.95),
                below_cost=(value < pl.col("cost_cents")).mean(),
                negative=(value < 0).mean(),
            )
            .collect()
            .row(0, named=True)
        )
        quantiles = [amount(found[quantile], currency) for quantile in ("low", "middle", "high")]
        shares = [percent(found[share]) for share in ("below_cost", "negative")]
        rows.append([label, count(found["rows"]), *quantiles, *shares, use])
    titles = ["listings", "5%", "median", "95%", "below cost", "below zero"]
    return [
        Table(
            [Column("price", True), *(Column(title) for title in titles), Column("use", True)],
            rows,
            f"The formula as printed beside the suggested price, {currency}",
            origin,
            f"The printed formula is computed for comparison only: {NEVER_PUBLISHED}.",
        )
    ]
