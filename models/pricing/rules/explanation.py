"""The explanation of a price: a JSON list of steps, each a code with numbers, built for all rows at once.

Whoever shows a price makes the sentences: the codes are those of `STEPS`, the numbers are named after what
they are, with their unit. Nothing here is for one language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from models.pricing.rules.guards import BoolArray, IntArray

STEPS = (
    "anchor",
    "policy",
    "quality_brake",
    "fixed",
    "law",
    "floor",
    "ceiling",
    "step",
    "week_step",
    "dwell",
    "rounding",
    "change_budget",
    "asks",
    "turnover",
)
"""Codes of the steps in their order; `docs/api.md` says what each means and which numbers it has."""


@dataclass(frozen=True)
class Step:
    """One step of every row.

    Attributes:
        name: Its code, of `STEPS`.
        before_cents: int64 (n,).
        after_cents: int64 (n,).
        shown: bool (n,), rows whose explanation has this step.
        numbers: What else it says, by name: one value for all rows, or one a row.
    """

    name: str
    before_cents: IntArray
    after_cents: IntArray
    shown: BoolArray
    numbers: Mapping[str, int | float | str | bool | pl.Series] = field(default_factory=dict)


def explain(steps: list[Step], n_rows: int) -> pl.Series:
    """Write the steps of each row as JSON.

    Args:
        steps: In order; a series has a value a row, and what is no number there is null.
        n_rows: Number of rows.

    Returns:
        String series `explanation`: `[{"step", "before_cents", "after_cents", ...numbers}, ...]`.
    """
    if not steps:
        return pl.Series("explanation", ["[]"] * n_rows, dtype=pl.String)
    frame = pl.DataFrame([_step_text(step).alias(str(index)) for index, step in enumerate(steps)])
    joined = pl.concat_str(pl.all(), separator=",", ignore_nulls=True)
    return frame.select(pl.concat_str(pl.lit("["), joined, pl.lit("]")).alias("explanation")).to_series()


def _step_text(step: Step) -> pl.Series:
    """One step as a JSON object a row, null where it is not shown."""
    given = {name: value for name, value in step.numbers.items() if isinstance(value, pl.Series)}
    frame = pl.DataFrame(
        {"before_cents": step.before_cents, "after_cents": step.after_cents, "_shown": step.shown, **given}
    )
    numbers = (
        pl.col(name) if name in given else pl.lit(value).alias(name) for name, value in step.numbers.items()
    )
    document = pl.struct(pl.lit(step.name).alias("step"), "before_cents", "after_cents", *numbers)
    return frame.select(pl.when("_shown").then(document.struct.json_encode())).to_series()
