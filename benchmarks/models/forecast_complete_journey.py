"""Demand on the embedded panel: the product's own training, measured at the levels that are used.

Run `muyun run` first; the home's warehouse is read, nothing of the home is changed. `muyun` is what would
serve: the better promoted model with what is known of promotions in use, or the best simple rule.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.harness import OURS, Row, report
from benchmarks.models import fracast_peer
from models.contracts import Candidate
from models.demand.config import DemandConfig
from models.demand.families.forecast import Forecast
from models.demand.families.smoothing import Smoothing
from models.demand.judging.backtest import LEVELLED, actuals, plan_origins
from models.demand.judging.leaderboard import MONTH_LEVEL, REFERENCE, SERIES_LEVEL
from models.demand.judging.reconcile import category_totals
from models.demand.panel.series import Panel, weekly_sales
from models.demand.panel.vintages import vintages
from models.demand.training import train
from models.metrics import FloatArray, wape
from pipelines.settings import Settings
from pipelines.warehouse import reading

HOME = Path(os.environ.get("MUYUN_HOME", "var"))
RULES = ("seasonal_naive", "mean_4w", "ses", "tsb")
REFIT_WEEKS = 2
"""Boosting is fitted anew at every origin, as it is in use each time that it trains."""

ETS = Smoothing()

PLAN_KNOWN = " (plan known)"


def metrics(leaderboard: Sequence[Mapping[str, Any]], system: str, horizon: int) -> dict[str, float]:
    """What the benchmark reports of a system.

    Args:
        leaderboard: Rows of a training.
        system: Whose.
        horizon: Weeks ahead.

    Returns:
        Ratios to `seasonal_naive` and coverages at series level, WAPE and bias of the mean at category level.
    """
    series, month = SERIES_LEVEL.format(h=horizon), MONTH_LEVEL.format(h=horizon)
    wanted = {
        "wape_ratio": (f"wape_ratio_to_{REFERENCE}", series),
        "quantile_loss_ratio": (f"quantile_loss_ratio_to_{REFERENCE}", series),
        "coverage_80": ("coverage_80", series),
        "coverage_95": ("coverage_95", series),
        "crossings": ("crossings", series),
        "wape_category_4w": ("wape", month),
        "bias_category_4w": ("bias_of_mean", month),
    }
    values = {(r["metric"], r["level"]): float(r["value"]) for r in leaderboard if r["system"] == system}
    return {name: values[where] for name, where in wanted.items()}


def serving(candidates: Sequence[Candidate]) -> str:
    """The system that would serve after this training."""
    first = candidates[0]
    return first.name if first.decision.promoted else first.decision.baseline.removesuffix("_median")


def main() -> int:
    """Runs the benchmark; 1 when there is no warehouse, or what would serve is behind a simple rule."""
    warehouse = HOME / "warehouse" / "good.duckdb"
    if not warehouse.exists():
        print(f"forecast_complete_journey: {warehouse} is missing; run `muyun run` first", file=sys.stderr)
        return 1
    started = time.monotonic()
    with reading.connect(warehouse) as connection:
        lines, promotions = reading.demand_lines(connection), reading.weekly_promotions(connection)
        as_of = lines["placed_at"].max()
        if not isinstance(as_of, datetime):
            print(f"forecast_complete_journey: {warehouse} holds no order", file=sys.stderr)
            return 1
        out = reading.out_of_stock(connection, until=as_of)
    settings = Settings(home=HOME)
    config = DemandConfig(
        seed=settings.seed,
        utc_offset_hours=settings.offset_hours,
        holidays=settings.holidays_of,
        refit_weeks=REFIT_WEEKS,
    )
    with tempfile.TemporaryDirectory(prefix="muyun-demand-") as folder:
        candidates = train(lines, promotions, as_of, Path(folder), config, out_of_stock=out)
    board = candidates[0].leaderboard
    served = serving(candidates)
    there = {row["system"] for row in board}
    peers = [*RULES, LEVELLED, *(name for one in candidates for name in (one.name, one.name + PLAN_KNOWN))]
    found = {OURS: metrics(board, served, config.horizon)} | {
        name: metrics(board, name, config.horizon) for name in peers if name in there
    }
    pretrained = fracast_peer.peer()
    found[ETS.name] = of_categories(_by_ets, lines, promotions, as_of, config)
    if pretrained:
        found[fracast_peer.NAME] = of_categories(pretrained.forecast, lines, promotions, as_of, config)
    report(
        HOME,
        name="forecast_complete_journey",
        protocol=(
            f"The product's training on the home's warehouse, {lines.height} lines, {config.origins} rolling "
            f"origins every {config.origin_stride} weeks, each with what was known then and boosting fitted "
            f"anew, {config.horizon} weeks ahead; muyun is {served}. Ratios (to seasonal_naive), coverage, "
            "crossings: merchant x category x week; wape_category_4w and bias_category_4w: of the mean, all "
            "series of a category and all weeks of an origin summed. ets (statsforecast) and fracast, where "
            "it is installed, forecast the units of each category at once."
        ),
        rows=_rows(found),
        wall_s=time.monotonic() - started,
    )
    best = min(found[name]["wape_category_4w"] for name in RULES)
    if found[OURS]["wape_category_4w"] > best:
        print("forecast_complete_journey: what would serve is behind a simple rule", file=sys.stderr)
        return 1
    return 0


def of_categories(
    forecast: Callable[[FloatArray, int], Forecast],
    lines: pl.DataFrame,
    promotions: pl.DataFrame,
    as_of: datetime,
    config: DemandConfig,
) -> dict[str, float]:
    """WAPE and bias of a peer on totals of categories, at the origins of the training.

    Args:
        forecast: Units before an origin, float64 (categories, weeks), and the horizon to what is told.
        lines: What sold.
        promotions: Promoted skus by week.
        as_of: The newest order.
        config: Settings of the training.
    """
    weekly = weekly_sales(lines, as_of, config)
    origins = plan_origins(len(weekly.weeks), config)
    panels = vintages(lines, weekly, promotions, origins.all, config)
    truth = np.stack(
        [
            category_totals(sold, panels.standing)
            for sold in actuals(panels.standing, origins.tested, config.horizon)
        ]
    )
    told = np.stack([_total_mean(forecast, panels.known[o], o, config.horizon) for o in origins.tested])
    bias = float((told - truth).sum() / truth.sum())
    return {"wape_category_4w": wape(truth.sum(axis=2), told.sum(axis=2)), "bias_category_4w": bias}


def _total_mean(
    forecast: Callable[[FloatArray, int], Forecast], known: Panel, origin: int, horizon: int
) -> FloatArray:
    return forecast(category_totals(known.qty[:, :origin].astype(np.float64), known), horizon).mean


def _by_ets(units: FloatArray, horizon: int) -> Forecast:
    return ETS.after(units, np.argmax(units > 0, axis=1).astype(np.int64), horizon)


def _rows(found: Mapping[str, Mapping[str, float]]) -> list[Row]:
    units = {"crossings": "points"}
    return [
        Row(system, metric, value, units.get(metric, "fraction"))
        for system, values in found.items()
        for metric, value in values.items()
    ]


if __name__ == "__main__":
    raise SystemExit(main())
