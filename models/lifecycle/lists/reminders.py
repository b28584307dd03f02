"""Rebuy reminders: the product types a consumer is likeliest to buy again within two weeks. Never a date.

Probabilities come from outside; nothing is fitted here.
"""

from __future__ import annotations

import polars as pl

from models.lifecycle.features.history import History
from models.metrics import FloatArray

OVERDUE_FROM, DUE_FROM = 1.5, 0.75


def reminder_rows(
    pairs: pl.DataFrame, history: History, probability: FloatArray, *, top: int, from_model: bool
) -> pl.DataFrame:
    """The `top` likeliest product types of each consumer.

    Args:
        pairs: `consumer`, `kind`, `overdue_ratio` (days since the last purchase over the own mean interval).
        history: Names of the codes.
        probability: Of each pair, float64 (n,).
        top: Product types a consumer, at most.
        from_model: False puts `rule_` before the reason: the simple rule served.

    Returns:
        The columns of `PUBLISHED_TABLES["rebuy_reminders"]`, ordered by (consumer_id, rank); ties by
        category id. Reasons: `overdue` from 1.5 own intervals on, `due_now` from 0.75 on, else `regular`.
    """
    ratio = pl.col("overdue_ratio")
    reason = (
        pl.when(ratio >= OVERDUE_FROM)
        .then(pl.lit("overdue"))
        .when(ratio >= DUE_FROM)
        .then(pl.lit("due_now"))
        .otherwise(pl.lit("regular"))
    )
    ranked = (
        pairs.select(
            "consumer",
            "kind",
            reason_code=pl.lit("" if from_model else "rule_") + reason,
            rebuy_probability=pl.Series(probability, dtype=pl.Float64),
        )
        .sort("consumer", "rebuy_probability", "kind", descending=[False, True, False])
        .with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("consumer"))
        .filter(pl.col("rank") <= top)
    )
    return ranked.with_columns(
        consumer_id=history.consumers.gather(ranked["consumer"]),
        category_id=history.kinds.gather(ranked["kind"]),
    )
