"""How stated capacities swing around what is usual for whoever states them."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from models.supply.watch.config import WatchConfig

STATEMENTS: Mapping[str, pl.DataType] = {
    "object_id": pl.String(),
    "qty": pl.Int64(),
    "stated_at": pl.Datetime("us", "UTC"),
}
"""Columns of stated capacities, units a day; one row per statement."""


def swings(statements: pl.DataFrame, config: WatchConfig) -> pl.DataFrame:
    """The newest statement of everybody who states a capacity, against the median of the days before it.

    Of two statements of one moment the larger counts. Who stated fewer than `least_statements` within
    `median_days` before is not judged.

    Args:
        statements: `STATEMENTS`.
        config: Settings.

    Returns:
        object_id, qty, stated_at, median, swing (`(qty - median) / median`), calm_since (the first
        statement since which all lie nearer than `rules.calm_swing`; null where the newest does not), by
        object_id.
    """
    ordered = (
        statements.group_by("object_id", "stated_at").agg(pl.col("qty").max()).sort("object_id", "stated_at")
    )
    median = pl.col("qty").rolling_median_by(
        "stated_at",
        window_size=f"{config.median_days}d",
        min_samples=config.least_statements,
        closed="left",
    )
    judged = (
        ordered.with_columns(median=median.over("object_id"))
        .drop_nulls("median")
        .with_columns(
            swing=pl.when(pl.col("median") > 0)
            .then((pl.col("qty") - pl.col("median")) / pl.col("median"))
            .otherwise(pl.when(pl.col("qty") > 0).then(float("inf")).otherwise(0.0))
        )
        .with_columns(is_calm=pl.col("swing").abs() < config.rules.calm_swing)
        .with_columns(was_wild_at=pl.col("stated_at").filter(~pl.col("is_calm")).max().over("object_id"))
    )
    since_calm = (
        judged.filter(pl.col("was_wild_at").is_null() | (pl.col("stated_at") > pl.col("was_wild_at")))
        .group_by("object_id")
        .agg(calm_since=pl.col("stated_at").min())
    )
    return (
        judged.group_by("object_id")
        .agg(pl.col("qty", "stated_at", "median", "swing").last())
        .join(since_calm, on="object_id", how="left")
        .sort("object_id")
    )
