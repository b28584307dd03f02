"""Measures of forecasts of counts by customer."""

from __future__ import annotations

import numpy as np

from models.metrics import FloatArray


def poisson_deviance(actual: FloatArray, expected: FloatArray) -> FloatArray:
    """Deviance of each count: twice the log likelihood that a perfect mean would add.

    Args:
        actual: Counts, float (n,).
        expected: Means, float (n,), above 0.

    Returns:
        float64 (n,), 0 or more.
    """
    ratio = np.where(actual > 0, actual, 1.0) / expected
    return np.asarray(2 * (np.where(actual > 0, actual * np.log(ratio), 0.0) - actual + expected))


def bias(actual: FloatArray, expected: FloatArray) -> float:
    """By what share the sum of the means misses the sum of the counts; NaN without any."""
    total = float(actual.sum())
    return float(expected.sum()) / total - 1 if total > 0 else float("nan")


def top_capture(actual: FloatArray, expected: FloatArray, share: float = 0.1) -> float:
    """Share of what came that is from the customers with the highest means; ties by their order."""
    best = np.argsort(-expected, kind="stable")[: max(1, int(len(actual) * share))]
    total = float(actual.sum())
    return float(actual[best].sum()) / total if total > 0 else float("nan")
