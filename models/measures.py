"""What is measured of a ranker, a forecaster or a classifier in a backtest.

Each function gives a `Metric` for `models.backtest.backtest`. The formulas live in `metrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from models.backtest import UNIT, Metric
from models.data import Panel, Purchases
from models.metrics import (
    FloatArray,
    auc,
    expected_calibration_error,
    ndcg_at_k,
    pinball,
    recall_at_k,
)
from models.protocol import Classifier, Forecaster, Ranker
from models.splits import Cut, Steps

_NUMERATOR, _DENOMINATOR = "numerator", "denominator"


def _ratio(rows: pl.DataFrame) -> float:
    """Sum over sum; NaN where nothing is below."""
    below = float(rows[_DENOMINATOR].sum())
    return float(rows[_NUMERATOR].sum()) / below if below else float("nan")


def recall_at(k: int) -> Metric:
    """Share of what a consumer bought in the window that stood in its list of k; mean over consumers."""
    return _ranking(f"recall_at_{k}", k, recall_at_k)


def ndcg_at(k: int) -> Metric:
    """NDCG of a list of k against what was bought in the window, ideal list cut at k; mean over consumers."""
    return _ranking(f"ndcg_at_{k}", k, lambda hits, n: ndcg_at_k(hits, n, truncate_ideal=True))


def _ranking(name: str, k: int, score: Callable[..., FloatArray]) -> Metric:
    def observe(ranker: Ranker, purchases: Purchases, cut: Cut) -> pl.DataFrame:
        known = purchases.until(cut.origin).net().frame["consumer_id"].unique()
        window = purchases.between(cut.origin, cut.end).net().frame
        bought = (
            window.filter(pl.col("consumer_id").is_in(known.implode()))
            .group_by("consumer_id")
            .agg(pl.col("item_id").unique())
            .sort("consumer_id")
        )
        users: list[str] = bought["consumer_id"].to_list()
        truth = [set(items) for items in bought["item_id"].to_list()]
        hits = np.zeros((len(users), k), dtype=np.bool_)
        for row, (items, ranked) in enumerate(zip(truth, ranker.rank(users, k), strict=True)):
            hits[row, : len(ranked)] = [item in items for item in ranked]
        relevant = np.array([len(items) for items in truth], dtype=np.int64)
        values = score(hits, relevant) if users else np.zeros(0)
        return pl.DataFrame(
            {UNIT: pl.Series(users, dtype=pl.String), _NUMERATOR: values, _DENOMINATOR: np.ones(len(users))}
        )

    return Metric(name, True, observe, _ratio)


def wape() -> Metric:
    """Sum of absolute errors of the mean over the sum of what was observed."""
    return _point("wape", False, lambda actual, mean: np.abs(actual - mean), np.abs)


def mape() -> Metric:
    """Mean of absolute errors of the mean over what was observed, in percent; zeros are left out."""
    return _point(
        "mape",
        False,
        lambda actual, mean: np.where(
            actual > 0, 100 * np.abs(actual - mean) / np.where(actual > 0, actual, 1), 0
        ),
        lambda actual: (actual > 0).astype(np.float64),
    )


def quantile_loss(levels: Sequence[float]) -> Metric:
    """Twice the pinball loss, mean over levels, over the sum of what was observed.

    Args:
        levels: Which of the forecaster's levels count.

    Source:
        Salinas et al. 2020, "DeepAR" (rho-risk).
    """

    def observe(forecaster: Forecaster, panel: Panel, cut: Steps) -> pl.DataFrame:
        actual = panel.target[:, cut.origin : cut.end]
        places = [list(forecaster.levels).index(level) for level in levels]
        quantiles = forecaster.predict(panel.seen_at(cut.origin), cut.origin, cut.end - cut.origin).quantiles[
            ..., places
        ]
        seen = np.isfinite(actual)
        filled = np.where(seen, actual, 0.0)
        losses = np.mean(
            [pinball(filled, quantiles[..., q], level) for q, level in enumerate(levels)], axis=0
        )
        return _by_series(panel, 2 * np.where(seen, losses, 0.0), filled)

    return Metric("quantile_loss", False, observe, _ratio)


def _point(
    name: str,
    higher_is_better: bool,
    error: Callable[[FloatArray, FloatArray], FloatArray],
    weight: Callable[[FloatArray], FloatArray],
) -> Metric:
    def observe(forecaster: Forecaster, panel: Panel, cut: Steps) -> pl.DataFrame:
        actual = panel.target[:, cut.origin : cut.end]
        mean = forecaster.predict(panel.seen_at(cut.origin), cut.origin, cut.end - cut.origin).mean
        seen = np.isfinite(actual)
        filled = np.where(seen, actual, 0.0)
        return _by_series(
            panel, np.where(seen, error(filled, mean), 0.0), np.where(seen, weight(filled), 0.0)
        )

    return Metric(name, higher_is_better, observe, _ratio)


def _by_series(panel: Panel, numerator: FloatArray, denominator: FloatArray) -> pl.DataFrame:
    return pl.DataFrame(
        {UNIT: panel.ids, _NUMERATOR: numerator.sum(axis=1), _DENOMINATOR: denominator.sum(axis=1)}
    )


Label = Callable[[Purchases, Cut, pl.DataFrame], pl.Series]
"""Purchases, cut and the keys that were predicted to booleans: what happened."""


def auc_of(label: Label) -> Metric:
    """Area under the ROC curve of the probabilities, consumers as units."""
    return _classified("auc", True, label, auc)


def ece_of(label: Label, tolerance: float = 0.01) -> Metric:
    """Expected calibration error of the probabilities, consumers as units.

    Args:
        label: What happened.
        tolerance: By so much it may be worse than the best rule's where another metric decides: a rule that
            gives everybody nearly the same probability is well calibrated and tells nobody apart.
    """
    return replace(_classified("ece", False, label, expected_calibration_error), tolerance=tolerance)


def _classified(name: str, higher_is_better: bool, label: Label, score: Callable[..., float]) -> Metric:
    def observe(model: Classifier, purchases: Purchases, cut: Cut) -> pl.DataFrame:
        predicted = model.predict(purchases.until(cut.origin), cut.origin)
        return predicted.select(
            pl.col("consumer_id").alias(UNIT),
            "probability",
            label(purchases, cut, predicted).cast(pl.Boolean).alias("label"),
        )

    def total(rows: pl.DataFrame) -> float:
        return score(rows["label"].to_numpy(), rows["probability"].to_numpy())

    return Metric(name, higher_is_better, observe, total)
