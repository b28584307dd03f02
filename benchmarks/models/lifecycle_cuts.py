"""The lifecycle family's own backtest on the household panel, with its simple rules beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.models.household_panel import TIME_ZONE, last_order, read_lines
from models.lifecycle.config import LifecycleConfig
from models.lifecycle.features.churn_features import TagReader
from models.lifecycle.features.history import History, read_history
from models.lifecycle.features.orders import tags_of_orders
from models.lifecycle.features.tasks import Task
from models.lifecycle.judging.backtest import Forecast, backtest, plan_cuts
from models.lifecycle.judging.evaluation import auc_interval, resampled_auc, systems_of, units_of
from models.metrics import expected_calibration_error
from pipelines.sources.panel.complete_journey import CompleteJourney

SEED = 0
_DRAWS = 100


@dataclass(frozen=True)
class Panel:
    """The panel as the family reads it.

    Attributes:
        history: Orders up to the newest one.
        tags: The store's reader of tags.
    """

    history: History
    tags: TagReader


def read_panel() -> Panel:
    """The embedded panel; needs nothing but the installed package."""
    lines = read_lines(CompleteJourney())
    return Panel(read_history(lines, last_order(lines)), tags_of_orders(lines, TIME_ZONE))


def forecasts(panel: Panel, model: str, config: LifecycleConfig) -> list[Forecast]:
    """What the training's own procedure says at every test cut."""
    task = Task(model, panel.history, panel.tags, config)
    cuts = plan_cuts(task, panel.history.as_of)
    return backtest(task, cuts, config.task(model).fit, SEED).forecasts


def aucs(found: list[Forecast]) -> dict[str, tuple[float, tuple[float, float]]]:
    """Mean AUC over the cuts with its 95% interval (draws of consumers), by system; the model comes first."""
    units = units_of(found)
    intervals = {
        system: auc_interval(resampled_auc(found, scores, units), len(units), SEED, _DRAWS)
        for system, scores in systems_of(found).items()
    }
    return {system: (one.mean, (one.low, one.high)) for system, one in intervals.items()}


def pooled_ece(found: list[Forecast]) -> float:
    """Expected calibration error of the model over the rows of all cuts."""
    return expected_calibration_error(
        np.concatenate([one.examples.label for one in found]),
        np.concatenate([one.probability for one in found]),
    )
