"""The explanation of a price: a JSON list of steps, built for all rows at once."""

from __future__ import annotations

import json
from dataclasses import dataclass

import polars as pl

from models.pricing.guards import BoolArray, IntArray


@dataclass(frozen=True)
class Step:
    """One step of every row.

    Attributes:
        name: Name of the step.
        reason: The same sentence for all rows, or one a row.
        before_cents: int64 (n,).
        after_cents: int64 (n,).
        shown: bool (n,), rows whose explanation has this step.
    """

    name: str
    reason: str | pl.Series
    before_cents: IntArray
    after_cents: IntArray
    shown: BoolArray


def explain(steps: list[Step], n_rows: int) -> pl.Series:
    """Write the steps of each row as JSON.

    Args:
        steps: In order; reasons given a row must not need JSON escapes (they are numbers and plain words).
        n_rows: Number of rows.

    Returns:
        String series `explanation`: `[{"step", "before_cents", "after_cents", "reason"}, ...]`.
    """
    texts = [_step_text(step) for step in steps]
    frame = pl.DataFrame([text.alias(str(index)) for index, text in enumerate(texts)])
    if not texts:
        return pl.Series("explanation", ["[]"] * n_rows, dtype=pl.String)
    joined = pl.concat_str(pl.all(), separator=", ", ignore_nulls=True)
    return frame.select(pl.concat_str(pl.lit("["), joined, pl.lit("]")).alias("explanation")).to_series()


def _step_text(step: Step) -> pl.Series:
    """One step as a JSON object a row, null where it is not shown."""
    frame = pl.DataFrame({"before": step.before_cents, "after": step.after_cents, "shown": step.shown})
    if isinstance(step.reason, str):
        reason = pl.lit(json.dumps(step.reason))
    else:
        frame = frame.with_columns(reason=step.reason)
        reason = pl.concat_str(pl.lit('"'), pl.col("reason"), pl.lit('"'))
    text = pl.concat_str(
        pl.lit(f'{{"step": {json.dumps(step.name)}, "before_cents": '),
        pl.col("before"),
        pl.lit(', "after_cents": '),
        pl.col("after"),
        pl.lit(', "reason": '),
        reason,
        pl.lit("}"),
    )
    return frame.select(pl.when("shown").then(text)).to_series()
