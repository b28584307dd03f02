"""Qini: what ordering by uplift gains over treating as many in any order, on a randomised trial."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.lifecycle.uplift.trial import Experiment
from models.metrics import FloatArray, IntArray


def resampled_qini(trial: Experiment, effects: FloatArray) -> Callable[[IntArray], float]:
    """The Qini coefficient on drawn rows.

    Of the rows from the highest effect down, the outcome of the treated less that of as many untreated, as a
    share of the rows; its mean over all depths, less that of the straight line to the end. Outcome units a
    row; 0 for any order without information.

    Args:
        trial: The rows.
        effects: float (n,), higher is treated first; ties by the order of the rows.

    Returns:
        Coefficient of drawn row numbers, int64 (n,).

    Source:
        Radcliffe 2007, Using control groups to target on predicted lift.
    """
    order = np.argsort(-effects, kind="stable")
    treated = trial.treated[order]
    outcome = trial.outcome[order]

    def coefficient(drawn: IntArray) -> float:
        times = np.bincount(drawn, minlength=len(order))[order].astype(np.float64)
        n_with, n_without = np.cumsum(times * treated), np.cumsum(times * ~treated)
        y_with, y_without = np.cumsum(times * treated * outcome), np.cumsum(times * ~treated * outcome)
        gain = y_with - y_without * n_with / np.maximum(n_without, 1.0)
        depth = (n_with + n_without) / len(drawn)
        return float(((gain - gain[-1] * depth) * times).sum() / len(drawn) ** 2)

    return coefficient
