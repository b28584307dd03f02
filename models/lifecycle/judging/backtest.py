"""Walk-forward backtest of a task: at each cut fit on closed labels, calibrate on older forecasts, predict.

A calibration uses only predictions that were made out of time at earlier cuts and whose label windows had
ended by the cut. The oldest cuts have none: they warm the calibration up and are not reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from models.errors import InsufficientDataError
from models.lifecycle.boosting import fit_booster, predict
from models.lifecycle.config import CHURN, FitParams
from models.lifecycle.features.tasks import Examples, Task
from models.lifecycle.judging.calibration import Calibration, fit_calibration
from models.metrics import FloatArray
from models.splits import Cut, rolling_cuts, training_origins

MIN_CUTS = 3


@dataclass(frozen=True)
class Forecast:
    """What the procedure said at one cut.

    Attributes:
        cut: Origin and end of the label window.
        examples: Features, labels and rule scores at the origin.
        raw: Booster output, float64 (n,).
        probability: Calibrated, float64 (n,).
    """

    cut: Cut
    examples: Examples
    raw: FloatArray
    probability: FloatArray


@dataclass(frozen=True)
class Backtested:
    """Reported cuts, oldest first, and the calibration that the final fit takes over.

    Attributes:
        forecasts: One a test cut.
        calibration: Fitted on the newest `calibration_cuts` cuts, all closed at `as_of`.
    """

    forecasts: list[Forecast]
    calibration: Calibration


def plan_cuts(task: Task, as_of: datetime) -> list[Cut]:
    """The warm-up cuts, as many as reach over a label window, and the test cuts, oldest first.

    Raises:
        InsufficientDataError: Fewer than three test cuts and their warm-up fit, or a test cut has too few
            consumers, positives or negatives. The simple rule should serve then.
    """
    params = task.config.task(task.name)
    earliest = task.history.earliest
    if earliest is None:
        raise InsufficientDataError(f"{task.name}: there are no orders; the simple rule serves")
    needed = timedelta(days=params.min_history_days) + task.horizon
    step = timedelta(days=params.cut_step_days)
    fitting = int((as_of - task.horizon - earliest - needed) / step) + 1
    warm = -(-params.horizon_days // params.cut_step_days)
    count = min(params.test_cuts, fitting - warm)
    if count < MIN_CUTS:
        raise InsufficientDataError(
            f"{task.name}: the orders start at {earliest:%Y-%m-%d}; only {max(count, 0)} test cuts of "
            f"{params.horizon_days} days with {params.min_history_days} days before their oldest training "
            f"origin end by {as_of:%Y-%m-%d}, {MIN_CUTS} are needed; the simple rule serves until more has "
            "come in"
        )
    cuts = rolling_cuts(as_of, task.horizon, count + warm, step=step)
    for cut in cuts:
        _require_enough(task, cut.origin)
    return cuts


def _require_enough(task: Task, origin: datetime) -> None:
    params = task.config.task(task.name)
    examples = task.examples(origin)
    consumers = len(np.unique(examples.consumer))
    positives = int(examples.label.sum())
    fewest = min(positives, len(examples.label) - positives)
    if consumers < params.min_consumers or fewest < params.min_each_class:
        unit = "churned" if task.name == CHURN else "bought again"
        raise InsufficientDataError(
            f"{task.name}: at {origin:%Y-%m-%d} there are {consumers} consumers and {positives} of "
            f"{len(examples.label)} rows {unit}; {params.min_consumers} consumers and "
            f"{params.min_each_class} rows of either kind are needed; the simple rule serves"
        )


def fit_at(task: Task, origin: datetime, params: FitParams, seed: int) -> str:
    """Fit on labels that have ended by `origin`, as they were known then.

    Args:
        task: The question.
        origin: Moment of knowledge.
        params: Settings of the fit.
        seed: Seed of the row draws and of the booster.

    Returns:
        The booster's text form.

    Raises:
        InsufficientDataError: No training origin has enough history, or nothing is there to learn from.
    """
    earliest = task.history.earliest
    history = timedelta(days=task.config.task(task.name).min_history_days)
    origins = training_origins(
        origin,
        task.horizon,
        params.training_origins,
        step=timedelta(days=params.training_step_days),
        earliest=None if earliest is None else earliest + history,
    )
    values, labels = [], []
    for place, moment in enumerate(origins):
        examples = task.examples(moment, origin)
        rows = np.arange(len(examples.label))
        if len(rows) > params.rows_an_origin:
            rng = np.random.default_rng([seed, place])
            rows = np.sort(rng.choice(len(rows), params.rows_an_origin, replace=False))
        values.append(examples.values[rows])
        labels.append(examples.label[rows])
    if not labels or len(np.unique(np.concatenate(labels))) < 2:
        raise InsufficientDataError(
            f"{task.name}: nothing to learn from before {origin:%Y-%m-%d}; the simple rule serves"
        )
    return fit_booster(np.concatenate(values), np.concatenate(labels), params, seed, task.config.threads)


def backtest(task: Task, cuts: list[Cut], params: FitParams, seed: int) -> Backtested:
    """Run the procedure at every cut; cuts before which no window has ended only warm the calibration up.

    Args:
        task: The question; its `config` says what is asked.
        cuts: From `plan_cuts`.
        params: How to fit; the standing champion's settings give the champion's procedure.
        seed: Seed.
    """
    raws: list[FloatArray] = []
    forecasts: list[Forecast] = []
    for cut in cuts:
        examples = task.examples(cut.origin)
        raw = predict(fit_at(task, cut.origin, params, seed), examples.values, task.config.threads)
        ended = sum(earlier.end <= cut.origin for earlier in cuts)
        if ended:
            calibration = _calibrate(task, cuts[:ended], raws[:ended], params, cut.origin)
            forecasts.append(Forecast(cut, examples, raw, calibration.apply(raw)))
        raws.append(raw)
    return Backtested(forecasts, _calibrate(task, cuts, raws, params, task.history.as_of))


def _calibrate(
    task: Task, cuts: list[Cut], raws: list[FloatArray], params: FitParams, known: datetime
) -> Calibration:
    newest = slice(-params.calibration_cuts, None)
    label = np.concatenate([task.examples(cut.origin, known).label for cut in cuts[newest]])
    return fit_calibration(params.calibration, np.concatenate(raws[newest]), label)
