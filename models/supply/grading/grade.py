"""A grading from end to end: evidence, estimates, scores, gates, grades, explanations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from models.supply.grading.config import GradingConfig
from models.supply.grading.estimates import estimate
from models.supply.grading.evidence import CHANNEL, Happened, channels_of, evidence_of
from models.supply.grading.explain import explanations
from models.supply.grading.gates import with_gates
from models.supply.grading.ladder import STATE, with_grades
from models.supply.grading.scores import channel_scores, points_of, supplier_scores

WHOLE = ""
"""`category_id` of a supplier as a whole, in states."""
STATE_TYPES = {
    "supplier_id": pl.String(), "category_id": pl.String(), "graded_on": pl.Date(), "grade": pl.String(),
    "below": pl.Int64(),
}  # fmt: skip
_WORST = "D"


@dataclass(frozen=True)
class Grading:
    """The grades of a day.

    Attributes:
        supplier_grades: A row per supplier: its `scores.supplier_scores`, `grade`, `gate`, `explanation`.
        channel_scores: A row per channel: its `scores.channel_scores`, `rank` in the category, `grade`,
            `gate`, `explanation`.
        state: Columns of `ladder.STATE`: the grades without gates, of channels and of suppliers as a whole.
    """

    supplier_grades: pl.DataFrame
    channel_scores: pl.DataFrame
    state: pl.DataFrame


def grade(
    happened: Happened,
    gated: pl.DataFrame,
    before: pl.DataFrame,
    as_of: datetime,
    on: date,
    config: GradingConfig,
) -> Grading:
    """Grade every channel and supplier.

    A gated channel is graded D for as long as the gate holds, and stands where it stood when the gate lifts.

    Args:
        happened: What happened.
        gated: As of `gates.supplier_gates`.
        before: States of earlier gradings.
        as_of: Moment of knowledge, aware UTC.
        on: The local day that is graded.
        config: Settings.
    """
    estimates = estimate(channels_of(happened), evidence_of(happened, as_of, config), config)
    points = points_of(estimates, config)
    channels = with_gates(channel_scores(points, config), gated, config)
    suppliers = supplier_scores(channels, config).join(
        gated, on="supplier_id", how="left", maintain_order="left"
    )
    both = pl.concat(
        [
            channels.select(*CHANNEL, "score_low"),
            suppliers.select("supplier_id", "score_low", category_id=pl.lit(WHOLE)).select(
                *CHANNEL, "score_low"
            ),
        ]
    )
    state = (
        with_grades(both, before, on, config)
        .with_columns(graded_on=pl.lit(on))
        .select(pl.col(name).cast(STATE_TYPES[name]) for name in STATE)
    )
    shown = pl.when(pl.col("gate").is_not_null()).then(pl.lit(_WORST)).otherwise("grade")
    channels = (
        channels.join(state.drop("graded_on", "below"), on=CHANNEL, maintain_order="left")
        .join(explanations(points, channels, config), on=CHANNEL, maintain_order="left")
        .with_columns(grade=shown, rank=_rank().over("category_id"))
        .sort("category_id", "rank")
    )
    whole = state.filter(pl.col("category_id") == WHOLE).select("supplier_id", "grade")
    suppliers = (
        suppliers.join(whole, on="supplier_id", maintain_order="left")
        .join(_of_channels(channels), on="supplier_id", maintain_order="left")
        .with_columns(grade=shown)
        .sort("supplier_id")
    )
    return Grading(suppliers, channels, state)


def _rank() -> pl.Expr:
    """Place in the category by lower bound; gated channels come last."""
    key = pl.col("score_low") - pl.when(pl.col("gate").is_not_null()).then(2.0).otherwise(0.0)
    return key.rank("ordinal", descending=True).cast(pl.Int64)


def _of_channels(channels: pl.DataFrame) -> pl.DataFrame:
    """What a supplier's grade is made of: its channels, the largest first, with their grades and scores."""
    parts = channels.sort("supplier_id", "n", "category_id", descending=[False, True, False]).group_by(
        "supplier_id", maintain_order=True
    )
    listed = pl.struct("category_id", "grade", pl.col("score_low").round(4), "line_count")
    return parts.agg(channels_made_of=listed.head(20)).select(
        "supplier_id", explanation=pl.struct(channels="channels_made_of").struct.json_encode()
    )
