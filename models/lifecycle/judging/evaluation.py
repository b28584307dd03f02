"""Measures of a backtest: metrics by cut and system, and the resampled AUC that the gate decides on.

Consumers are the exchangeable units: a drawn consumer brings all rows of all cuts along.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp

from models.contracts import Interval
from models.lifecycle.config import REBUY
from models.lifecycle.judging.backtest import Forecast
from models.metrics import (
    FloatArray,
    IntArray,
    auc,
    average_precision,
    expected_calibration_error,
)

MODEL = "lightgbm"
SCORE_BINS = 1000
TOP = 5

Systems = Mapping[str, list[FloatArray]]


def systems_of(forecasts: list[Forecast]) -> dict[str, list[FloatArray]]:
    """Scores of the model and of every simple rule, one array a cut."""
    rules = {name: [one.examples.rules[name] for one in forecasts] for name in forecasts[0].examples.rules}
    return {MODEL: [one.raw for one in forecasts], **rules}


def units_of(forecasts: list[Forecast]) -> IntArray:
    """Codes of the consumers that stand at any cut, ascending."""
    return np.unique(np.concatenate([one.examples.consumer for one in forecasts]))


def resampled_auc(
    forecasts: list[Forecast], scores: list[FloatArray], units: IntArray
) -> Callable[[IntArray], float]:
    """Mean of the cuts' AUCs on drawn consumers.

    Scores of a cut are cut into at most `SCORE_BINS` equally filled bins, ties inside a bin count half; below
    that number of distinct scores it is exact. A draw then costs one sparse product instead of a sort.

    Args:
        forecasts: Cuts with consumers and labels.
        scores: One array a cut, higher means likelier.
        units: From `units_of`.

    Returns:
        Metric of drawn places in `units`, int64 (n_units,); NaN cuts (one class only) are left out.
    """
    tables: list[tuple[sp.csr_matrix, sp.csr_matrix]] = []
    for forecast, score in zip(forecasts, scores, strict=True):
        distinct, place = np.unique(score, return_inverse=True)
        if len(distinct) > SCORE_BINS:
            edges = np.unique(np.quantile(score, np.linspace(0, 1, SCORE_BINS + 1)[1:-1]))
            place = np.searchsorted(edges, score, side="left")
        row = np.searchsorted(units, forecast.examples.consumer)
        label = forecast.examples.label
        shape = (int(place.max()) + 1, len(units))
        positive, negative = (
            sp.csr_matrix((np.ones(int(mask.sum())), (place[mask], row[mask])), shape=shape)
            for mask in (label, ~label)
        )
        tables.append((positive, negative))

    def metric(drawn: IntArray) -> float:
        times = np.bincount(drawn, minlength=len(units)).astype(np.float64)
        return float(
            np.nanmean([_binned_auc(positive @ times, negative @ times) for positive, negative in tables])
        )

    return metric


def _binned_auc(positive: FloatArray, negative: FloatArray) -> float:
    """AUC from counts by ascending score bin."""
    total = positive.sum() * negative.sum()
    below = np.cumsum(negative) - negative
    return float(positive @ (below + negative / 2) / total) if total > 0 else float("nan")


def precision_at_top(forecast: Forecast, score: FloatArray, top: int = TOP) -> float:
    """Share of right ones among the `top` highest rows of each consumer, mean over consumers.

    Ties by the order of the rows. A consumer with fewer rows is judged by those.
    """
    consumer, label = forecast.examples.consumer, forecast.examples.label
    order = np.lexsort((-score, consumer))
    ordered = consumer[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    rank = np.arange(len(ordered)) - np.repeat(starts, np.diff(np.append(starts, len(ordered))))
    shown = rank < top
    group = (np.cumsum(np.append(True, ordered[1:] != ordered[:-1])) - 1)[shown]
    hits = np.bincount(group, weights=label[order][shown])
    return float((hits / np.bincount(group)).mean())


def leaderboard(
    name: str, forecasts: list[Forecast], intervals: Mapping[str, Interval]
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Every system, metric and cut, their means over the cuts, and flat names for the tracker.

    Args:
        name: Model name; `lifecycle_rebuy` adds the precision of the top five.
        forecasts: Reported cuts.
        intervals: Bootstrap interval of each system's mean AUC.
    """
    rows: list[dict[str, Any]] = []
    metrics: dict[str, float] = {}
    for system, scores in systems_of(forecasts).items():
        by_metric: dict[str, list[float]] = {}
        for forecast, score in zip(forecasts, scores, strict=True):
            measured = _measure(name, system, forecast, score)
            level = f"{name}, cut {forecast.cut.origin:%Y-%m-%d}"
            for metric, value in measured.items():
                by_metric.setdefault(metric, []).append(value)
                rows.append({"system": system, "metric": metric, "value": value, "level": level})
        for metric, values in by_metric.items():
            row: dict[str, Any] = {
                "system": system,
                "metric": metric,
                "value": float(np.mean(values)),
                "level": f"{name}, mean of {len(values)} cuts",
            }
            if metric == "auc":
                row |= {"low": intervals[system].low, "high": intervals[system].high}
            rows.append(row)
            metrics[f"{system}_{metric}"] = row["value"]
    label = np.concatenate([one.examples.label for one in forecasts])
    probability = np.concatenate([one.probability for one in forecasts])
    pooled = expected_calibration_error(label, probability)
    rows.append({"system": MODEL, "metric": "ece", "value": pooled, "level": f"{name}, all cuts pooled"})
    metrics |= {f"{MODEL}_ece_pooled": pooled, "base_rate": float(label.mean())}
    return rows, metrics


def _measure(name: str, system: str, forecast: Forecast, score: FloatArray) -> dict[str, float]:
    label = forecast.examples.label
    measured = {"auc": auc(label, score), "average_precision": average_precision(label, score)}
    if system == MODEL:
        measured["ece"] = expected_calibration_error(label, forecast.probability)
    if name == REBUY:
        measured["precision_at_5"] = precision_at_top(forecast, score)
    return measured


def auc_interval(metric: Callable[[IntArray], float], n_units: int, seed: int, draws: int = 200) -> Interval:
    """A system's mean AUC with its bootstrap interval over consumers."""
    rng = np.random.default_rng(seed)
    values = [metric(rng.integers(0, n_units, n_units)) for _ in range(draws)]
    low, high = np.nanquantile(values, [0.025, 0.975])
    return Interval(metric(np.arange(n_units)), float(low), float(high))
