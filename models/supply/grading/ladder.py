"""From a lower bound to a grade that does not flutter: up at once, down after periods in a row below."""

from __future__ import annotations

from datetime import date

import polars as pl

from models.supply.grading.config import GRADES, GradingConfig

STATE = ("supplier_id", "category_id", "graded_on", "grade", "below")
"""What a grading leaves for the next: the grade that stands and periods in a row below its line."""


def reached(score_low: pl.Expr, config: GradingConfig) -> pl.Expr:
    """Place in `GRADES` of a lower bound: 0 is A. A bound on a line has reached it."""
    place = pl.lit(0)
    for line in config.lines:
        place = place + (score_low < line).cast(pl.Int32)
    return place


def with_grades(scored: pl.DataFrame, before: pl.DataFrame, on: date, config: GradingConfig) -> pl.DataFrame:
    """The grades of a day.

    Args:
        scored: `supplier_id`, `category_id` (of a supplier as a whole: ""), `score_low`.
        before: Columns of `STATE` of earlier gradings; of each channel the newest day before `on` counts, so
            that a day graded twice is graded once.
        on: The day that is graded; each graded day is a period.
        config: Settings.

    Returns:
        `scored` with `grade` and `below`. Who was never graded gets what it reached.
    """
    key = ["supplier_id", "category_id"]
    last = (
        before.filter(pl.col("graded_on") < on)
        .sort("graded_on")
        .unique(key, keep="last")
        .select(
            *key,
            _was=pl.col("grade").replace_strict(list(GRADES), [0, 1, 2, 3], return_dtype=pl.Int32),
            _below="below",
        )
    )
    rows = scored.join(last, on=key, how="left", maintain_order="left").with_columns(
        _now=reached(pl.col("score_low"), config)
    )
    is_below = pl.col("_now") > pl.col("_was")
    below = pl.when(is_below).then(pl.col("_below") + 1).otherwise(0)
    falls = is_below & (below >= config.periods_below)
    place = (
        pl.when(pl.col("_was").is_null() | ~is_below)
        .then("_now")
        .when(falls)
        .then(pl.col("_was") + 1)
        .otherwise("_was")
    )
    return rows.with_columns(
        grade=place.replace_strict([0, 1, 2, 3], list(GRADES), return_dtype=pl.String),
        below=pl.when(falls).then(0).otherwise(below).fill_null(0).cast(pl.Int64),
    ).drop("_was", "_below", "_now")
