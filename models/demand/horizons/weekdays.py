"""How a week's units fall on its days: shares by weekday, and how much they scatter around them.

A series' own split is drawn to its category's and that to everybody's: most series are too small for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.metrics import FloatArray

COLUMNS = ("merchant_id", "category_l2_id", "placed_on", "qty")
DAYS = 7
PAST_WEEKS = 13
PRIOR_UNITS = 400.0
"""So many units the wider split weighs beside a narrower one."""


@dataclass(frozen=True)
class Weekdays:
    """What the newest weeks tell of weekdays, Monday first; every split sums to 1.

    Attributes:
        everybody: float64 (7,).
        categories: Category to its (7,).
        series: (merchant, category) to its (7,).
        scatter: Variance of a day's units, its week given, over that of a coin for each unit; at least 1.
    """

    everybody: FloatArray
    categories: dict[str, FloatArray]
    series: dict[tuple[str, str], FloatArray]
    scatter: float

    def shares(self, merchants: list[str], categories: list[str]) -> FloatArray:
        """Shares of n series by weekday, float64 (n, 7)."""
        rows = [
            self.series.get((merchant, category), self.categories.get(category, self.everybody))
            for merchant, category in zip(merchants, categories, strict=True)
        ]
        return np.stack(rows) if rows else np.zeros((0, DAYS))


def learn(lines: pl.DataFrame, first: date) -> Weekdays:
    """Read the weeks before a Monday.

    Args:
        lines: `COLUMNS` (local days, units) of merchandise as it is known now.
        first: The Monday.

    Returns:
        Uniform shares and a scatter of 1 where nothing was sold in the newest `PAST_WEEKS` weeks.
    """
    since = first - timedelta(weeks=PAST_WEEKS)
    day = (pl.col("placed_on") - since).dt.total_days()
    key = ["category_l2_id", "merchant_id", "week"]
    weeks = (
        lines.filter(pl.col("placed_on").is_between(since, first, closed="left") & (pl.col("qty") > 0))
        .with_columns(week=day // DAYS, weekday=day % DAYS)
        .group_by(*key)
        .agg(
            pl.col("qty").filter(pl.col("weekday") == k).cast(pl.Float64).sum().alias(str(k))
            for k in range(DAYS)
        )
        .sort(*key)
    )
    even = np.full(DAYS, 1 / DAYS)
    if weeks.is_empty():
        return Weekdays(even, {}, {}, 1.0)
    units = weeks.select(map(str, range(DAYS))).to_numpy()
    everybody = _split(units.sum(axis=0), even, 0.0)
    names, of_category = np.unique(weeks["category_l2_id"].to_numpy(), return_inverse=True)
    by_category = _split(_summed(units, of_category), everybody, PRIOR_UNITS)
    series = weeks.select("category_l2_id", "merchant_id")
    of_series = series.select(pl.struct(pl.all()).rle_id()).to_series().to_numpy()
    first_row = np.unique(of_series, return_index=True)[1]
    by_series = _split(_summed(units, of_series), by_category[of_category[first_row]], PRIOR_UNITS)
    keys = series[first_row].select("merchant_id", "category_l2_id").rows()
    return Weekdays(
        everybody,
        dict(zip(names.tolist(), by_category, strict=True)),
        dict(zip(keys, by_series, strict=True)),
        _scatter(units, everybody),
    )


def _summed(units: FloatArray, group: npt.NDArray[Any]) -> FloatArray:
    """Rows of units summed by group, float64 (groups, 7)."""
    total = np.zeros((int(group.max()) + 1, DAYS))
    np.add.at(total, group, units)
    return total


def _split(units: FloatArray, wider: FloatArray, prior: float) -> FloatArray:
    """Units by weekday (..., 7) as shares, with so many units of a wider split mixed in."""
    return np.asarray((units + prior * wider) / (units.sum(axis=-1, keepdims=True) + prior))


def _scatter(weeks: FloatArray, shares: FloatArray) -> float:
    """Squared distance of days (n, 7) from their share of the week, over units x share x (1 - share)."""
    sold = weeks.sum(axis=1, keepdims=True)
    coin = float((sold * shares * (1 - shares)).sum())
    return max(1.0, float(((weeks - sold * shares) ** 2).sum()) / coin) if coin > 0 else 1.0
