"""Point-in-time features of churn: the rhythm, the spend and the breadth of a consumer at an origin.

Only orders at or before the origin are looked at. Labels look at the window after it; neither fits anything.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from models.lifecycle.history import History, age_days

WINDOWS = (7, 14, 28, 56, 112)
LOOKBACK_DAYS = 182
FEATURES = (
    "recency_days", "gap_mean_days", "gap_median_days", "gap_p90_days", "gap_std_days", "gap_max_days",
    "gap_last_days", "recency_over_mean", "recency_over_median", "recency_over_p90", "recency_over_max",
    *(f"orders_{days}d" for days in WINDOWS), "visit_days", "active_weeks_16", "decay_7d", "decay_21d",
    "decay_60d", "order_trend", "tenure_days", "spend_28d_cents", "spend_112d_cents", "spend_trend",
    "basket_cents", "last_basket_ratio", "basket_lines", "basket_qty", "basket_kinds", "breadth_kinds",
    "breadth_56d_share", "merchants", "top_merchant_share", "weekend_share", "promo_share", "coupon_share",
    "no_goods_share", "biggest_block_share",
)  # fmt: skip


def churn_features(history: History, origin: datetime, active_days: int) -> pl.DataFrame:
    """Features of every consumer with an order in `(origin - active_days, origin]`.

    Args:
        history: Orders; rows after `origin` are not looked at.
        origin: Moment of knowledge, tz-aware UTC.
        active_days: Length of the window that makes a consumer active.

    Returns:
        `consumer` (int32) and `FEATURES` (float32), one row a consumer, ascending. Days, cents and counts of
        orders within `LOOKBACK_DAYS`; ratios where the name says so; null where a consumer has no gap.
    """
    since = origin - timedelta(days=LOOKBACK_DAYS)
    in_window = (pl.col("at") <= origin) & (pl.col("at") > since)
    known = history.orders.filter(in_window).with_columns(age=age_days(origin))
    active = known.group_by("consumer").agg(recency=pl.col("age").min())
    active = active.filter(pl.col("recency") < active_days).select("consumer")
    known = known.join(active, on="consumer", how="semi")
    frame = (
        active.join(_rhythm(known), on="consumer")
        .join(_orders(known), on="consumer")
        .join(_merchants(known), on="consumer")
        .join(_breadth(history, origin), on="consumer", how="left")
    )
    ratios = {
        f"recency_over_{name}": pl.col("recency_days") / pl.col(f"gap_{name}_days").clip(0.5, None)
        for name in ("mean", "median", "p90", "max")
    }
    trend = {
        "order_trend": (pl.col("orders_28d") + 0.5) / (pl.col("orders_112d") / 4 + 0.5),
        "spend_trend": (pl.col("spend_28d_cents") + 500) / (pl.col("spend_112d_cents") / 4 + 500),
    }
    return (
        frame.with_columns(pl.col("breadth_kinds", "breadth_56d_share").fill_null(0), **ratios, **trend)
        .select("consumer", *(pl.col(name).cast(pl.Float32) for name in FEATURES))
        .sort("consumer")
    )


def churned(history: History, consumers: pl.Series, origin: datetime, end: datetime) -> pl.Series:
    """Whether each consumer has no order in `(origin, end]`: Boolean, in the order given."""
    window = history.orders.filter((pl.col("at") > origin) & (pl.col("at") <= end))
    return ~consumers.is_in(window["consumer"].unique().implode())


def _rhythm(known: pl.DataFrame) -> pl.DataFrame:
    """Gaps between visits; orders of the same 24 hours, counted back from the origin, are one visit."""
    visits = (
        known.group_by("consumer", day=pl.col("age").floor())
        .agg(age=pl.col("age").min())
        .sort("consumer", "age", descending=[False, True])
        .with_columns(gap=pl.col("age").shift(1).over("consumer") - pl.col("age"))
    )
    gap, age = pl.col("gap"), pl.col("age")
    return visits.group_by("consumer").agg(
        recency_days=age.min(),
        gap_mean_days=gap.mean(),
        gap_median_days=gap.median(),
        gap_p90_days=gap.quantile(0.9, "linear"),
        gap_std_days=gap.std(),
        gap_max_days=gap.max(),
        gap_last_days=gap.last(),
        visit_days=pl.len(),
        active_weeks_16=(age.filter(age < 112) / 7).floor().n_unique(),
        decay_7d=(-age / 7).exp().sum(),
        decay_21d=(-age / 21).exp().sum(),
        decay_60d=(-age / 60).exp().sum(),
    )


def _orders(known: pl.DataFrame) -> pl.DataFrame:
    age, net = pl.col("age"), pl.col("net_cents")
    day = pl.col("at").dt.weekday()
    listed = pl.col("list_cents").sum().clip(1, None)
    return known.group_by("consumer", maintain_order=True).agg(
        *((age < days).sum().alias(f"orders_{days}d") for days in WINDOWS),
        tenure_days=age.max(),
        spend_28d_cents=net.filter(age < 28).sum(),
        spend_112d_cents=net.filter(age < 112).sum(),
        basket_cents=net.mean(),
        last_basket_ratio=net.last() / net.mean().clip(1, None),
        basket_lines=pl.col("lines").mean(),
        basket_qty=pl.col("qty").mean(),
        basket_kinds=pl.col("kinds").mean(),
        biggest_block_share=pl.max_horizontal(
            *((age.is_between(28 * b, 28 * (b + 1), closed="left")).sum() for b in range(4))
        )
        / (age < 112).sum(),
        weekend_share=(day >= 6).mean(),
        promo_share=pl.col("promo_cents").sum() / listed,
        coupon_share=pl.col("coupon_cents").sum() / listed,
        no_goods_share=(~pl.col("is_goods")).mean(),
    )


def _merchants(known: pl.DataFrame) -> pl.DataFrame:
    return (
        known.group_by("consumer", "merchant")
        .agg(orders=pl.len())
        .group_by("consumer")
        .agg(merchants=pl.len(), top_merchant_share=pl.col("orders").max() / pl.col("orders").sum())
    )


def _breadth(history: History, origin: datetime) -> pl.DataFrame:
    """Distinct product types in 112 days, and the share of them seen in the last 56."""
    since = origin - timedelta(days=112)
    return (
        history.purchases.filter((pl.col("at") <= origin) & (pl.col("at") > since))
        .group_by("consumer", "kind")
        .agg(recent=pl.col("at").max() > origin - timedelta(days=56))
        .group_by("consumer")
        .agg(breadth_kinds=pl.len(), breadth_56d_share=pl.col("recent").mean())
    )
