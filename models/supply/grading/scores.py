"""The score of a channel from its estimates, with a lower bound; that of a supplier from its channels."""

from __future__ import annotations

from statistics import NormalDist

import polars as pl

from models.supply.grading.config import SIGNALS, GradingConfig
from models.supply.grading.evidence import CHANNEL


def points_of(estimates: pl.DataFrame, config: GradingConfig) -> pl.DataFrame:
    """What each signal gives to the score.

    Args:
        estimates: Columns of `estimates.ESTIMATES`.
        config: Settings.

    Returns:
        The estimates with `part`, `weight` (of the whole score; signals and parts of which nobody has
        evidence leave theirs to the others, so that they sum to 1 by channel), `slope` (points a unit of
        the signal, negative), `points` (0 to `weight`) and `points_sd`.
    """
    present = [signal for signal in SIGNALS if signal.name in set(estimates["signal"].unique())]
    of_part: dict[str, float] = {}
    for signal in present:
        of_part[signal.part] = of_part.get(signal.part, 0.0) + signal.weight
    of_all = sum(config.weights[part] for part in of_part)
    facts = pl.DataFrame(
        [
            {
                "signal": signal.name,
                "part": signal.part,
                "weight": config.weights[signal.part] / of_all * signal.weight / of_part[signal.part],
                "worst": signal.worst,
                "span": signal.worst - signal.best,
                "is_relative": signal.is_relative,
            }
            for signal in present
        ],
        schema={
            "signal": pl.String, "part": pl.String, "weight": pl.Float64, "worst": pl.Float64,
            "span": pl.Float64, "is_relative": pl.Boolean,
        },
    )  # fmt: skip
    value = pl.col("mean") - pl.when("is_relative").then("prior_mean").otherwise(0.0)
    share = ((pl.col("worst") - value) / pl.col("span")).clip(0.0, 1.0)
    return (
        estimates.join(facts, on="signal", maintain_order="left")
        .with_columns(
            points=share * pl.col("weight"),
            slope=-pl.col("weight") / pl.col("span"),
            points_sd=pl.col("sd") / pl.col("span") * pl.col("weight"),
        )
        .drop("worst", "span", "is_relative")
    )


def channel_scores(points: pl.DataFrame, config: GradingConfig) -> pl.DataFrame:
    """Score, its 90% interval and its parts, by channel.

    The signals are taken as independent, so their variances add up; the bound is the normal one.

    Returns:
        supplier_id, category_id, line_count, n (decayed lines), score, score_sd, score_low, score_high,
        quality, fulfilment, price (0 to 1; null where nobody has evidence), fault_low. One row per channel.
    """
    z = _z(config)
    of = {
        part: (pl.col("points").filter(pl.col("part") == part).sum())
        / pl.col("weight").filter(pl.col("part") == part).sum()
        for part in config.weights
    }
    fault = pl.col("signal") == "fault"
    scored = points.group_by(CHANNEL, maintain_order=True).agg(
        line_count=pl.col("count").filter(fault).sum(),
        n=pl.col("n").filter(fault).sum(),
        score=pl.col("points").sum(),
        score_sd=(pl.col("points_sd") ** 2).sum().sqrt(),
        fault_low=pl.col("low").filter(fault).first(),
        **of,
    )
    return _bounded(scored.with_columns(pl.col(*config.weights).fill_nan(None)), z)


def supplier_scores(channels: pl.DataFrame, config: GradingConfig) -> pl.DataFrame:
    """Score and interval of each supplier: the mean of its channels by lines, each channel at least one line.

    Args:
        channels: As of `channel_scores`.
        config: Settings.

    Returns:
        supplier_id, channels, line_count, n, score, score_sd, score_low, score_high, quality, fulfilment,
        price.
    """
    share = pl.col("n") + 1.0
    weighted = {name: (pl.col(name) * share).sum() / share.sum() for name in ("score", *config.weights)}
    known = {
        name: pl.when(pl.col(name).is_not_null().any()).then(expression).alias(name)
        for name, expression in weighted.items()
    }
    scored = channels.group_by("supplier_id", maintain_order=True).agg(
        pl.len().alias("channels"),
        pl.col("line_count").sum(),
        pl.col("n").sum(),
        score_sd=((share * pl.col("score_sd")) ** 2).sum().sqrt() / share.sum(),
        **known,
    )
    return _bounded(scored, _z(config))


def _bounded(scored: pl.DataFrame, z: float) -> pl.DataFrame:
    return scored.with_columns(
        score_low=(pl.col("score") - z * pl.col("score_sd")).clip(0.0, 1.0),
        score_high=(pl.col("score") + z * pl.col("score_sd")).clip(0.0, 1.0),
    )


def _z(config: GradingConfig) -> float:
    return NormalDist().inv_cdf(1 - (1 - config.interval) / 2)
