"""Growth value: what settled spend and interactions of a window of days are worth. Whole numbers, exact.

The value of a day is made anew from the facts of its window: no order of events, no earlier value and no
number of runs matters, and a refund lowers the spend of the day on which its order was settled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import Literal

import polars as pl

Kind = Literal["visit", "review", "referral"]

SPENT: Mapping[str, pl.DataType] = MappingProxyType(
    {"consumer_id": pl.String(), "day": pl.Date(), "cents": pl.Int64()}
)
"""Settled spend net of refunds, minor units, by the local day on which it was settled; below 0 where more
came back than was bought. Rows of one consumer and day add up."""
ACTED: Mapping[str, pl.DataType] = MappingProxyType(
    {"consumer_id": pl.String(), "day": pl.Date(), "kind": pl.String(), "times": pl.Int64()}
)
"""Interactions by local day. Rows of one consumer, day and kind add up."""


@dataclass(frozen=True, slots=True)
class Worth:
    """What one interaction of a kind is worth.

    Attributes:
        growth: Growth value of one.
        per_day: Most of them that count on a local day.
    """

    growth: int
    per_day: int


@dataclass(frozen=True, slots=True)
class Earning:
    """How growth is earned.

    Attributes:
        window_days: Local days that count, the last one included.
        per_unit: Growth value of one unit of the currency (100 minor units).
        acts: What interactions are worth; kinds that are missing are worth nothing.
    """

    window_days: int
    per_unit: int
    acts: Mapping[str, Worth]


def growth_of(spent: pl.DataFrame, acted: pl.DataFrame, earning: Earning, today: date) -> dict[str, int]:
    """Growth value of everybody who has facts in the window.

    Args:
        spent: Columns of `SPENT`.
        acted: Columns of `ACTED`.
        earning: How growth is earned.
        today: Last local day of the window.

    Returns:
        Consumer to growth value, 0 or more; fractions of a unit of spend are dropped once, from the sum.
    """
    first = today - timedelta(days=earning.window_days - 1)
    counts = pl.col("day").is_between(first, today)
    money = spent.filter(counts).group_by("consumer_id").agg(cents=pl.col("cents").sum())
    worth = pl.DataFrame(
        [(kind, one.growth, one.per_day) for kind, one in earning.acts.items()],
        schema={"kind": pl.String(), "worth": pl.Int64(), "per_day": pl.Int64()},
        orient="row",
    )
    acts = (
        acted.filter(counts)
        .group_by("consumer_id", "day", "kind")
        .agg(times=pl.col("times").sum())
        .join(worth, on="kind")
        .group_by("consumer_id")
        .agg(acts=(pl.min_horizontal("times", "per_day") * pl.col("worth")).sum())
    )
    both = money.join(acts, on="consumer_id", how="full", coalesce=True).fill_null(0)
    earned = both.select(
        "consumer_id",
        growth=(pl.max_horizontal(pl.col("cents"), pl.lit(0)) * earning.per_unit) // 100 + pl.col("acts"),
    )
    return dict(earned.sort("consumer_id").iter_rows())
