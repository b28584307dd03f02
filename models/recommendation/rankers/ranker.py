"""The LightGBM repeat ranker: will this consumer buy this known sku again within the horizon?

Features use purchases up to an origin only; labels come from the window after it. LightGBM is imported
inside the functions that need it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.recommendation.config import RankerParams
from models.recommendation.interactions import Interactions

FEATURES = (
    "times", "days_since_last", "days_since_first", "times_28d", "times_84d", "mean_qty", "decay_30d",
    "decay_90d", "baskets", "user_age_days", "user_days_since_last", "baskets_28d", "user_skus",
    "item_baskets", "item_buyers", "item_baskets_28d", "item_baskets_14d", "category_times",
    "category_days_since_last", "category_decay_30d", "basket_share", "mean_interval_days",
    "item_repeat_rate", "overdue_ratio", "daily_rate", "item_trend", "share_of_category", "basket_rate",
)  # fmt: skip
_MICROS_A_DAY = 86_400_000_000.0
_FIXED_POINT = 2.0**32
# One thread: the trees are small, and beside another busy process two threads wait for each other longer
# than they compute.
_THREADS = 1


def pair_features(interactions: Interactions, origin: datetime, params: RankerParams) -> pl.DataFrame:
    """Interval and frequency features of every candidate pair of consumer and known sku.

    Args:
        interactions: Purchases; rows after `origin` are not looked at.
        origin: Moment of knowledge.
        params: `recent_days` bounds the candidates that were bought once.

    Returns:
        `user`, `item` (int64) and `FEATURES` (float32), one row a pair, ordered by (user, item). Units: days,
        baskets, quantities. `overdue_ratio` is null for skus bought once.
    """
    age = (pl.lit(origin) - pl.col("at")).dt.total_microseconds() / _MICROS_A_DAY
    known = (
        interactions.until(origin)
        .select("user", "item", "category", "basket", pl.col("qty").clip(0, 100), age=age)
        .with_columns(decay_30d=_decay(30), decay_90d=_decay(90))
    )
    pairs = (
        known.group_by("user", "item")
        .agg(
            category=pl.col("category").first(),
            times=pl.len(),
            days_since_last=pl.col("age").min(),
            days_since_first=pl.col("age").max(),
            times_28d=(pl.col("age") < 28).sum(),
            times_84d=(pl.col("age") < 84).sum(),
            mean_qty=pl.col("qty").mean(),
            decay_30d=pl.col("decay_30d").sum() / _FIXED_POINT,
            decay_90d=pl.col("decay_90d").sum() / _FIXED_POINT,
        )
        .filter((pl.col("days_since_last") < params.recent_days) | (pl.col("times") > 1))
    )
    baskets = known.group_by("user", "basket").agg(age=pl.col("age").min())
    users = (
        baskets.group_by("user")
        .agg(
            baskets=pl.len(),
            user_age_days=pl.col("age").max(),
            user_days_since_last=pl.col("age").min(),
            baskets_28d=(pl.col("age") < 28).sum(),
        )
        .join(known.group_by("user").agg(user_skus=pl.col("item").n_unique()), on="user")
    )
    items = known.group_by("item").agg(
        item_baskets=pl.len(),
        item_buyers=pl.col("user").n_unique(),
        item_baskets_28d=(pl.col("age") < 28).sum(),
        item_baskets_14d=(pl.col("age") < 14).sum(),
    )
    categories = (
        known.group_by("user", "category", "basket")
        .agg(age=pl.col("age").min(), decay_30d=pl.col("decay_30d").min())
        .group_by("user", "category")
        .agg(
            category_times=pl.len(),
            category_days_since_last=pl.col("age").min(),
            category_decay_30d=pl.col("decay_30d").sum() / _FIXED_POINT,
        )
    )
    joined = (
        pairs.join(users, on="user")
        .join(items, on="item")
        .join(categories, on=["user", "category"])
        .with_columns(
            basket_share=pl.col("times") / pl.col("baskets"),
            mean_interval_days=(pl.col("days_since_first") - pl.col("days_since_last"))
            / (pl.col("times") - 1).clip(1),
            item_repeat_rate=pl.col("item_baskets") / pl.col("item_buyers"),
            daily_rate=pl.col("times") / (pl.col("days_since_first") + 7),
            item_trend=pl.col("item_baskets_28d") / pl.col("item_baskets"),
            share_of_category=pl.col("times") / pl.col("category_times"),
            basket_rate=pl.col("baskets") / (pl.col("user_age_days") + 1),
        )
        .with_columns(
            overdue_ratio=pl.when(pl.col("times") > 1).then(
                pl.col("days_since_last") / pl.col("mean_interval_days").clip(0.5, None)
            )
        )
    )
    return joined.select("user", "item", *(pl.col(name).cast(pl.Float32) for name in FEATURES)).sort(
        "user", "item"
    )


def no_pairs() -> pl.DataFrame:
    """Zero rows of `pair_features`."""
    keys: dict[str, pl.DataType] = {"user": pl.Int64(), "item": pl.Int64()}
    return pl.DataFrame(schema=keys | dict.fromkeys(FEATURES, pl.Float32()))


def named_pairs(pairs: pl.DataFrame, interactions: Interactions) -> pl.DataFrame:
    """Rows of `pair_features` under `consumer_id` and `sku_id` instead of their codes."""
    consumers = pl.Series(interactions.consumers, dtype=pl.String)
    skus = pl.Series(interactions.skus, dtype=pl.String)
    return pairs.select(
        consumers.gather(pairs["user"]).alias("consumer_id"),
        skus.gather(pairs["item"]).alias("sku_id"),
        *FEATURES,
    )


def _decay(days: int) -> pl.Expr:
    """exp(-age / days) in fixed point: sums of integers do not depend on the order of threads."""
    return ((-pl.col("age") / days).exp() * _FIXED_POINT).round().cast(pl.Int64)


def labels(
    interactions: Interactions, pairs: pl.DataFrame, start: datetime, end: datetime, known: datetime
) -> npt.NDArray[Any]:
    """1 where the pair was bought in `(start, end]`, as known at `known`: float32 (n_pairs,)."""
    rows = interactions.between(start, end, known)
    bought = rows.select("user", "item").unique().with_columns(label=pl.lit(1.0))
    joined = pairs.select("user", "item").join(bought, on=["user", "item"], how="left", maintain_order="left")
    return joined["label"].fill_null(0.0).cast(pl.Float32).to_numpy()


def fit_ranker(examples: list[tuple[pl.DataFrame, npt.NDArray[Any]]], params: RankerParams, seed: int) -> str:
    """Fit the ranker.

    Args:
        examples: Feature frames with their labels, one pair a training origin.
        params: Settings.
        seed: Seed.

    Returns:
        The booster as LightGBM's text form.
    """
    import lightgbm as lgb

    values = np.concatenate([as_matrix(frame) for frame, _ in examples])
    label = np.concatenate([one for _, one in examples])
    settings = {
        "objective": "binary",
        "num_leaves": params.leaves,
        "learning_rate": params.learning_rate,
        "min_data_in_leaf": params.min_rows_a_leaf,
        "max_bin": 63,
        "num_threads": _THREADS,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed,
        "verbose": -1,
    }
    booster = lgb.train(settings, lgb.Dataset(values, label, free_raw_data=True), params.rounds)
    return str(booster.model_to_string())


def score_pairs(model: str, pairs: pl.DataFrame) -> npt.NDArray[np.float32]:
    """Probability of a repeat purchase within the horizon: float32 (n_pairs,), 0-1."""
    import lightgbm as lgb

    if pairs.height == 0:
        return np.zeros(0, np.float32)
    booster = lgb.Booster(model_str=model)
    return np.asarray(booster.predict(as_matrix(pairs), num_threads=_THREADS), dtype=np.float32)


def as_matrix(pairs: pl.DataFrame) -> npt.NDArray[np.float32]:
    """`FEATURES` as float32 (n_pairs, n_features); null becomes NaN."""
    return pairs.select(FEATURES).to_numpy().astype(np.float32, copy=False)
