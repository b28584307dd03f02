"""Figures and the `fans` frame of a demand backtest. Imports matplotlib inside the functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from models.demand.judging.backtest import Origins, Rolled
from models.demand.judging.leaderboard import SERIES_LEVEL
from models.demand.panel.series import Int64, Panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FAN_SERIES = 6
FAN_HISTORY_WEEKS = 20

FANS_SCHEMA = pl.Schema(
    {
        "category_id": pl.String,
        "merchant_id": pl.String,
        "week_start_on": pl.Date,
        "actual": pl.Float64,
        "p10": pl.Float64,
        "p50": pl.Float64,
        "p90": pl.Float64,
        "system": pl.String,
        "origin_week": pl.Date,
    }
)


def _fan_rows(panel: Panel) -> Int64:
    """Best-selling series of six categories, largest first; ties by row."""
    total = np.nansum(panel.qty, axis=1)
    chosen: list[int] = []
    seen: set[str] = set()
    for row in np.argsort(-total, kind="stable"):
        if not panel.is_pooled[row] and panel.category_id[row] not in seen:
            chosen.append(int(row))
            seen.add(panel.category_id[row])
        if len(chosen) == FAN_SERIES:
            break
    return np.array(chosen, dtype=np.int64)


def fans(panel: Panel, origins: Origins, systems: Mapping[str, Rolled]) -> pl.DataFrame:
    """Forecast fans of six series at the newest tested origin, with the weeks before.

    Args:
        panel: The backtest's panel.
        origins: Its layout.
        systems: Forecasts by system.

    Returns:
        One row per series, system and week; quantiles (units a week) are null before the origin, the actual
        in a missing week.
    """
    origin = origins.tested[-1]
    horizon = next(iter(systems.values())).point.shape[2] if systems else 0
    records: list[dict[str, Any]] = []
    for system, rolled in systems.items():
        for row in _fan_rows(panel):
            for week in range(max(0, origin - FAN_HISTORY_WEEKS), origin + horizon):
                ahead = rolled.quantiles[-1, row, week - origin] if week >= origin else (None, None, None)
                sold = float(panel.qty[row, week])
                records.append(
                    {
                        "category_id": panel.category_id[row],
                        "merchant_id": panel.merchant_id[row],
                        "week_start_on": panel.weeks[week],
                        "actual": None if np.isnan(sold) else sold,
                        "p10": ahead[0],
                        "p50": ahead[1],
                        "p90": ahead[2],
                        "system": system,
                        "origin_week": panel.weeks[origin],
                    }
                )
    return pl.DataFrame(records, schema=FANS_SCHEMA)


def fan_figure(frame: pl.DataFrame, system: str) -> Figure:
    """Draw one system's fans against actuals, one small plot a series."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6), layout="constrained")
    part = frame.filter(pl.col("system") == system)
    groups = part.partition_by("category_id", "merchant_id", maintain_order=True)
    for place, series in enumerate(groups):
        axes = figure.add_subplot(2, 3, place + 1)
        weeks = series["week_start_on"].to_list()
        axes.plot(weeks, series["actual"].to_list(), color="black", linewidth=1, label="sold")
        ahead = series.filter(pl.col("p50").is_not_null())
        days = ahead["week_start_on"].to_list()
        axes.fill_between(days, ahead["p10"].to_list(), ahead["p90"].to_list(), alpha=0.3, label="10-90%")
        axes.plot(days, ahead["p50"].to_list(), linewidth=1.5, label="median")
        axes.set_title(
            f"{series['category_id'][0].removeprefix('l2-')}\nmerchant {series['merchant_id'][0]}", fontsize=8
        )
        axes.set_ylim(bottom=0)
        axes.tick_params(axis="x", rotation=45, labelsize=7)
        if place == 0:
            axes.legend(fontsize=7)
    figure.suptitle(f"{system}: units a week, forecast before the shaded weeks began")
    return figure


def leaderboard_figure(rows: list[dict[str, Any]], horizon: int) -> Figure:
    """Draw WAPE at series level of every system as bars, best first."""
    from matplotlib.figure import Figure

    level = SERIES_LEVEL.format(h=horizon)
    values = sorted(
        ((r["value"], r["system"]) for r in rows if r["metric"] == "wape" and r["level"] == level),
        reverse=True,
    )
    figure = Figure(figsize=(8, 0.35 * len(values) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    colours = ["tab:blue" if name.startswith("demand_") else "tab:gray" for _, name in values]
    bars = axes.barh([name for _, name in values], [value for value, _ in values], color=colours)
    axes.bar_label(bars, fmt="%.3f", padding=2, fontsize=8)
    axes.set_xlabel(f"WAPE, {level} (less is better)")
    return figure
