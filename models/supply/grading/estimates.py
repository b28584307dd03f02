"""Empirical Bayes: what is believed of each channel and signal, given its category.

A rate is Beta-Binomial: the prior's mean is the category's rate, its strength comes from the intra-class
correlation by analysis of variance (Ridout, Demetrio and Firth 1999). A mean of logs is normal: the variance
between channels comes from the same decomposition. A category with too little evidence takes the prior of all
categories together, and where there is none at all, the signal's default.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import polars as pl
from scipy.special import betaincinv

from models.supply.grading.config import SIGNALS, GradingConfig, Signal
from models.supply.grading.evidence import CHANNEL

LEAST_CORRELATION = 1e-3
"""Channels of a category are never quite alike: the prior is worth at most 999 pieces of evidence."""
MOST_CORRELATION = 0.5
"""... and at least one."""
DEFAULT_STRENGTH = 20.0
"""Pieces of evidence that the default prior is worth."""
LEAST_LOG_SD = 0.01
"""Least standard deviation between channels, and within, of a log."""
DEFAULT_LOG_SD = 0.5
LEAST_FREEDOM = 1.0
"""Degrees of freedom below which the spread within channels is not estimated."""

ESTIMATES = {
    "supplier_id": pl.String(), "category_id": pl.String(), "signal": pl.String(), "count": pl.Int64(),
    "n": pl.Float64(), "mean": pl.Float64(), "sd": pl.Float64(), "low": pl.Float64(), "high": pl.Float64(),
    "prior_mean": pl.Float64(), "prior_of": pl.String(),
}  # fmt: skip
"""By channel and signal: the posterior with its interval, and whose prior it started from."""


def estimate(channels: pl.DataFrame, evidence: pl.DataFrame, config: GradingConfig) -> pl.DataFrame:
    """The posterior of every channel and signal.

    Args:
        channels: `supplier_id`, `category_id`, unique.
        evidence: Columns of `evidence.EVIDENCE`.
        config: Settings.

    Returns:
        Columns of `ESTIMATES`: a row for every channel and every signal of which any channel has evidence, a
        channel without evidence of its own with n = 0 and its prior. `prior_of` is `category`, `all` or
        `default`.
    """
    known = evidence["signal"].unique().to_list()
    parts = [
        _of_signal(signal, channels, evidence.filter(pl.col("signal") == signal.name), config)
        for signal in SIGNALS
        if signal.name in known
    ]
    return pl.concat(parts) if parts else pl.DataFrame(schema=ESTIMATES)


def _of_signal(
    signal: Signal, channels: pl.DataFrame, evidence: pl.DataFrame, config: GradingConfig
) -> pl.DataFrame:
    priors = _priors(signal, evidence, ["category_id"]).filter(
        pl.col("channels") >= config.least_channels, pl.col("trials") >= config.least_trials
    )
    everybody = _priors(signal, evidence.with_columns(_all=pl.lit(0)), ["_all"])
    is_enough = bool(everybody.height) and everybody["channels"][0] > 1
    shared = everybody.row(0, named=True) if is_enough else _default(signal)
    rows = (
        channels.select(CHANNEL)
        .join(evidence.drop("signal"), on=CHANNEL, how="left", maintain_order="left")
        .with_columns(pl.col("count", "n", "total", "squares").fill_null(0))
        .join(
            priors.select("category_id", "prior_mean", "strength", "within", "between"),
            on="category_id",
            how="left",
            maintain_order="left",
        )
        .with_columns(
            signal=pl.lit(signal.name),
            prior_of=pl.when(pl.col("prior_mean").is_not_null())
            .then(pl.lit("category"))
            .otherwise(pl.lit("all" if is_enough else "default")),
            **{
                name: pl.col(name).fill_null(shared[name])
                for name in ("prior_mean", "strength", "within", "between")
            },
        )
    )
    posterior = _rates(rows, config) if signal.kind == "rate" else _logs(rows, config)
    return posterior.select(pl.col(name).cast(kind) for name, kind in ESTIMATES.items())


def _default(signal: Signal) -> dict[str, float]:
    return {
        "prior_mean": signal.default_mean,
        "strength": DEFAULT_STRENGTH,
        "within": DEFAULT_LOG_SD**2,
        "between": DEFAULT_LOG_SD**2,
    }


def _priors(signal: Signal, evidence: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Prior by group: mean; strength of a rate; variances within and between of a log.

    By moments, exactly for weighted evidence. A channel has n = sum w, q = sum w^2 and the mean m; N = sum n.
    SSW = sum (squares - n m^2) has the mean within * sum (n - q / n), and SSB = sum n (m - mean)^2 the mean
    within * (sum q / n - sum q / N) + between * (N - sum n^2 / N). Without decay q = n: then it is the usual
    analysis of variance.
    """
    n, q, total, squares = (pl.col(name) for name in ("n", "weight_squares", "total", "squares"))
    groups = (
        evidence.filter(n > 0)
        .group_by(by, maintain_order=True)
        .agg(
            channels=pl.len(),
            trials=n.sum(),
            prior_mean=total.sum() / n.sum(),
            ssb=(total**2 / n).sum() - total.sum() ** 2 / n.sum(),
            ssw=(squares - total**2 / n).sum(),
            ssw_within=(n - q / n).sum(),
            ssb_within=(q / n).sum() - q.sum() / n.sum(),
            ssb_between=n.sum() - (n**2).sum() / n.sum(),
        )
        # A group in which every channel has one piece tells nothing of the spread within.
        .with_columns(
            within=pl.when(pl.col("ssw_within") > LEAST_FREEDOM)
            .then(pl.col("ssw").clip(lower_bound=0.0) / pl.col("ssw_within"))
            .otherwise(_alone(signal))
        )
    )
    between = (pl.col("ssb") - pl.col("within") * pl.col("ssb_within")) / pl.col("ssb_between")
    groups = groups.with_columns(between=between.clip(lower_bound=0.0).fill_nan(0.0).fill_null(0.0))
    correlation = (
        (pl.col("between") / (pl.col("between") + pl.col("within")))
        .fill_nan(LEAST_CORRELATION)
        .clip(LEAST_CORRELATION, MOST_CORRELATION)
    )
    floor = LEAST_LOG_SD**2
    return groups.with_columns(
        strength=1 / correlation - 1,
        within=pl.col("within").clip(lower_bound=floor),
        between=pl.col("between").clip(lower_bound=floor),
        # A rate of exactly 0 or 1 is what was seen, not what is believed.
        prior_mean=pl.col("prior_mean").clip(1e-4, 1 - 1e-4)
        if signal.kind == "rate"
        else pl.col("prior_mean"),
    )


