"""What customers had done by a moment, from their days of purchase: the rows that models of value read.

A day counts once, however many orders it has. Weeks count from a customer's first day. Nothing is fitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from models.data import Purchases
from models.errors import ModelError
from models.lifecycle.value.bgnbd import Summary
from models.metrics import FloatArray

FEATURES = (
    "repeats", "last_share", "rate", "silence_in_own_gaps", "late_share", "last_gap_share",
    "spend_a_day_cents",
)  # fmt: skip


@dataclass(frozen=True)
class Histories:
    """Customers at a moment, one row each, ordered by id.

    Attributes:
        ids: Customer ids, ascending.
        known: Repeat days, weeks until the last one, age in weeks.
        values: float32 (n, len(FEATURES)); NaN where a feature is unknown.
        spend_cents: Net spend until the moment, float64 (n,).
        later: Days of purchase after the moment, as far as the data go; float64 (n,).
        later_cents: Net spend of these, float64 (n,).
        weeks_left: From the moment to the end of the data, float64 (n,).
    """

    ids: pl.Series
    known: Summary
    values: npt.NDArray[np.float32]
    spend_cents: FloatArray
    later: FloatArray
    later_cents: FloatArray
    weeks_left: FloatArray

    def __len__(self) -> int:
        return len(self.ids)


def purchase_days(purchases: Purchases | pl.DataFrame, until: datetime) -> pl.DataFrame:
    """Purchases as days of customers.

    Args:
        purchases: Purchases with `value_cents` (a return is money alone), or `consumer_id`, `at` (UTC),
            `value_cents` (net, may be negative: money given back); a row
            without `is_purchase`, or with it true, is a purchase, others are money alone.
        until: Moment of knowledge, tz-aware UTC; later rows are dropped.

    Returns:
        `consumer_id`, `week` (since the customer's first day), `value_cents` (float64) and `is_purchase`,
        one row a customer and day from the first purchase on, ordered by both; `age` (weeks from the first
        day to the day of `until`) on every row.

    Raises:
        ModelError: A column is missing.
        ValueError: `until` has no time zone.
    """
    if isinstance(purchases, Purchases):
        purchases = purchases.frame.with_columns(is_purchase=pl.col("quantity") > 0)
    if missing := [name for name in ("consumer_id", "at", "value_cents") if name not in purchases.columns]:
        raise ModelError(f"customer value: purchases lack the columns {', '.join(missing)}")
    if until.tzinfo is None:
        raise ValueError(f"until {until.isoformat()} has no time zone; times are UTC here")
    bought = pl.col("is_purchase") if "is_purchase" in purchases.columns else pl.lit(True)
    day, first = pl.col("day"), pl.col("first")
    return (
        purchases.filter((pl.col("at") <= until) & pl.col("consumer_id").is_not_null())
        .group_by("consumer_id", day=pl.col("at").dt.date())
        .agg(pl.col("value_cents").sum().cast(pl.Float64), is_purchase=bought.any())
        .with_columns(first=day.filter(pl.col("is_purchase")).min().over("consumer_id"))
        .filter(day >= first)
        .select(
            "consumer_id",
            "value_cents",
            "is_purchase",
            week=(day - first).dt.total_days() / 7,
            age=(pl.lit(until.date()) - first).dt.total_days() / 7,
        )
        .sort("consumer_id", "week")
    )


def at_the_end(days: pl.DataFrame) -> Histories:
    """Every customer, with all that is known."""
    return _at(days, pl.col("age"))


def at_share(days: pl.DataFrame, horizon: float) -> Histories:
    """Every customer at the age that stands to her whole one as her whole one to its sum with the horizon.

    `age ** 2 / (age + horizon)`: what is learnt from the part after it is asked as far ahead, in relation to
    what was known, as the question itself.

    Args:
        days: From `purchase_days`.
        horizon: Weeks to come that are asked for.
    """
    return _at(days, pl.col("age") ** 2 / (pl.col("age") + horizon))


def repeat_ages(days: pl.DataFrame) -> FloatArray:
    """Age in weeks at every repeat purchase, float64."""
    found = days.filter(pl.col("is_purchase") & (pl.col("week") > 0))["week"]
    return np.asarray(found.to_numpy(), dtype=np.float64)


def _at(days: pl.DataFrame, moment: pl.Expr) -> Histories:
    week, cents, bought = pl.col("week"), pl.col("value_cents"), pl.col("is_purchase")
    rows = (
        days.with_columns(moment=moment)
        .with_columns(seen=week <= pl.col("moment"))
        .group_by("consumer_id", maintain_order=True)
        .agg(
            pl.col("age", "moment").first(),
            repeats=(bought & pl.col("seen")).sum().cast(pl.Float64) - 1,
            last=week.filter(bought & pl.col("seen")).last(),
            one_before=week.filter(bought & pl.col("seen")).get(-2, null_on_oob=True),
            late=(bought & pl.col("seen") & (week > pl.col("moment") / 2)).sum().cast(pl.Float64),
            spend=cents.filter(pl.col("seen")).sum(),
            later=(bought & ~pl.col("seen")).sum().cast(pl.Float64),
            later_cents=cents.filter(~pl.col("seen")).sum(),
        )
    )
    span = pl.col("moment").clip(0.1, None)
    values = rows.select(
        repeats="repeats",
        last_share=pl.col("last") / span,
        rate=pl.col("repeats") / span,
        silence_in_own_gaps=(span - pl.col("last")) * pl.col("repeats") / pl.col("last").clip(0.1, None),
        late_share=pl.col("late") / pl.col("repeats").clip(1, None),
        last_gap_share=(pl.col("last") - pl.col("one_before")) / span,
        spend_a_day_cents=pl.col("spend") / (pl.col("repeats") + 1),
    )

    def column(name: str) -> FloatArray:
        return np.asarray(rows[name].to_numpy(), dtype=np.float64)

    return Histories(
        ids=rows["consumer_id"],
        known=Summary(column("repeats"), column("last"), column("moment")),
        values=np.ascontiguousarray(values.select(FEATURES).to_numpy().astype(np.float32)),
        spend_cents=column("spend"),
        later=column("later"),
        later_cents=column("later_cents"),
        weeks_left=column("age") - column("moment"),
    )
