"""Evidence: what happened, counted by channel and signal, older things less.

Lives here: which rows count for which signal, and the decay. Nothing is estimated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from models.supply.grading.config import GradingConfig

CHANNEL = ("supplier_id", "category_id")
_INSTANT = pl.Datetime("us", "UTC")
LINES = {
    "supplier_id": pl.String(), "category_id": pl.String(), "placed_at": _INSTANT, "is_fault": pl.Boolean(),
}  # fmt: skip
"""A sold line, and whether a case blames the supplier for it."""
DELIVERIES = {
    "supplier_id": pl.String(), "category_id": pl.String(), "due_at": _INSTANT, "is_late": pl.Boolean(),
    "days_late": pl.Float64(),
}  # fmt: skip
"""A parcel or a line of a purchase order that has come, or whose promise has passed: a parcel once for each
category in it. `days_late` is null where it has not come or was in time."""
PURCHASES = {
    "supplier_id": pl.String(), "category_id": pl.String(), "placed_at": _INSTANT, "is_short": pl.Boolean(),
    "is_declined": pl.Boolean(),
}  # fmt: skip
"""An answered line of a purchase order or of a customer's order; `is_short` is null where nobody can tell yet
or nothing is due."""
HELD = {
    "supplier_id": pl.String(), "category_id": pl.String(), "last_at": _INSTANT, "is_held": pl.Boolean(),
}  # fmt: skip
"""A sku that a supplier sold: when last, and whether the quality brake holds it and own lines had faults."""
OFFERS = {
    "supplier_id": pl.String(), "category_id": pl.String(), "sku_id": pl.String(), "valid_from": _INSTANT,
    "supply_price_cents": pl.Int64(), "is_current": pl.Boolean(),
}  # fmt: skip
"""A version of an offer."""
MARKET = {"sku_id": pl.String(), "price_cents": pl.Float64()}
"""What rivals ask for a sku, in the middle."""
EVIDENCE = {
    "supplier_id": pl.String(), "category_id": pl.String(), "signal": pl.String(), "count": pl.Int64(),
    "n": pl.Float64(), "weight_squares": pl.Float64(), "total": pl.Float64(), "squares": pl.Float64(),
}  # fmt: skip
"""By channel and signal: pieces of evidence, their decayed number, the sum of their squared weights, the
decayed sums of values and of squares."""


@dataclass(frozen=True)
class Happened:
    """What a grading looks at; each frame may be without rows.

    Attributes:
        lines: Columns of `LINES`.
        deliveries: Columns of `DELIVERIES`.
        offers: Columns of `OFFERS`.
        market: Columns of `MARKET`.
        purchases: Columns of `PURCHASES`.
        held: Columns of `HELD`.
    """

    lines: pl.DataFrame
    deliveries: pl.DataFrame
    offers: pl.DataFrame
    market: pl.DataFrame
    purchases: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PURCHASES))
    held: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=HELD))


def evidence_of(happened: Happened, as_of: datetime, config: GradingConfig) -> pl.DataFrame:
    """The evidence of every channel.

    A line without a case says as much as one with a case: it counts from the day on which it was placed.

    Args:
        happened: What happened; rows after `as_of` are not looked at.
        as_of: Moment of knowledge, aware UTC.
        config: Settings.

    Returns:
        Columns of `EVIDENCE`, by channel and signal; a channel without rows of a signal has none of it.
    """
    late = happened.deliveries.filter("is_late", pl.col("days_late").is_not_null())
    told = happened.purchases.filter(pl.col("is_short").is_not_null())
    prices = _prices(happened, as_of, config)
    parts = [
        _counted("fault", happened.lines, "placed_at", pl.col("is_fault").cast(pl.Float64), as_of, config),
        _counted("held", happened.held, "last_at", pl.col("is_held").cast(pl.Float64), as_of, config),
        _counted("late", happened.deliveries, "due_at", pl.col("is_late").cast(pl.Float64), as_of, config),
        _counted("days_late", late, "due_at", pl.col("days_late").clip(0).log1p(), as_of, config),
        _counted("short", told, "placed_at", pl.col("is_short").cast(pl.Float64), as_of, config),
        _counted(
            "declined",
            happened.purchases,
            "placed_at",
            pl.col("is_declined").cast(pl.Float64),
            as_of,
            config,
        ),
        *prices,
    ]
    return pl.concat(parts).sort(*CHANNEL, "signal")


def channels_of(happened: Happened) -> pl.DataFrame:
    """Every supplier and category that sold, sent or offers something, by both."""
    parts = [
        frame.select(CHANNEL)
        for frame in (
            happened.lines,
            happened.deliveries,
            happened.purchases,
            happened.offers.filter("is_current"),
        )
    ]
    return pl.concat(parts).unique().sort(CHANNEL)


def _counted(
    signal: str, rows: pl.DataFrame, at: str, value: pl.Expr, as_of: datetime, config: GradingConfig
) -> pl.DataFrame:
    age = (pl.lit(as_of).cast(_INSTANT) - pl.col(at)).dt.total_microseconds() / 86_400_000_000
    weight = (age * (-math.log(2) / config.half_life_days)).exp()
    return (
        rows.filter(pl.col(at) <= as_of)
        .select(*CHANNEL, _w=weight, _v=value)
        .group_by(CHANNEL, maintain_order=True)
        .agg(
            pl.lit(signal).alias("signal"),
            count=pl.len().cast(pl.Int64),
            n=pl.col("_w").sum(),
            weight_squares=(pl.col("_w") ** 2).sum(),
            total=(pl.col("_w") * pl.col("_v")).sum(),
            squares=(pl.col("_w") * pl.col("_v") ** 2).sum(),
        )
        .select(pl.col(name).cast(kind) for name, kind in EVIDENCE.items())
    )


def _prices(happened: Happened, as_of: datetime, config: GradingConfig) -> list[pl.DataFrame]:
    """Prices in force over the others' and over the market, each sku one piece; moves of the last days."""
    priced = happened.offers.filter(pl.col("supply_price_cents") > 0, pl.col("valid_from") <= as_of)
    current = priced.filter("is_current").with_columns(
        log=pl.col("supply_price_cents").log(), now=pl.lit(as_of).cast(_INSTANT)
    )
    others = current.with_columns(
        sellers=pl.len().over("sku_id"), mean=pl.col("log").mean().over("sku_id")
    ).filter(pl.col("sellers") > 1)
    # Against the mean of the others: the own price is taken out of it.
    position = (pl.col("log") - pl.col("mean")) * pl.col("sellers") / (pl.col("sellers") - 1)
    rivals = happened.market.filter(pl.col("price_cents") > 0).select(
        "sku_id", rival=pl.col("price_cents").log()
    )
    market = current.join(rivals, on="sku_id")
    moved = (
        priced.sort("supplier_id", "sku_id", "valid_from")
        .with_columns(before=pl.col("supply_price_cents").shift(1).over("supplier_id", "sku_id"))
        .filter(
            pl.col("before").is_not_null(), pl.col("valid_from") > as_of - timedelta(days=config.price_days)
        )
    )
    change = (pl.col("supply_price_cents") - pl.col("before")).abs() > config.move * pl.col("before")
    return [
        _counted("offers", others, "now", position, as_of, config),
        _counted("market", market, "now", pl.col("log") - pl.col("rival"), as_of, config),
        _counted("moves", moved, "valid_from", change.cast(pl.Float64), as_of, config),
    ]
