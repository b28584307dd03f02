"""The run itself: headline and verdicts, time and memory by step, what the API answered."""

from __future__ import annotations

import json
from typing import Any

from pipelines.report import svg
from pipelines.report.blocks import Block, Column, Facts, Figure, Figures, Note, Section, Table
from pipelines.report.evidence import FAMILIES, Evidence
from pipelines.report.formats import (
    NOTHING,
    count,
    day,
    decimal,
    duration,
    is_number,
    memory,
    moment,
    shortened,
    signed_percent,
)
from pipelines.report.origins import Origin

_BODY_CHARACTERS = 420


def headline(evidence: Evidence) -> Section:
    """Version, time range, cost and verdicts."""
    summary, manifest = evidence.summary, evidence.manifest
    received = sum(report.received for report in evidence.ingest)
    quarantined = sum(report.quarantined for report in evidence.ingest)
    orders = next((report for report in evidence.ingest if report.table == "orders"), None)
    data_from, data_to = (orders.first_time, orders.last_time) if orders else (None, None)
    if manifest is not None:
        data_from, data_to = manifest.data_from, manifest.data_to
    blocks: list[Block] = [
        Facts(
            [
                ("Published version", _version(summary), _tables_and_rows(summary)),
                ("Orders from", day(data_from), f"to {day(data_to)}, UTC days"),
                ("As of", moment(evidence.as_of), "business time of every score"),
                ("Currency", evidence.currency, "every amount below"),
                ("Rows received", count(received), f"{count(quarantined)} quarantined"),
                ("Wall time", duration(summary.get("wall_s")), "the whole run"),
                ("Peak memory", memory(summary.get("peak_rss_mb")), "all processes together"),
                ("Run", str(summary.get("run_id") or NOTHING)[:8], moment(summary.get("started_at"))),
            ]
        )
    ]
    failed = [*(summary.get("failed") or {}), *(summary.get("failed_checks") or [])]
    if failed:
        blocks.append(Note(f"Not passed: {'; '.join(failed)}.", is_gap=True))
    blocks += _verdicts(evidence)
    return Section(
        "headline",
        "The run in one view",
        "What was published, from which data, at what cost, and which models earned the right to serve.",
        evidence.origins.of_all(),
        blocks,
    )


def _version(summary: dict[str, Any]) -> str:
    published = summary.get("published") or []
    return str(published[0]["version"]) if published else "none"


def _tables_and_rows(summary: dict[str, Any]) -> str:
    published = summary.get("published") or []
    if not published:
        return "nothing serves yet"
    return f"{count(sum(table['rows'] for table in published))} rows in {len(published)} tables"


def _verdicts(evidence: Evidence) -> list[Block]:
    """One row a model, and its lift over the best simple rule as a dot with its interval."""
    rows, items, kinds, notes = [], [], [], []
    for family in FAMILIES:
        report = evidence.models[family]
        if not report["models"]:
            notes.append(Note(f"{family}: {report.get('note') or 'no model was trained yet'}.", is_gap=True))
        for model in report["models"]:
            kind = "model" if model["promoted"] else "other"
            kinds.append(kind)
            rows.append(
                [
                    model["name"],
                    model["metric"],
                    decimal(model["value"]),
                    model["baseline"],
                    decimal(model["baseline_value"]),
                    "serves" if model["promoted"] else "refused",
                    str(model.get("reason", "")),
                ]
            )
            if (relative := _relative_lift(model)) is not None:
                low, middle, high = relative
                text = f"{signed_percent(middle)} [{signed_percent(low)}, {signed_percent(high)}]"
                items.append(svg.Dot(model["name"], middle, low, high, text, kind))
    blocks: list[Block] = list(notes)
    origin = evidence.origins.of("orders", "order_lines", "products", "promotions")
    legend = [("model", "passed the gate and serves"), ("other", "refused; the best simple rule serves")]
    if items:
        blocks.append(
            Figure(
                svg.dots(
                    items,
                    "Lift of each model over its best simple rule",
                    width=svg.WIDE,
                    label_width=190,
                    zero=True,
                    tick_text=lambda value: signed_percent(value) if value else "0",
                ),
                "Lift over the best simple rule, relative to that rule's value, with its 95% interval",
                origin,
                "Above 0 is better for every metric. Paired bootstrap on rolling test windows; a model is "
                "promoted only when its interval lies above 0.",
                legend=legend,
            )
        )
    if rows:
        columns = ["model", "metric", "value", "best simple rule", "its value", "verdict", "gate"]
        blocks.append(
            Table(
                [Column(title, title not in ("value", "its value")) for title in columns],
                rows,
                "Verdicts of the promotion gate",
                origin,
                row_kinds=kinds,
            )
        )
    if trainings := evidence.summary.get("trainings"):
        blocks.append(_trainings(trainings, origin))
    return blocks


