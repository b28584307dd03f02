"""Demand: what was forecast before weeks that are known now, what is forecast next, and the leaderboard."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import polars as pl

from pipelines.report import svg
from pipelines.report.blocks import Block, Figure, Figures, Note, Section
from pipelines.report.evidence import Evidence
from pipelines.report.formats import count, decimal, plain_name
from pipelines.report.origins import Origin
from pipelines.report.sections import leaderboards

_SERIES = 6
_HISTORY_WEEKS = 26


def section(evidence: Evidence) -> Section:
    """Fans against actuals, published forecasts, leaderboard."""
    origin = evidence.origins.of("order_lines", "products", "promotions")
    return Section(
        "forecasts",
        "Demand forecasts",
        "Units a week of a category at a merchant, with the range that should hold eight weeks in ten.",
        origin,
        [*_backtest(evidence, origin), *_published(evidence, origin), *_leaderboard(evidence, origin)],
    )


def _legend(origin: Origin) -> list[tuple[str, str]]:
    return [
        (_actual_kind(origin), "units sold"),
        ("model", "forecast, median"),
        ("band", "10% to 90% of outcomes expected"),
    ]


def _actual_kind(origin: Origin) -> str:
    return "other" if origin.kind == "none" else origin.kind


def _backtest(evidence: Evidence, origin: Origin) -> list[Block]:
    """Fans at the newest tested origin: the weeks right of the mark were not known to the model."""
    fans = evidence.fans
    if fans is None or not fans.height:
        return [
            Note(
                "No backtest fans: no demand model was trained on these data, or its work folder was "
                "cleared. The published forecasts below stand next to the actuals all the same.",
                is_gap=True,
            )
        ]
    system = _shown_system(evidence, fans)
    part = fans.filter(pl.col("system") == system)
    figures = []
    for series in part.partition_by("category_id", "merchant_id", maintain_order=True)[:_SERIES]:
        rows = series.sort("week_start_on")
        points = [
            svg.FanPoint(row["week_start_on"], row["actual"], row["p10"], row["p50"], row["p90"])
            for row in rows.iter_rows(named=True)
        ]
        title = _series_title(rows["category_id"][0], rows["merchant_id"][0])
        figures.append(
            Figure(svg.fan(points, title, actual_kind=_actual_kind(origin)), title, origin, _misses(rows))
        )
    mark = part.select(pl.col("origin_week").max().dt.to_string("%Y-%m-%d")).item()
    return [
        Note(
            f"Backtest of {system}: the forecasts were made before the week of "
            f"{mark} began (dashed line); the actuals right of it were not known to the model."
        ),
        Figures(figures, legend=_legend(origin), a_row=3),
    ]


def _shown_system(evidence: Evidence, fans: pl.DataFrame) -> str:
    """The first model of the report (the serving choice) that has fans, else the first system there."""
    systems = fans["system"].unique(maintain_order=True).to_list()
    chosen = [model["name"] for model in evidence.models["demand"]["models"]]
    return str(next((name for name in chosen if name in systems), systems[0]))


def _misses(rows: pl.DataFrame) -> str:
    ahead = rows.filter(pl.col("p50").is_not_null() & pl.col("actual").is_not_null())
    inside = ahead.filter(pl.col("actual").is_between(pl.col("p10"), pl.col("p90"))).height
    return f"{count(inside)} of {count(ahead.height)} weeks inside the range"


def _published(evidence: Evidence, origin: Origin) -> list[Block]:
    """The largest published series, appended to the actual sales."""
    scores = evidence.scores("demand_forecasts")
    frame = None if scores is None else scores.collect()
    if frame is None or not frame.height:
        return [Note("demand_forecasts: no forecast has been scored yet.", is_gap=True)]
    largest = (
        frame.group_by("merchant_id", "category_id")
        .agg(pl.col("mean_qty").sum())
        .sort("mean_qty", "merchant_id", "category_id", descending=[True, False, False])
        .head(_SERIES)
        .select("merchant_id", "category_id")
    )
    first = frame["week_start_on"].min()
    if not isinstance(first, date):
        raise TypeError(f"demand_forecasts.week_start_on must be dates, got {frame.schema['week_start_on']}")
    since = first - timedelta(weeks=_HISTORY_WEEKS)
    pairs = [(row[0], row[1]) for row in largest.iter_rows()]
    sold = evidence.weekly_units(largest["merchant_id"], largest["category_id"], since)
    figures = []
    for merchant, category in pairs:
        title = _series_title(category, merchant)
        ahead = frame.filter((pl.col("merchant_id") == merchant) & (pl.col("category_id") == category)).sort(
            "week_start_on"
        )
        points = [*history(sold, merchant, category, since, first), *_ahead(ahead)]
        figures.append(
            Figure(
                svg.fan(points, title, actual_kind=_actual_kind(origin)),
                title,
                origin,
                f"next {count(ahead.height)} weeks: {decimal(float(ahead['mean_qty'].sum()), 0)} units "
                f"expected, by {plain_name(ahead['model'][0])}",
            )
        )
    series = frame.select("merchant_id", "category_id").n_unique()
    return [
        Note(
            f"Published: {count(series)} series over {count(frame['week_start_on'].n_unique())} weeks from "
            f"{first:%Y-%m-%d} on. The {count(len(pairs))} largest, after the weeks that were sold:"
        ),
        Figures(figures, legend=_legend(origin), a_row=3),
    ]


def history(
    sold: pl.DataFrame | None, merchant: str, category: str, since: date, until: date
) -> list[svg.FanPoint]:
    """Weeks before the forecast; a week between sales without a row sold nothing."""
    if sold is None:
        return []
    own = sold.filter(
        (pl.col("merchant_id") == merchant)
        & (pl.col("category_id") == category)
        & (pl.col("week_start_on") < until)
    )
    units = {row[0]: float(row[1]) for row in own.select("week_start_on", "qty").iter_rows()}
    weeks = [since + timedelta(weeks=n) for n in range((until - since).days // 7)]
    known = [week for week in weeks if units and min(units) <= week]
    return [svg.FanPoint(week, units.get(week, 0.0), None, None, None) for week in known]


def _ahead(rows: pl.DataFrame) -> list[svg.FanPoint]:
    return [
        svg.FanPoint(row["week_start_on"], None, row["p10_qty"], row["p50_qty"], row["p90_qty"])
        for row in rows.iter_rows(named=True)
    ]


def _series_title(category: str, merchant: str) -> str:
    return f"{category.removeprefix('l2-').replace('-', ' ')}, merchant {merchant}"


def _leaderboard(evidence: Evidence, origin: Origin) -> list[Block]:
    report = evidence.models["demand"]
    if not report["models"]:
        note = report.get("note") or "no demand model has been trained yet; the simple rule serves"
        return [Note(f"No leaderboard: {note}.", is_gap=True)]
    model = report["models"][0]
    tables = [
        leaderboards.system_table(model, "Leaderboard: every system on the same weeks", origin),
        leaderboards.level_table(
            model,
            model["metric"],
            f"{model['metric'].upper()} by level and horizon",
            origin,
            "Less is better.",
        ),
    ]
    return [
        replace(
            leaderboards.interval_figure(model, model["metric"], origin, width=svg.WIDE, label_width=230),
            legend=leaderboards.LEGEND,
        ),
        *(table for table in tables if table is not None),
    ]
