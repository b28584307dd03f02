"""Leaderboards as tables and dots: which system is the model, which is the simple rule to beat.

Leaderboard rows are `{"system", "metric", "value", "level"}`, with `low` and `high` where there is an
interval. Families share this form; what their numbers mean is said by the sections.
"""

from __future__ import annotations

import re
from typing import Any

from pipelines.report import svg
from pipelines.report.blocks import Column, Figure, Table
from pipelines.report.formats import NOTHING, count, decimal, is_number, plain_name
from pipelines.report.origins import Origin

Row = dict[str, Any]

LEGEND = [
    ("model", "the model that was judged"),
    ("rule", "the best simple rule"),
    ("other", "other systems"),
]


def headline_level(model: Row) -> str | None:
    """The level at which the gate decided: where its metric comes closest to the decision's value."""
    rows = [
        row for row in model["leaderboard"] if row["metric"] == model["metric"] and is_number(row["value"])
    ]
    if not rows:
        return None
    return str(min(rows, key=lambda row: abs(row["value"] - model["value"]))["level"])


def kinds(model: Row) -> dict[str, str]:
    """Each system's kind: `model`, `rule` (the one to beat) or `other`.

    The model stands under its registered name, or under a name of its own: then it is the system whose value
    at the gate's level is the decision's.
    """
    systems = list(dict.fromkeys(str(row["system"]) for row in model["leaderboard"]))
    found = dict.fromkeys(systems, "other")
    # A rule judged by its median stands on the leaderboard under its own name.
    baseline = str(model["baseline"])
    rule = baseline if baseline in found else baseline.removesuffix("_median")
    if rule in found:
        found[rule] = "rule"
    level = headline_level(model)
    own = [row for row in model["leaderboard"] if (row["metric"], row["level"]) == (model["metric"], level)]
    if model["name"] in found:
        found[model["name"]] = "model"
    elif own:
        found[str(min(own, key=lambda row: _distance(row["value"], model["value"]))["system"])] = "model"
    return found


def _higher_is_better(model: Row) -> bool:
    """Whether more is better: the lift is signed so that above 0 is better, the values are not."""
    lift = (model.get("lift") or [0.0, 0.0, 0.0])[1]
    return bool((model["value"] - model["baseline_value"]) * lift >= 0)


def _distance(value: float, target: float) -> float:
    return abs(value - target) if is_number(value) else float("inf")


def interval_figure(
    model: Row, metric: str, origin: Origin, width: int = svg.HALF, label_width: int = 150
) -> Figure:
    """Every system's value of a metric at the gate's level, best first, with its interval."""
    level, kind = headline_level(model), kinds(model)
    rows = [
        row
        for row in _distinct(model["leaderboard"])
        if row["metric"] == metric and row["level"] == level and is_number(row["value"])
    ]
    sign = -1 if _higher_is_better(model) else 1
    rows.sort(key=lambda row: (sign * row["value"], row["system"]))
    items = [
        svg.Dot(
            str(row["system"]),
            row["value"],
            row.get("low"),
            row.get("high"),
            _with_interval(row),
            kind[str(row["system"])],
        )
        for row in rows
    ]
    title = f"{model['name']}: {plain_name(metric)}"
    return Figure(svg.dots(items, title, width=width, label_width=label_width), title, origin, level or "")


def system_table(model: Row, title: str, origin: Origin) -> Table | None:
    """Systems by metrics at the gate's level; None without rows."""
    level = headline_level(model)
    rows = [row for row in _distinct(model["leaderboard"]) if row["level"] == level]
    return _pivot(model, rows, "metric", title, origin, level or "")


def level_table(model: Row, metric: str, title: str, origin: Origin, note: str = "") -> Table | None:
    """Systems by levels (test cuts, horizons) for one metric; None without rows."""
    rows = [row for row in _distinct(model["leaderboard"]) if row["metric"] == metric]
    return _pivot(model, rows, "level", title, origin, note)


def _pivot(model: Row, rows: list[Row], across: str, title: str, origin: Origin, note: str) -> Table | None:
    if not rows:
        return None
    kind = kinds(model)
    systems = list(dict.fromkeys(str(row["system"]) for row in rows))
    systems.sort(key=lambda name: ("model", "rule", "other").index(kind[name]))
    heads = list(dict.fromkeys(str(row[across]) for row in rows))
    whole = {head for head in heads if all(_is_whole(r["value"]) for r in rows if str(r[across]) == head)}
    cells = {
        (str(row["system"]), str(row[across])): count(row["value"])
        if str(row[across]) in whole
        else _with_interval(row)
        for row in rows
    }
    return Table(
        [Column("system", True), *(Column(head) for head in _short_heads(heads))],
        [[name, *(cells.get((name, head), NOTHING) for head in heads)] for name in systems],
        title,
        origin,
        note,
        row_kinds=[kind[name] for name in systems],
    )


def _is_whole(value: float) -> bool:
    return is_number(value) and float(value).is_integer()


def _short_heads(heads: list[str]) -> list[str]:
    """Heads without the words that all of them begin with; dates are kept on one line."""
    first = {head.partition(", ")[0] for head in heads if ", " in head}
    is_shared = len(heads) > 1 and len(first) == 1 and all(", " in head for head in heads)
    start = len(first.pop()) + 2 if is_shared else 0
    return [re.sub(r"(?<=\d)-(?=\d)", "\u2011", plain_name(head[start:])) for head in heads]


def _distinct(rows: list[Row]) -> list[Row]:
    """One row a system, metric and level: families that share a backtest repeat theirs."""
    return list({(row["system"], row["metric"], row["level"]): row for row in rows}.values())


def _with_interval(row: Row) -> str:
    value = decimal(row["value"])
    if row.get("low") is None or row.get("high") is None:
        return value
    return f"{value} [{decimal(row['low'])}, {decimal(row['high'])}]"
