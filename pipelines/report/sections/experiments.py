"""Experiments: what was tried on whom, and what came of it, by arm."""

from __future__ import annotations

from typing import Any

from pipelines.report.blocks import Block, Column, Note, Section, Table
from pipelines.report.evidence import Evidence
from pipelines.report.formats import NOTHING, amount, count, decimal, percent
from pipelines.report.origins import Origin
from pipelines.stores.experiments import REPORT

_MOST = 40
_WORDS = {"better": "better", "worse": "worse", "not_yet": "not yet", "blocked": "blocked"}
_METRICS = {
    "ordered": "share that ordered",
    "returned": "share that returned something",
    "spend_cents": "spend of a unit",
    "margin_cents": "margin of a unit",
    "units": "units sold",
}
_SURFACES = {
    "recommendations": "recommended lists",
    "prices": "published prices",
    "coupons": "coupons of a programme",
}


def section(evidence: Evidence) -> Section:
    """Each arm against the first, with its interval."""
    told = evidence.lake.read_report(REPORT) or {"experiments": []}
    origin = evidence.origins.of("orders")
    return Section(
        "experiments",
        "What experiments found",
        "Consumers, skus or merchants are drawn into arms by a hash; only units on which an arm acted count.",
        origin,
        _blocks(evidence, told["experiments"], origin),
    )


def _blocks(evidence: Evidence, experiments: list[dict[str, Any]], origin: Origin) -> list[Block]:
    if not experiments:
        return [
            Note(
                "No experiment runs or stopped lately. POST /v1/experiments keeps one as a draft; another "
                "person lets it start.",
                is_gap=True,
            )
        ]
    rows = [
        row
        for one in experiments
        for found in (one["metric"], one["guardrail"])
        if found is not None
        for row in _rows(evidence, one, found)
    ]
    blocked = sum(one["metric"]["is_blocked"] for one in experiments)
    notes: list[Block] = []
    if blocked:
        notes.append(
            Note(
                f"In {count(blocked)} of {count(len(experiments))} experiments the exposed units do not fit "
                "the shares: nothing is said of them.",
                is_gap=True,
            )
        )
    table = Table(
        [
            Column("experiment", True),
            Column("on", True),
            Column("measured by", True),
            Column("arm", True),
            Column("exposed"),
            Column("measured"),
            Column("mean"),
            Column("against the first arm"),
            Column("95% interval"),
            Column("verdict", True),
        ],
        rows[:_MOST],
        f"Arms of {count(len(experiments))} experiments; the interval of those that run holds at every look",
        origin,
    )
    return [*notes, table]


def _rows(evidence: Evidence, experiment: dict[str, Any], found: dict[str, Any]) -> list[list[str]]:
    compared = {one["arm"]: one for one in found["compared"]}
    always = "always_" if experiment["state"] == "running" else ""
    rows = []
    for arm in found["arms"]:
        against = compared.get(arm["name"])
        rows.append(
            [
                experiment["experiment_id"],
                _SURFACES[experiment["surface"]],
                _METRICS[found["metric"]],
                arm["name"],
                count(arm["exposed"]),
                count(arm["measured"]),
                NOTHING if arm["mean"] is None else _value(evidence, found["metric"], arm["mean"]),
                NOTHING if against is None else _value(evidence, found["metric"], against["difference"]),
                NOTHING
                if against is None
                else " .. ".join(
                    _value(evidence, found["metric"], against[f"{always}{end}"]) for end in ("low", "high")
                ),
                "blocked" if found["is_blocked"] else NOTHING if against is None else _WORDS[against["word"]],
            ]
        )
    return rows


def _value(evidence: Evidence, metric: str, value: float) -> str:
    if metric in ("ordered", "returned"):
        return percent(value, 2)
    return decimal(value, 2) if metric == "units" else amount(round(value), evidence.currency)
