"""What a grade is made of, and what would raise it: a document a channel, of codes and numbers."""

from __future__ import annotations

import polars as pl

from models.supply.grading.config import GradingConfig
from models.supply.grading.evidence import CHANNEL

_LOGS = ("days_late", "offers", "market")


def explanations(points: pl.DataFrame, scored: pl.DataFrame, config: GradingConfig) -> pl.DataFrame:
    """One document a channel.

    Args:
        points: As of `scores.points_of`.
        scored: `supplier_id`, `category_id`, `score`, `score_low`.
        config: Settings.

    Returns:
        supplier_id, category_id, explanation (JSON): `signals`, each with its pieces of evidence (`count`),
        `value` with `low` and `high` (days, or shares above the others' prices, where logs were averaged),
        the `category`'s mean and whose prior it is, its `points` `of` so many; `next`, the next line of the
        lower bound and its grade, null at the top; `raise`, what each signal alone would have to come to,
        where it can; `is_proven`: false where the score itself has reached the next line and only more
        evidence is missing.
    """
    signals = points.with_columns(
        pl.when(pl.col("signal").is_in(_LOGS))
        .then(pl.col(name).exp() - 1)
        .otherwise(name)
        .round(4)
        .alias(name)
        for name in ("low", "high")
    ).with_columns(
        value=_told(pl.col("mean")),
        category=_told(pl.col("prior_mean")),
        _points=pl.col("points").round(4),
        _of=pl.col("weight").round(4),
    )
    made_of = signals.group_by(CHANNEL, maintain_order=True).agg(
        signals=pl.struct(
            "signal", "count", "value", "low", "high", "category", "prior_of", points="_points", of="_of"
        )
    )
    aims = scored.select(*CHANNEL, "score", "score_low", line=_next_line(pl.col("score_low"), config))
    wanted = (
        points.join(aims, on=CHANNEL)
        .with_columns(needed=pl.col("line") - pl.col("score_low"))
        .filter(pl.col("line").is_not_null(), pl.col("needed") <= pl.col("weight") - pl.col("points"))
        .with_columns(
            to=_told(pl.col("mean") + pl.col("needed") / pl.col("slope")), value=_told(pl.col("mean"))
        )
        .group_by(CHANNEL, maintain_order=True)
        .agg(pl.struct("signal", pl.col("value").alias("from"), "to").alias("raise"))
    )
    documents = (
        aims.join(made_of, on=CHANNEL, how="left", maintain_order="left")
        .join(wanted, on=CHANNEL, how="left", maintain_order="left")
        .with_columns(
            pl.struct(line="line", grade=_grade_of(pl.col("line"), config)).alias("next"),
            is_proven=(pl.col("score") < pl.col("line")).fill_null(True),
        )
    )
    return documents.select(
        *CHANNEL, explanation=pl.struct("signals", "next", "raise", "is_proven").struct.json_encode()
    )


def _told(logs: pl.Expr) -> pl.Expr:
    return pl.when(pl.col("signal").is_in(_LOGS)).then(logs.exp() - 1).otherwise(logs).round(4)


def _next_line(score_low: pl.Expr, config: GradingConfig) -> pl.Expr:
    """The least line above a bound; null at the top."""
    above = pl.lit(None, pl.Float64)
    for line in config.lines:
        above = pl.when(score_low < line).then(pl.lit(line)).otherwise(above)
    return above


def _grade_of(line: pl.Expr, config: GradingConfig) -> pl.Expr:
    return line.replace_strict(list(config.lines), ["A", "B", "C"], default=None, return_dtype=pl.String)
