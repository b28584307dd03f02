"""Channels: what tests say that they cause, what models of attribution credit, the way to a second order."""

from __future__ import annotations

import polars as pl

from models.attribution.credits import MODELS, UNATTRIBUTED
from pipelines.channel_credits import CREDITS_KEY, EFFECTS_KEY
from pipelines.currencies import minor_digits
from pipelines.report import svg
from pipelines.report.blocks import Block, Column, Facts, Figure, Note, Section, Table
from pipelines.report.evidence import Evidence
from pipelines.report.formats import NOTHING, amount, count, percent, plain_name
from pipelines.report.origins import Origin

_ROWS = 12
_TITLES = {"first": "first touch", "last": "last touch"}
_MEASURED = ("holdout", "geo")
_STEPS = ("reached", "clicked", "known", "consented", "bought", "bought_again")


def section(evidence: Evidence) -> Section:
    """Effects first, then credits side by side, then the funnel."""
    origin = evidence.origins.of("touches", "messages", "orders", "order_lines")
    return Section(
        "channels",
        "Marketing channels",
        "Models of attribution share revenue among the channels that touched a consumer before an order: "
        "they describe. What a channel causes is told by a hold-out or a geo test only.",
        origin,
        _blocks(evidence, origin),
    )


def _blocks(evidence: Evidence, origin: Origin) -> list[Block]:
    if not evidence.lake.derived_path(CREDITS_KEY).exists():
        return [Note("Revenue was not shared among channels yet.", is_gap=True)]
    credits = evidence.lake.get(CREDITS_KEY)
    effects = evidence.lake.get(EFFECTS_KEY)
    sums = credits.group_by("channel").agg(
        pl.col("order_id").n_unique().alias("orders"),
        *(pl.col("credit_cents").filter(pl.col("model") == model).sum().alias(model) for model in MODELS),
    )
    touched = evidence.channels()
    rows = touched.join(sums, on="channel", how="left") if touched is not None else sums.clear()
    if rows.filter(pl.col("channel") != UNATTRIBUTED).is_empty():
        return [Note("No touch and no message is known: no channel stands before an order.", is_gap=True)]
    rows = rows.join(effects, on="channel", how="left").sort(
        pl.col("channel") == UNATTRIBUTED, "touches", "channel", descending=[False, True, False]
    )
    return [
        _facts(rows, evidence.currency),
        *_effects(rows, evidence.currency, origin),
        _side_by_side(rows, evidence.currency, origin),
        *_funnel(evidence, origin),
    ]


def _facts(rows: pl.DataFrame, currency: str) -> Facts:
    revenue = int(rows["last"].sum())
    nobody = int(rows.filter(pl.col("channel") == UNATTRIBUTED)["last"].sum())
    measured = rows.filter(pl.col("evidence").is_in(_MEASURED)).height
    channels = rows.height - 1
    return Facts(
        [
            ("channels", count(channels), "with a touch or a message"),
            ("measured by a test", count(measured), f"of {count(channels)} channels"),
            (
                "touched before",
                percent((revenue - nobody) / revenue if revenue else None),
                "of the revenue, whoever caused it",
            ),
            ("revenue shared", amount(revenue, currency), f"{currency}, to the smallest unit by every model"),
        ]
    )


def _effects(rows: pl.DataFrame, currency: str, origin: Origin) -> list[Block]:
    measured = rows.filter(pl.col("evidence").is_in(_MEASURED))
    if measured.is_empty():
        return [
            Note(
                "No channel has a finished test: what channels cause is not known. A test is declared by "
                "POST /v1/channel-tests before it begins.",
                is_gap=True,
            )
        ]
    unit = 10 ** minor_digits(currency)
    dots = [
        svg.Dot(
            plain_name(row["channel"]),
            row["incremental_cents"] / unit,
            row["low_cents"] / unit,
            row["high_cents"] / unit,
            amount(row["incremental_cents"], currency),
            "model" if row["low_cents"] > 0 else "other",
        )
        for row in measured.iter_rows(named=True)
    ]
    return [
        Figure(
            svg.dots(dots, "Revenue that channels caused"),
            "Revenue of the test's days that would not have come without the channel, with its 95% interval",
            origin,
            legend=[("model", "surely more than nothing"), ("other", "may be nothing")],
        )
    ]


def _side_by_side(rows: pl.DataFrame, currency: str, origin: Origin) -> Table:
    shown = pl.concat([rows.head(_ROWS), rows.tail(1)]).unique(maintain_order=True)

    def effect(row: dict[str, object]) -> str:
        if row["evidence"] not in _MEASURED:
            return (
                plain_name(str(row["evidence"] or "not_tested"))
                if row["channel"] != UNATTRIBUTED
                else NOTHING
            )
        middle, low, high = (
            amount(row[name], currency)  # type: ignore[arg-type]
            for name in ("incremental_cents", "low_cents", "high_cents")
        )
        return f"{middle} ({low} to {high})"

    return Table(
        [
            Column("channel", True),
            Column(f"caused, {currency} (95% interval)", True),
            Column("times touched"),
            Column("spend"),
            Column("touched orders"),
            *(Column(_TITLES.get(model, plain_name(model))) for model in MODELS),
        ],
        [
            [
                plain_name(row["channel"]),
                effect(row),
                count(row["touches"]),
                amount(row["spend_cents"], currency),
                count(row["orders"] or 0),
                *(amount(row[model] or 0, currency) for model in MODELS),
            ]
            for row in shown.iter_rows(named=True)
        ],
        f"Channels side by side, {currency}: what tests say, and what each model credits",
        origin,
        "Every model shares the same revenue. They credit whoever stands before an order, also of those who "
        "would have bought anyway.",
    )


def _funnel(evidence: Evidence, origin: Origin) -> list[Block]:
    months = evidence.public_funnel()
    if months is None or months.is_empty():
        return []
    rows = (
        months.group_by("channel")
        .agg(pl.col(*_STEPS).sum())
        .sort("reached", "channel", descending=[True, False])
        .head(_ROWS)
    )
    return [
        Table(
            [Column("reached first by", True), *(Column(plain_name(step)) for step in _STEPS)],
            [
                [plain_name(row["channel"]), *(count(row[step]) for step in _STEPS)]
                for row in rows.iter_rows(named=True)
            ],
            "From public channels to a second order: persons by the channel that reached them first",
            origin,
        )
    ]
