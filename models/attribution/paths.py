"""Paths: the touches that stand before an order, and those that no order followed. Pure.

An order's path is every touch of its consumer within the window before it, oldest first; a touch may stand
before several orders. Touches that stand before none are paths without an order, cut where two of them lie
further apart than the window.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from models.attribution.config import AttributionConfig
from models.errors import FrameError

STEPS: dict[str, pl.DataType] = {
    "path_id": pl.String(),
    "step": pl.Int64(),
    "channel": pl.String(),
    "age_days": pl.Float64(),
}
"""One row a touch of a path: its place from 0, its channel, and how long before the order it was."""

TOUCHES = ("consumer_id", "channel", "occurred_at")
ORDERS = ("order_id", "consumer_id", "placed_at")


@dataclass(frozen=True)
class Paths:
    """Paths with and without an order.

    Attributes:
        converted: As `STEPS`; `path_id` is the order's id.
        open: As `STEPS`; `path_id` is a number as text, `age_days` is 0.
    """

    converted: pl.DataFrame
    open: pl.DataFrame


def paths(touches: pl.DataFrame, orders: pl.DataFrame, config: AttributionConfig) -> Paths:
    """Paths of orders, and of consumers who did not order.

    Args:
        touches: consumer_id, channel, occurred_at (UTC); without a consumer a touch stands in no path.
        orders: order_id (unique), consumer_id, placed_at (UTC); a guest's order has no path.
        config: Settings.

    Raises:
        FrameError: A column is missing, or an order is named twice.
    """
    for name, frame, columns in (("touches", touches, TOUCHES), ("orders", orders, ORDERS)):
        missing = [column for column in columns if column not in frame.columns]
        if missing:
            raise FrameError(f"{name} lacks {', '.join(missing)}; it needs {', '.join(columns)}")
    if orders["order_id"].n_unique() != orders.height:
        raise FrameError("orders: order_id is not unique; give one row an order")
    window = timedelta(days=config.window_days)
    known = (
        touches.select(TOUCHES)
        .drop_nulls("consumer_id")
        .sort("consumer_id", "occurred_at", "channel")
        .with_row_index("touch")
    )
    pairs = known.join(orders.select(ORDERS).drop_nulls("consumer_id"), on="consumer_id").filter(
        pl.col("occurred_at") < pl.col("placed_at"), pl.col("placed_at") - pl.col("occurred_at") <= window
    )
    converted = pairs.sort("order_id", "touch").select(
        path_id="order_id",
        step=pl.int_range(pl.len()).over("order_id"),
        channel="channel",
        age_days=(pl.col("placed_at") - pl.col("occurred_at")).dt.total_microseconds() / 86_400e6,
    )
    left = known.join(pairs.select("touch").unique(), on="touch", how="anti").sort("touch")
    begins = (pl.col("consumer_id") != pl.col("consumer_id").shift()).fill_null(True) | (
        pl.col("occurred_at") - pl.col("occurred_at").shift() > window
    ).fill_null(True)
    number = left.with_columns(path_id=begins.cum_sum().cast(pl.String))
    return Paths(
        converted.cast(STEPS),  # type: ignore[arg-type]
        number.select(
            "path_id",
            step=pl.int_range(pl.len()).over("path_id"),
            channel="channel",
            age_days=pl.lit(0.0),
        ).cast(STEPS),  # type: ignore[arg-type]
    )
