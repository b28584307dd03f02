"""Training of the lifecycle family: backtest, decide, fit on everything, save. No tracking here.

The cuts live in `backtest`, the measures in `evaluation`, the files in `bundle`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from models.contracts import Candidate
from models.errors import InsufficientDataError
from models.gate import decide
from models.lifecycle.boosting import gains
from models.lifecycle.bundle import Bundle, save
from models.lifecycle.config import MODELS, VALUE, LifecycleConfig
from models.lifecycle.features.churn_features import TagReader
from models.lifecycle.features.history import read_history
from models.lifecycle.features.tasks import Task
from models.lifecycle.judging.backtest import Backtested, backtest, fit_at, plan_cuts
from models.lifecycle.judging.evaluation import (
    MODEL,
    auc_interval,
    leaderboard,
    resampled_auc,
    systems_of,
    units_of,
)
from models.lifecycle.judging.figures import auc_bars, gain_bars, reliability
from models.lifecycle.value import training as value
from models.progress import PROGRESS
from models.splits import Cut

log = logging.getLogger(__name__)


def train(
    lines: pl.DataFrame,
    as_of: datetime,
    work_dir: Path,
    *,
    seed: int,
    champions: Mapping[str, dict[str, Any]],
    tags: TagReader,
    config: LifecycleConfig | None = None,
) -> list[Candidate]:
    """Train and judge churn, rebuy and value.

    Args:
        lines: As for `read_history`; rows after `as_of` are dropped.
        as_of: Moment of knowledge, tz-aware UTC; the last test window ends here.
        work_dir: Bundles are written to its folders, one a model, called as it is.
        seed: Seed of every draw.
        champions: The standing champion's settings by model name. Where its fit differs from the current
            one, it is backtested too, on today's question (horizon, cuts, consumers) and features.
        tags: The store's reader of tags at a moment.
        config: Settings; the defaults when None.

    Returns:
        One candidate a model. A model whose question the data cannot answer is left out and logged.

    Raises:
        InsufficientDataError: No model can be trained; the simple rules should serve.
        ModelError: A required column is missing, or a champion's settings cannot be read.
    """
    config = config or LifecycleConfig()
    history = read_history(lines, as_of)
    candidates: list[Candidate] = []
    refusals: list[InsufficientDataError] = []
    for number, name in enumerate(MODELS, start=1):
        PROGRESS.info("%s, %d / %d", name, number, len(MODELS))
        champion = champions.get(name)
        try:
            if name == VALUE:
                found = value.train(history, work_dir, seed=seed, champion=champion, params=config.value)
            else:
                task = Task(name, history, tags, config)
                found = _train_one(task, as_of, work_dir, seed, champion)
            candidates.append(found)
        except InsufficientDataError as error:
            log.warning("%s", error)
            refusals.append(error)
    if not candidates:
        raise InsufficientDataError("; ".join(str(error) for error in refusals)) from refusals[0]
    return candidates


def _train_one(
    task: Task,
    as_of: datetime,
    work_dir: Path,
    seed: int,
    champion: Mapping[str, Any] | None,
) -> Candidate:
    name, config = task.name, task.config
    fit = config.task(name).fit
    cuts = plan_cuts(task, as_of)
    tested = backtest(task, cuts, fit, seed)
    standing: Backtested | None = None
    if champion is not None:
        champion_fit = LifecycleConfig.from_dict(champion).task(name).fit
        standing = backtest(task, cuts, champion_fit, seed) if champion_fit != fit else None
    bundle = Bundle(name, config, fit_at(task, as_of, fit, seed), tested.calibration)
    is_same = champion is not None and standing is None
    candidate = _judge(task, cuts, tested, standing, is_same, bundle, seed, work_dir / name)
    save(work_dir / name, bundle)
    return candidate


def _judge(
    task: Task,
    cuts: list[Cut],
    tested: Backtested,
    standing: Backtested | None,
    champion_is_same: bool,
    bundle: Bundle,
    seed: int,
    folder: Path,
) -> Candidate:
    forecasts = tested.forecasts
    units = units_of(forecasts)
    metric_of = {
        system: resampled_auc(forecasts, scores, units) for system, scores in systems_of(forecasts).items()
    }
    champion = None
    if standing is not None:
        champion = resampled_auc(standing.forecasts, [one.raw for one in standing.forecasts], units)
    decision = decide(
        "auc",
        len(units),
        metric_of[MODEL],
        {name: metric for name, metric in metric_of.items() if name != MODEL},
        higher_is_better=True,
        champion=champion,
        champion_is_same=champion_is_same,
        seed=seed,
    )
    intervals = {name: auc_interval(metric, len(units), seed) for name, metric in metric_of.items()}
    rows, metrics = leaderboard(task.name, forecasts, intervals)
    importance = gains(bundle.booster, task.features)
    label = np.concatenate([one.examples.label for one in forecasts])
    probability = np.concatenate([one.probability for one in forecasts])
    moments = task.history.orders["at"]
    title = f"{task.name}, {len(forecasts)} cuts"
    return Candidate(
        name=task.name,
        family="lifecycle",
        config=bundle.config.to_dict(),
        decision=decision,
        metrics=metrics | {"test_cuts": float(len(forecasts)), "consumers": float(len(units))},
        leaderboard=rows,
        bundle_dir=folder,
        data_from=_moment(moments.min()),
        data_to=_moment(moments.max()),
        input_rows=task.history.line_count,
        figures={
            f"{task.name}_systems": auc_bars(title, intervals),
            f"{task.name}_reliability": reliability(title, label, probability),
            f"{task.name}_features": gain_bars(f"{task.name}, final fit", importance),
        },
    )


def _moment(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise InsufficientDataError("there are no orders; the simple rule serves")
    return value
