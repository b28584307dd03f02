"""How well the recommendation and lifecycle models do beside the simple rules."""

from __future__ import annotations

import polars as pl

from pipelines.report import svg
from pipelines.report.blocks import Block, Figure, Figures, Note, Section
from pipelines.report.evidence import Evidence
from pipelines.report.formats import count, decimal, percent, plain_name
from pipelines.report.origins import Origin
from pipelines.report.sections import exploration, leaderboards


def recommendation(evidence: Evidence) -> Section:
    """Quality of both lanes against their simple rules, and what the published lists are made of."""
    origin = evidence.origins.of("orders", "order_lines", "products")
    blocks = _family(
        evidence,
        "recommendation",
        origin,
        metrics=("ndcg_at_10", "recall_at_10"),
        by_level="by test cut",
    )
    lists = evidence.scores("recommendations")
    lanes = (
        None
        if lists is None
        else lists.group_by("lane", "reason_code")
        .agg(pl.len().alias("rows"))
        .collect()
        .sort("rows", "lane", "reason_code", descending=[True, False, False])
    )
    if lists is None or lanes is None or not lanes.height:
        blocks.append(Note("No recommendation list has been scored yet.", is_gap=True))
    else:
        size = (
            lists.select(
                lists=pl.struct("merchant_id", "consumer_id").n_unique(),
                consumers=pl.col("consumer_id").n_unique(),
                skus=pl.col("sku_id").n_unique(),
            )
            .collect()
            .row(0)
        )
        total = int(lanes["rows"].sum())
        blocks.append(
            Figure(
                svg.bars(
                    [
                        svg.Bar(
                            f"{row['lane']}: {plain_name(row['reason_code'])}",
                            row["rows"],
                            f"{count(row['rows'])} ({percent(row['rows'] / total)})",
                            "model",
                        )
                        for row in lanes.iter_rows(named=True)
                    ],
                    "Published recommendations by lane and reason",
                    width=svg.WIDE,
                    label_width=210,
                ),
                "What the lists are made of: recommended skus by lane and reason",
                origin,
                f"{count(size[0])} lists for {count(size[1])} consumers, {count(size[2])} different skus.",
            )
        )
    blocks += exploration.blocks(evidence, origin)
    return Section(
        "recommendations",
        "Recommendation quality",
        "The repeat lane says what a consumer will buy again, the discovery lane what is new to them. Each "
        "stands beside its simple rules on the same test windows and consumers.",
        origin,
        blocks,
    )


def lifecycle(evidence: Evidence) -> Section:
    """Churn and rebuy against their simple rules, with calibration."""
    origin = evidence.origins.of("orders", "order_lines")
    blocks = _family(evidence, "lifecycle", origin, metrics=("auc", "average_precision"), by_level="by cut")
    for model in evidence.models["lifecycle"]["models"]:
        values = model.get("metrics") or {}
        facts = [
            f"{plain_name(name)} {decimal(values[name])}"
            for name in ("base_rate", "lightgbm_ece_pooled")
            if name in values
        ]
        if facts:
            blocks.append(
                Note(f"{model['name']}: {'; '.join(facts)} (ECE: calibration error, 0 is perfect).")
            )
    return Section(
        "lifecycle",
        "Lifecycle quality",
        "Churn: no order within 28 days. Rebuy: the same product type again within 14 days.",
        origin,
        blocks,
    )


def _family(
    evidence: Evidence, family: str, origin: Origin, *, metrics: tuple[str, ...], by_level: str
) -> list[Block]:
    """Dots and tables of each model of a family, or why there are none."""
    report = evidence.models[family]
    if not report["models"]:
        note = report.get("note") or "no model has been trained yet; the simple rule serves"
        return [Note(f"No leaderboard: {note}.", is_gap=True)]
    blocks: list[Block] = []
    for model in report["models"]:
        figures = [
            figure
            for metric in metrics
            if (figure := leaderboards.interval_figure(model, metric, origin)).svg
        ]
        if figures:
            blocks.append(Figures(figures, legend=leaderboards.LEGEND))
        tables = [
            leaderboards.system_table(model, f"{model['name']}: every metric", origin),
            leaderboards.level_table(
                model, model["metric"], f"{model['name']}: {plain_name(model['metric'])} {by_level}", origin
            ),
        ]
        blocks += [table for table in tables if table is not None]
    return blocks