def _alone(signal: Signal) -> pl.Expr:
    """The spread within where no channel shows any: that of a rate follows from its mean."""
    mean = pl.col("prior_mean")
    return mean * (1 - mean) if signal.kind == "rate" else pl.lit(DEFAULT_LOG_SD**2)


def _rates(rows: pl.DataFrame, config: GradingConfig) -> pl.DataFrame:
    a = (rows["prior_mean"] * rows["strength"] + rows["total"]).to_numpy()
    b = ((1 - rows["prior_mean"]) * rows["strength"] + rows["n"] - rows["total"]).to_numpy()
    tail = (1 - config.interval) / 2
    return rows.with_columns(
        mean=pl.Series(a / (a + b)),
        sd=pl.Series(np.sqrt(a * b / ((a + b) ** 2 * (a + b + 1)))),
        low=pl.Series(betaincinv(a, b, tail)),
        high=pl.Series(betaincinv(a, b, 1 - tail)),
    )


def _logs(rows: pl.DataFrame, config: GradingConfig) -> pl.DataFrame:
    z = NormalDist().inv_cdf(1 - (1 - config.interval) / 2)
    precision = pl.col("n") / pl.col("within") + 1 / pl.col("between")
    mean = (pl.col("total") / pl.col("within") + pl.col("prior_mean") / pl.col("between")) / precision
    sd = precision.pow(-0.5)
    return rows.with_columns(mean=mean, sd=sd, low=mean - z * sd, high=mean + z * sd)