def _trainings(trainings: list[dict[str, Any]], origin: Origin) -> Table:
    """When each family was trained, and when it is next."""
    titles = [
        "family",
        "trained",
        "order lines",
        "orders until",
        "next due with orders of",
        "or at order lines",
    ]
    return Table(
        [Column(title, "lines" not in title) for title in titles],
        [
            [
                training["family"],
                training["at"][:10],
                count(training["lines"]),
                training["newest_on"] or NOTHING,
                training["due_on"] or NOTHING,
                count(training["due_lines"]),
            ]
            for training in trainings
        ],
        "Trainings",
        origin,
        "New orders are scored with the models that serve; other code or settings train at once, and so "
        "do the weekly job, drift and a forced run.",
    )


def _relative_lift(model: dict[str, Any]) -> tuple[float, float, float] | None:
    base, lift = model["baseline_value"], model.get("lift")
    if not lift or not is_number(base) or base == 0 or not all(is_number(value) for value in lift):
        return None
    low, middle, high = (value / abs(base) for value in lift)
    return low, middle, high


def cost(evidence: Evidence) -> Section:
    """Seconds and resident memory of every step that did work."""
    steps = evidence.summary.get("steps") or []
    origin = evidence.origins.of_all()
    blocks: list[Block] = []
    if steps:
        blocks.append(
            Figures(
                [
                    Figure(
                        svg.bars(
                            [
                                svg.Bar(step["name"], step["wall_s"], duration(step["wall_s"]), "model")
                                for step in steps
                            ],
                            "Wall time by step",
                            label_width=200,
                        ),
                        "Wall time, seconds",
                        origin,
                    ),
                    Figure(
                        svg.bars(
                            [
                                svg.Bar(
                                    step["name"], step["peak_rss_mb"], memory(step["peak_rss_mb"]), "other"
                                )
                                for step in steps
                            ],
                            "Peak memory by step",
                            label_width=200,
                        ),
                        "Peak resident memory, MB",
                        origin,
                        "The process with its children while the step ran, what earlier steps left included.",
                    ),
                ]
            )
        )
        worked = sum(step["wall_s"] for step in steps)
        blocks.append(
            Note(
                f"{count(len(steps))} steps worked for {duration(worked)} of a run of "
                f"{duration(evidence.summary.get('wall_s'))}; the rest is starting, checks and questions. "
                "Steps whose inputs, code and settings were unchanged are not shown: their results were kept."
            )
        )
    else:
        blocks.append(Note("No step had anything new to do: every result was kept.", is_gap=True))
    return Section("cost", "Time and memory", "What each step took on this machine.", origin, blocks)


def api(evidence: Evidence) -> Section:
    """The requests that the run asked the running API, with status, time and the shortened answer."""
    answers = evidence.summary.get("api") or []
    origin = evidence.origins.of_all()
    blocks: list[Block] = []
    if answers:
        has_body = any("body" in answer for answer in answers)
        columns = [Column("request", True), Column("status"), Column("ms")]
        rows = []
        for answer in answers:
            row = [answer["request"], str(answer["status"]), decimal(answer["ms"], 1)]
            if has_body:
                row.append(_body(answer.get("body")))
            rows.append(row)
        if has_body:
            columns.append(Column("answer, shortened", True))
        blocks.append(
            Table(
                columns,
                rows,
                "Questions to the running API, in order",
                origin,
                "One request each, so the first of a kind includes its warm-up.",
                row_kinds=["model" if answer["status"] < 400 else "quarantined" for answer in answers],
            )
        )
    else:
        blocks.append(Note("The API was not asked in this run.", is_gap=True))
    return Section(
        "api", "What the API answers", "The published version, as a storefront sees it.", origin, blocks
    )


def _body(body: object) -> str:
    if body is None:
        return NOTHING
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, default=str)
    return shortened(text, _BODY_CHARACTERS)
