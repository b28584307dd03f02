"""Probabilities of the simple rules, where no model may serve: curves of what followed past origins.

Only label windows that ended by `as_of` are looked at. The rules' scores themselves live in `tasks`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from models.lifecycle.features.churn_features import churned
from models.lifecycle.features.history import History, age_days
from models.lifecycle.features.rebuy_features import rebought, rebuy_features
from models.lifecycle.judging.calibration import Calibration, fit_isotonic
from models.metrics import FloatArray
from models.splits import training_origins

PAST_ORIGINS = 6
UNKNOWN = Calibration("isotonic", np.array([0.0]), np.array([0.5]))


def last_orders(history: History, origin: datetime) -> pl.DataFrame:
    """`consumer` (int32) and `recency_days` (float64) of everyone known at `origin` to have ordered."""
    known = history.known(origin).orders
    return known.group_by("consumer").agg(recency_days=age_days(origin).min()).sort("consumer")


def recency_curve(history: History, as_of: datetime, horizon: timedelta) -> Calibration:
    """Frequency of "no order within the horizon" by recency, pooled over up to six closed past origins.

    Returns:
        A rising curve over everyone who had ever ordered at the origin. One half for everyone where no past
        origin has both outcomes: nothing is known then.
    """
    recency, label = [], []
    for origin in training_origins(as_of, horizon, PAST_ORIGINS, earliest=history.earliest):
        known = last_orders(history, origin)
        recency.append(known["recency_days"].to_numpy())
        label.append(churned(history, known["consumer"], origin, origin + horizon).to_numpy())
    return _curve(recency, label)


def own_rate_curve(history: History, as_of: datetime, horizon: timedelta, min_purchases: int) -> Calibration:
    """Frequency of "bought again within the horizon" by own rate, at the newest closed past origin.

    Returns:
        A rising curve; one half for everyone where no past origin has both outcomes.
    """
    rate, label = [], []
    for origin in training_origins(as_of, horizon, 1, earliest=history.earliest):
        pairs = rebuy_features(history, origin, min_purchases)
        rate.append(pairs["own_rate"].cast(pl.Float64).to_numpy())
        label.append(rebought(history, pairs, origin, origin + horizon).to_numpy())
    return _curve(rate, label)


def _curve(values: list[FloatArray], labels: list[np.ndarray[tuple[int], np.dtype[np.bool_]]]) -> Calibration:
    label = np.concatenate(labels) if labels else np.zeros(0, np.bool_)
    if len(np.unique(label)) < 2:
        return UNKNOWN
    return fit_isotonic(np.concatenate(values).astype(np.float64), label.astype(np.bool_))
