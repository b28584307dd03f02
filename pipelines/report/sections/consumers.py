"""Consumers: who to wake, what to remind them of, and how their tags are distributed."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
from markupsafe import Markup

from pipelines.currencies import minor_digits
from pipelines.report import svg
from pipelines.report.blocks import Block, Column, Facts, Figure, Figures, Note, Section, Table
from pipelines.report.evidence import Evidence
from pipelines.report.formats import amount, count, decimal, money, percent, plain_name
from pipelines.report.origins import MEANING, Origin
from pipelines.report.scales import bin_counts, bin_edges

_ROWS = 15
_VALUES = 9

_TAGS: dict[str, tuple[str, ...]] = {
    "lifecycle_stage": ("orders",),
    "rfm_segment": ("orders",),
    "recency_days": ("orders",),
    "net_spend_365d": ("orders",),
    "interpurchase_days_median": ("orders",),
    "discount_share_365d": ("order_lines",),
    "private_label_share": ("order_lines", "products"),
    "preferred_hour": ("orders",),
    "income_band": ("consumers",),
    "sessions_30d": ("events",),
    "late_delivery_rate_180d": ("shipments",),
    "gross_margin_365d": ("order_lines", "offers"),
}
"""Tags that are shown, and the tables they are computed from."""

_MONEY_TAGS = frozenset({"net_spend_365d", "gross_margin_365d"})


def wakeup(evidence: Evidence) -> Section:
    """The wake-up list with its control share, and the rebuy reminders."""
    origin = evidence.origins.of("orders", "order_lines", "consumers")
    return Section(
        "wakeup",
        "Wake-up list and rebuy reminders",
        "Dormant consumers by what would be lost with them. Controls are drawn before any other rule and get "
        "no offer, so that the effect of waking can be measured.",
        origin,
        [*_wakeup_blocks(evidence, origin), *_rebuy_blocks(evidence, origin)],
    )


def _wakeup_blocks(evidence: Evidence, origin: Origin) -> list[Block]:
    scores = evidence.scores("wakeup_list")
    frame = None if scores is None else scores.sort("rank", "consumer_id").collect()
    if frame is None or not frame.height:
        return [Note("wakeup_list: nobody is dormant, or the list has not been scored yet.", is_gap=True)]
    currency = evidence.currency
    controls = int(frame["is_control"].sum())
    offers = frame["offer_code"].count()
    reasons = (
        frame.select(pl.col("reason_codes").str.json_decode(pl.List(pl.String)))
        .explode("reason_codes", empty_as_null=False)
        .group_by("reason_codes")
        .agg(pl.len().alias("rows"))
        .sort("rows", "reason_codes", descending=[True, False])
    )
    dormant = frame["dormant_days"].cast(pl.Float64).to_numpy()
    edges, is_open = bin_edges(dormant)
    groups = {
        "model": frame.filter(~pl.col("is_control"))["dormant_days"],
        "wait": frame.filter("is_control")["dormant_days"],
    }
    return [
        Facts(
            [
                ("Dormant consumers", count(frame.height), "in the list"),
                ("Controls", percent(controls / frame.height), f"{count(controls)} get no offer"),
                ("Offers", count(offers), "consent given, within the cap"),
                ("High value", count(int(frame["is_high_value"].sum())), "over the yearly threshold"),
                (
                    "Expected value",
                    money(int(frame["expected_value_cents"].sum()), currency),
                    "of the whole list",
                ),
            ]
        ),
        Figures(
            [
                Figure(
                    svg.histogram(
                        edges,
                        {
                            kind: bin_counts(days.cast(pl.Float64).to_numpy(), edges)
                            for kind, days in groups.items()
                        },
                        "Consumers by days since the last order",
                        opens_high=is_open,
                        width=svg.HALF,
                        height=190,
                    ),
                    "Consumers of the list by days since the last order",
                    origin,
                    legend=[("model", "may get an offer"), ("wait", "control")],
                ),
                Figure(
                    svg.bars(
                        [
                            svg.Bar(plain_name(code), rows, count(rows), "model")
                            for code, rows in reasons.iter_rows()
                        ],
                        "Reasons",
                        label_width=190,
                    ),
                    "Consumers by reason code; most have several",
                    origin,
                ),
            ]
        ),
        _wakeup_table(frame, currency, origin),
    ]


def _wakeup_table(frame: pl.DataFrame, currency: str, origin: Origin) -> Table:
    rows = frame.head(_ROWS)
    return Table(
        [
            Column("rank"),
            Column("consumer", True),
            Column("merchant", True),
            Column("dormant days"),
            Column("P(churn)"),
            Column(f"expected value, {currency}"),
            Column("offer", True),
            Column("reasons", True),
        ],
        [
            [
                count(row["rank"]),
                row["consumer_id"],
                row["merchant_id"],
                count(row["dormant_days"]),
                decimal(row["churn_probability"], 3),
                amount(row["expected_value_cents"], currency),
                _offer(row, currency),
                ", ".join(plain_name(code) for code in json.loads(row["reason_codes"])),
            ]
            for row in rows.iter_rows(named=True)
        ],
        f"The first {count(rows.height)} of {count(frame.height)}",
        origin,
        row_kinds=["wait" if control else "model" for control in rows["is_control"]],
        legend=[("model", "may get an offer"), ("wait", "control")],
    )


def _offer(row: dict[str, object], currency: str) -> str:
    if row["offer_code"] is None:
        return "none: control" if row["is_control"] else "none"
    value, threshold = row["offer_value_cents"], row["offer_threshold_cents"]
    terms = f"{amount(value, currency)} off" if isinstance(value, int) else ""
    if isinstance(threshold, int):
        terms += f" from {amount(threshold, currency)}"
    return f"{row['offer_code']}: {terms}" if terms else str(row["offer_code"])


def _rebuy_blocks(evidence: Evidence, origin: Origin) -> list[Block]:
    scores = evidence.scores("rebuy_reminders")
    frame = None if scores is None else scores.collect()
    if frame is None or not frame.height:
        return [Note("rebuy_reminders: no reminder has been scored yet.", is_gap=True)]
    probability = frame["rebuy_probability"].to_numpy()
    edges = [n / 20 for n in range(21)]
    kinds = (
        frame.group_by("category_id")
        .agg(pl.len().alias("rows"), pl.col("rebuy_probability").mean())
        .sort("rows", "category_id", descending=[True, False])
        .head(12)
    )
    return [
        Note(
            f"Rebuy reminders: {count(frame.height)} for {count(frame['consumer_id'].n_unique())} consumers, "
            f"{count(frame['category_id'].n_unique())} product types."
        ),
        Figures(
            [
                Figure(
                    svg.histogram(
                        edges,
                        {"model": bin_counts(probability, edges)},
                        "Reminders by probability of buying again within 14 days",
                        width=svg.HALF,
                        height=190,
                    ),
                    "Reminders by probability of buying again within 14 days",
                    origin,
                ),
                Figure(
                    svg.bars(
                        [
                            svg.Bar(
                                row["category_id"].removeprefix("l3-").split("/")[-1].replace("-", " "),
                                row["rows"],
                                f"{count(row['rows'])}, p {decimal(row['rebuy_probability'], 2)}",
                                "model",
                            )
                            for row in kinds.iter_rows(named=True)
                        ],
                        "Product types reminded of most",
                        label_width=210,
                    ),
                    "Product types reminded of most, with their mean probability p",
                    origin,
                ),
            ]
        ),
    ]


def tags(evidence: Evidence) -> Section:
    """Small multiples of a dozen tags."""
    frame = evidence.tags
    shown = [name for name in _TAGS if frame is not None and name in frame.columns]
    tables = list(dict.fromkeys(table for name in shown or _TAGS for table in _TAGS[name]))
    blocks: list[Block] = []
    if frame is None or not frame.height or not shown:
        blocks.append(Note("consumer_tags: no tag has been computed yet.", is_gap=True))
    else:
        figures = [_tag_figure(evidence, frame[name]) for name in shown]
        blocks = [
            Note(
                f"{count(frame.height)} consumers, {count(len(frame.columns) - 2)} tags; "
                f"{count(len(figures))} of them here, coloured by where their rows come from:"
            ),
            Figures(
                figures,
                legend=[(kind, MEANING[kind]) for kind in ("observed", "overlay", "both")],
                a_row=3,
            ),
        ]
    return Section(
        "tags",
        "Tag distributions",
        "What the profiles say about the consumers, as of business time.",
        evidence.origins.of(*tables),
        blocks,
    )


def _tag_figure(evidence: Evidence, values: pl.Series) -> Figure:
    """A histogram for numbers, bars for words; the share without a value below."""
    origin = evidence.origins.of(*_TAGS[values.name])
    kind = "other" if origin.kind == "none" else origin.kind
    known = values.drop_nulls()
    title = plain_name(values.name)
    missing = f"no value: {percent(values.null_count() / max(len(values), 1))}"
    if values.dtype.is_numeric():
        numbers = known.cast(pl.Float64).filter(known.cast(pl.Float64).is_finite()).to_numpy()
        if values.name in _MONEY_TAGS:
            numbers, title = numbers / 10 ** minor_digits(evidence.currency), f"{title}, {evidence.currency}"
        if not len(numbers):
            return Figure(Markup(), title, origin, "No consumer has a value.")
        edges, is_open = bin_edges(numbers)
        drawing = svg.histogram(edges, {kind: bin_counts(numbers, edges)}, title, opens_high=is_open)
        middle = decimal(float(np.median(numbers)), 2).removesuffix(".00")
        return Figure(drawing, title, origin, f"median {middle}; {missing}")
    words = (
        known.cast(pl.String).value_counts(sort=False).sort("count", values.name, descending=[True, False])
    )
    total = max(len(known), 1)
    items = [
        svg.Bar(plain_name(word), rows, percent(rows / total, 0), kind)
        for word, rows in words.head(_VALUES).iter_rows()
    ]
    more = f"; {count(words.height - _VALUES)} more values" if words.height > _VALUES else ""
    drawing = svg.bars(items, title, width=svg.THIRD, label_width=110)
    return Figure(drawing, title, origin, (missing if items else "No consumer has a value.") + more)
