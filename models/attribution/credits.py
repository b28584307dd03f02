"""Credits: each order's revenue shared among the channels of its path under seven models, to the fen. Pure.

The credits of an order sum to its revenue under every model: shares are cut to whole fen and what is left
goes to the largest remainders, then by name. What came back of an order is not in its revenue, so a refund
takes credit back. An order that nothing touched has one row, `unattributed`.
"""

from __future__ import annotations

import polars as pl

from models.attribution.config import AttributionConfig
from models.attribution.markov import removal_effects
from models.attribution.paths import Paths
from models.attribution.shapley import shapley_values

MODELS = ("first", "last", "linear", "position", "time_decay", "markov", "shapley")
UNATTRIBUTED = "unattributed"
CREDITS: dict[str, pl.DataType] = {
    "order_id": pl.String(),
    "model": pl.String(),
    "channel": pl.String(),
    "credit_cents": pl.Int64(),
}


def credits_of(paths: Paths, revenue: pl.DataFrame, config: AttributionConfig) -> pl.DataFrame:
    """Share the revenue of orders.

    Args:
        paths: Paths of these orders, and those without an order.
        revenue: order_id (unique), revenue_cents: what was paid less what came back, of either sign.
        config: Settings.

    Returns:
        As `CREDITS`, one row an order, model and channel, in that order.
    """
    shared = weights(paths, config).join(
        revenue.rename({"order_id": "path_id"}).select("path_id", "revenue_cents"), on="path_id"
    )
    credited = _to_the_fen(shared).rename({"path_id": "order_id"})
    nobody = (
        revenue.join(paths.converted.select(order_id="path_id").unique(), on="order_id", how="anti")
        .join(pl.DataFrame({"model": MODELS}), how="cross")
        .select("order_id", "model", channel=pl.lit(UNATTRIBUTED), credit_cents="revenue_cents")
    )
    rows = pl.concat([frame.select(list(CREDITS)).cast(CREDITS) for frame in (credited, nobody)])  # type: ignore[arg-type]
    return rows.sort("order_id", "model", "channel")


def weights(paths: Paths, config: AttributionConfig) -> pl.DataFrame:
    """Weights of the channels of each order's path: path_id, model, channel, weight; they sum to 1."""
    steps = paths.converted.with_columns(
        n=pl.len().over("path_id"), is_last=pl.col("step") == pl.col("step").max().over("path_id")
    )
    is_first = pl.col("step") == 0
    between = (1 - 2 * config.end_share) / (pl.col("n") - 2)
    raw = {
        "first": is_first.cast(pl.Float64),
        "last": pl.col("is_last").cast(pl.Float64),
        "linear": pl.lit(1.0),
        "position": pl.when(pl.col("n") <= 2)
        .then(1.0)
        .when(is_first | pl.col("is_last"))
        .then(config.end_share)
        .otherwise(between),
        "time_decay": 0.5 ** (pl.col("age_days") / config.half_life_days),
    }
    by_touch = [
        steps.group_by("path_id", "channel").agg(weight=rule.sum()).with_columns(model=pl.lit(model))
        for model, rule in raw.items()
    ]
    distinct = steps.select("path_id", "channel").unique()
    by_channel = [
        distinct.with_columns(
            model=pl.lit(model),
            weight=pl.col("channel").replace_strict(told, default=0.0, return_dtype=pl.Float64).clip(0),
        )
        for model, told in (("markov", removal_effects(paths)), ("shapley", shapley_values(paths)))
        if told
    ]
    columns = ["path_id", "model", "channel", "weight"]
    rows = pl.concat([frame.select(columns) for frame in (*by_touch, *by_channel)])
    whole = pl.col("weight").sum().over("path_id", "model")
    alike = 1 / pl.len().over("path_id", "model")
    # Channels of a path that are all worth nothing share it alike: its revenue came from somewhere.
    return rows.with_columns(weight=pl.when(whole > 0).then(pl.col("weight") / whole).otherwise(alike))


def _to_the_fen(shared: pl.DataFrame) -> pl.DataFrame:
    key = ["path_id", "model"]
    exact = pl.col("revenue_cents").abs() * pl.col("weight")
    cut = shared.with_columns(exact=exact).with_columns(whole=pl.col("exact").floor().cast(pl.Int64))
    left = pl.col("revenue_cents").abs() - pl.col("whole").sum().over(key)
    placed = (
        cut.with_columns(left=left, rest=pl.col("exact") - pl.col("whole"))
        .sort(*key, "rest", "channel", descending=[False, False, True, False])
        .with_columns(place=pl.int_range(pl.len()).over(key))
    )
    credit = pl.col("whole") + (pl.col("place") < pl.col("left")).cast(pl.Int64)
    return placed.with_columns(credit_cents=credit * pl.col("revenue_cents").sign())
