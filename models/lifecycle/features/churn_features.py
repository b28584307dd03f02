"""Churn: who is asked about, the tags that tell of them at an origin, and what came true.

The features are tags of the consumer registry (`feature_store/tags/consumer`), read as they were known at
the origin: in training through `feature_store.point_in_time.training_set`, in scoring from the table of tags
of the day. Labels look at the window after the origin; neither fits anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import polars as pl

from models.lifecycle.features.history import History, age_days

TagReader = Callable[[pl.DataFrame, Sequence[str]], pl.DataFrame]
"""Takes `consumer_id` and `as_of` (UTC) and names of tags; returns the tags, row for row."""

FEATURES = (
    "recency_days", "days_since_last_active", "orders_7d", "orders_28d", "orders_30d", "orders_90d",
    "orders_112d", "orders_365d", "orders_lifetime", "active_days_182d", "active_weeks_112d",
    "active_months_12m", "order_weight_28d", "order_weight_182d", "order_trend_90d", "net_spend_7d",
    "net_spend_30d", "net_spend_90d", "net_spend_365d", "spend_trend_90d", "spend_cv_12m", "aov_90d",
    "visit_gap_mean_182d", "visit_gap_median_182d", "visit_gap_p90_182d", "visit_gap_max_182d",
    "visit_gap_last_182d", "recency_over_gap_mean", "recency_over_gap_p90", "recency_over_gap_max",
    "interpurchase_days_median", "recency_over_gap", "coupon_order_share_365d", "weekend_share",
    "home_store_share",
)  # fmt: skip


def asked(history: History, origin: datetime, active_days: int) -> pl.DataFrame:
    """Every consumer with an order in `(origin - active_days, origin]`, as known at the origin.

    Args:
        history: Orders.
        origin: Moment of knowledge, tz-aware UTC.
        active_days: Length of the window that makes a consumer active.

    Returns:
        `consumer` (int32), `consumer_id`, `recency` (days, float64) and `rhythm` (recency over the mean
        distance of the orders of the window, at least half a day; null with one order), ascending by
        consumer.
    """
    since = origin - timedelta(days=active_days)
    age, count = pl.col("age"), pl.len().cast(pl.Int64)
    found = (
        history.between(since, origin, origin)
        .orders.with_columns(age=age_days(origin))
        .group_by("consumer")
        .agg(
            recency=age.min(),
            rhythm=pl.when(count > 1).then(
                age.min() / ((age.max() - age.min()) / (count - 1)).clip(0.5, None)
            ),
        )
        .sort("consumer")
    )
    return found.with_columns(consumer_id=history.consumers.gather(found["consumer"]))


def churn_features(history: History, origin: datetime, active_days: int, tags: TagReader) -> pl.DataFrame:
    """The tags of everybody who is asked about.

    Args:
        history: As for `asked`.
        origin: As for `asked`.
        active_days: As for `asked`.
        tags: The store.

    Returns:
        `consumer`, `recency`, `rhythm` and `FEATURES` (float32; null where a tag is), ascending by consumer.
    """
    rows = asked(history, origin, active_days)
    moments = rows.select("consumer_id", as_of=pl.lit(origin, dtype=pl.Datetime("us", "UTC")))
    found = tags(moments, FEATURES)
    return rows.select("consumer", "recency", "rhythm").hstack(
        found.select(pl.col(name).cast(pl.Float32) for name in FEATURES)
    )


def churned(
    history: History, consumers: pl.Series, origin: datetime, end: datetime, known: datetime | None = None
) -> pl.Series:
    """Whether each consumer has no order in `(origin, end]`, as known at `known` (all, by default).

    Returns:
        Boolean, in the order given.
    """
    window = history.between(origin, end, known or history.as_of).orders
    return ~consumers.is_in(window["consumer"].unique().implode())
