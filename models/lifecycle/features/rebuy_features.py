"""Point-in-time features of rebuying: one row a consumer and product type bought at least twice.

Only what was known at the origin is looked at. Labels look at the window after it; neither fits
anything. A product type of a consumer is no entity of the tag registry, so these features are made here,
from the store's orders in every known state.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from models.lifecycle.features.history import History, age_days

FEATURES = (
    "times", "days_since_last", "days_since_first", "mean_interval_days", "interval_cv",
    "last_interval_days", "overdue_ratio", "days_until_due", "times_14d", "times_28d", "times_56d",
    "times_112d", "decay_14d", "decay_30d", "decay_90d", "own_rate", "mean_qty", "last_qty_ratio",
    "share_of_orders", "share_since_first", "order_recency_days", "orders_14d", "orders_28d",
    "orders_112d", "orders_since_last", "tenure_days", "consumer_kinds", "consumer_rebuy_share",
    "kind_buyers", "kind_interval_days", "kind_rebuy_share", "kind_trend", "kind_overdue_ratio",
    "expected_visits_14d",
)  # fmt: skip


def rebuy_features(history: History, origin: datetime, min_purchases: int) -> pl.DataFrame:
    """Features of every pair of consumer and product type with at least `min_purchases` orders.

    Args:
        history: Orders and purchases; what was placed or received after `origin` is not looked at.
        origin: Moment of knowledge, tz-aware UTC.
        min_purchases: Least orders with the product type, at least 2.

    Returns:
        `consumer`, `kind` (int32) and `FEATURES` (float32), one row a pair, ordered by (consumer, kind).
        Days, orders and quantities; `own_rate` is purchases a day since the first one.
    """
    history = history.known(origin)
    pairs = _pairs(history, origin, min_purchases)
    joined = pairs.join(_consumers(history, pairs, origin), on="consumer").join(_kinds(pairs), on="kind")
    orders = history.orders.select("consumer", "at", number=1)
    orders = orders.with_columns(number=pl.col("number").cum_sum().over("consumer"))
    # The count of the consumer's orders up to the last purchase tells how many visits went by without it.
    at_last = orders.group_by("consumer", "at").agg(number=pl.col("number").max())
    joined = joined.join(at_last, on=["consumer", "at"], how="left")
    visits = 14 * pl.col("orders_112d") / pl.col("tenure_days").clip(14, 112)
    return (
        joined.with_columns(
            overdue_ratio=pl.col("days_since_last") / pl.col("mean_interval_days").clip(0.5, None),
            days_until_due=pl.col("mean_interval_days") - pl.col("days_since_last"),
            share_of_orders=pl.col("times") / pl.col("consumer_orders"),
            share_since_first=pl.col("times") / (pl.col("days_since_first") + 1),
            orders_since_last=pl.col("consumer_orders") - pl.col("number"),
            kind_overdue_ratio=pl.col("days_since_last") / pl.col("kind_interval_days").clip(0.5, None),
            expected_visits_14d=visits,
        )
        .select("consumer", "kind", *(pl.col(name).cast(pl.Float32) for name in FEATURES))
        .sort("consumer", "kind")
    )


def rebought(
    history: History, pairs: pl.DataFrame, origin: datetime, end: datetime, known: datetime | None = None
) -> pl.Series:
    """Whether each pair was bought in `(origin, end]`, as known at `known` (all, by default).

    Returns:
        Boolean, in the order of `pairs`.
    """
    window = history.between(origin, end, known or history.as_of).purchases
    bought = window.select("consumer", "kind", label=True).unique()
    joined = pairs.select("consumer", "kind").join(
        bought, on=["consumer", "kind"], how="left", maintain_order="left"
    )
    return joined["label"].fill_null(False)


def named_pairs(pairs: pl.DataFrame, history: History) -> pl.DataFrame:
    """Rows of `rebuy_features` under `consumer_id` and `category_id` instead of their codes."""
    return pairs.select(
        history.consumers.gather(pairs["consumer"]).alias("consumer_id"),
        history.kinds.gather(pairs["kind"]).alias("category_id"),
        *FEATURES,
    )


def _pairs(history: History, origin: datetime, min_purchases: int) -> pl.DataFrame:
    age, qty = pl.col("age"), pl.col("qty")
    known = history.purchases.with_columns(age=age_days(origin))
    # Purchases come ordered by (consumer, kind, at), so the first differences inside a group are intervals.
    return (
        known.group_by("consumer", "kind", maintain_order=True)
        .agg(
            pl.col("at").last(),
            times=pl.len(),
            days_since_last=age.last(),
            days_since_first=age.first(),
            interval_std=age.diff().std(),
            last_interval_days=age.get(-2, null_on_oob=True) - age.last(),
            times_14d=(age < 14).sum(),
            times_28d=(age < 28).sum(),
            times_56d=(age < 56).sum(),
            times_112d=(age < 112).sum(),
            decay_14d=(-age / 14).exp().sum(),
            decay_30d=(-age / 30).exp().sum(),
            decay_90d=(-age / 90).exp().sum(),
            mean_qty=qty.mean(),
            last_qty=qty.last(),
        )
        .filter(pl.col("times") >= min_purchases)
        .with_columns(
            mean_interval_days=(pl.col("days_since_first") - pl.col("days_since_last"))
            / (pl.col("times") - 1),
            own_rate=pl.col("times") / pl.col("days_since_first").clip(14, None),
            last_qty_ratio=pl.col("last_qty") / pl.col("mean_qty").clip(0.1, None),
        )
        .with_columns(interval_cv=pl.col("interval_std") / pl.col("mean_interval_days").clip(0.5, None))
    )


def _consumers(history: History, pairs: pl.DataFrame, origin: datetime) -> pl.DataFrame:
    age = pl.col("age")
    orders = history.orders.with_columns(age=age_days(origin))
    visits = orders.group_by("consumer").agg(
        consumer_orders=pl.len(),
        order_recency_days=age.min(),
        orders_14d=(age < 14).sum(),
        orders_28d=(age < 28).sum(),
        orders_112d=(age < 112).sum(),
        tenure_days=age.max(),
    )
    shares = pairs.group_by("consumer").agg(
        consumer_kinds=pl.len(), consumer_rebuy_share=(pl.col("days_since_last") < 14).mean()
    )
    return visits.join(shares, on="consumer")


def _kinds(pairs: pl.DataFrame) -> pl.DataFrame:
    """What all consumers together tell of a product type."""
    return pairs.group_by("kind").agg(
        kind_buyers=pl.len(),
        kind_interval_days=pl.col("mean_interval_days").median(),
        kind_rebuy_share=((pl.col("days_since_last") < 14).sum() + 1) / (pl.len() + 5),
        kind_trend=(pl.col("times_28d").sum() + 1) / (pl.col("times_112d").sum() / 4 + 1),
    )
