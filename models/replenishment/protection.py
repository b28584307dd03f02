"""Demand over a protection period of random length, and its quantiles.

Moments, not draws: with tens of thousands of skus a matched negative binomial gives the same order-up-to
levels as simulating demand and lead time jointly (a test compares them), without noise in the tail and
without a seed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from models.metrics import FloatArray

WEEK_DAYS = 7.0


def cumulative(weekly: FloatArray, days: FloatArray) -> FloatArray:
    """Sum of a weekly step curve from its first day up to `days`.

    Args:
        weekly: float64 (n, h), amount of each whole week, spread evenly over its days.
        days: float64 (n,), >= 0; beyond h weeks the mean week goes on.

    Returns:
        float64 (n,).
    """
    horizon = weekly.shape[1]
    begun = days[:, None] / WEEK_DAYS - np.arange(horizon)[None, :]
    inside = (weekly * np.clip(begun, 0.0, 1.0)).sum(axis=1)
    beyond = np.maximum(days / WEEK_DAYS - horizon, 0.0) * weekly.mean(axis=1)
    return np.asarray(inside + beyond, dtype=np.float64)


def protection_demand(
    mean: FloatArray,
    variance: FloatArray,
    lead_days: FloatArray,
    lead_cv: float,
    review_days: int,
    elapsed_days: float,
) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of the demand over lead time plus review, the lead time being random.

    Args:
        mean: float64 (n, h), units of each forecast week.
        variance: float64 (n, h), its variance; weeks are taken as independent.
        lead_days: float64 (n,), mean lead time.
        lead_cv: Standard deviation of the lead time over its mean.
        review_days: Days of the review period; 0 gives the demand over the lead time alone.
        elapsed_days: Days of the first forecast week that are already over.

    Returns:
        Mean and variance, float64 (n,) each: Var = E[variance over the period] + rate^2 Var(lead time),
        with the rate at the period's end.

    Source:
        Silver, Pyke & Thomas, "Inventory and Production Management in Supply Chains", demand over a
        random lead time.
    """
    start = np.full(len(lead_days), elapsed_days)
    end = start + lead_days + review_days
    total = cumulative(mean, end) - cumulative(mean, start)
    spread = cumulative(variance, end) - cumulative(variance, start)
    rate = (cumulative(mean, end + 1.0) - cumulative(mean, np.maximum(end - 1.0, 0.0))) / np.minimum(
        end + 1.0, 2.0
    )
    return total, spread + (rate * lead_cv * lead_days) ** 2


def demand_quantile(mean: FloatArray, variance: FloatArray, level: float | FloatArray) -> FloatArray:
    """Quantile of a negative binomial with these moments (Poisson where the variance is not larger).

    Args:
        mean: float64 (n,), units; 0 gives 0.
        variance: float64 (n,).
        level: In (0, 1), one for all or one each.

    Returns:
        float64 (n,), whole units.
    """
    safe, over, size, rate = _parameters(mean, variance)
    value = np.where(over, stats.nbinom.ppf(level, size, rate), stats.poisson.ppf(level, safe))
    return np.asarray(np.where(mean > 0, value, 0.0), dtype=np.float64)


def service_level(mean: FloatArray, variance: FloatArray, stock: FloatArray) -> FloatArray:
    """Chance that a stock meets a demand with these moments, float64 (n,); 1 where none is expected."""
    safe, over, size, rate = _parameters(mean, variance)
    value = np.where(over, stats.nbinom.cdf(stock, size, rate), stats.poisson.cdf(stock, safe))
    return np.asarray(np.where(mean > 0, value, 1.0), dtype=np.float64)


def expected_lost(mean: FloatArray, variance: FloatArray, stock: FloatArray) -> FloatArray:
    """Expected demand beyond a stock, E[(D - S)+].

    Args:
        mean: float64 (n,), units.
        variance: float64 (n,).
        stock: float64 (n,), whole units.

    Returns:
        float64 (n,), units: mean P(Y >= S) - S P(D > S), where Y has one unit of size more (the same mean for
        Poisson).

    Source:
        E[D g(D)] = mean E[g(Y + 1)], the size-biased law of the Poisson and the negative binomial.
    """
    safe, over, size, rate = _parameters(mean, variance)
    beyond = np.where(over, stats.nbinom.sf(stock, size, rate), stats.poisson.sf(stock, safe))
    biased = np.where(over, stats.nbinom.sf(stock - 1, size + 1, rate), stats.poisson.sf(stock - 1, safe))
    return np.asarray(np.where(mean > 0, np.maximum(safe * biased - stock * beyond, 0.0), 0.0))


def _parameters(
    mean: FloatArray, variance: FloatArray
) -> tuple[FloatArray, npt.NDArray[np.bool_], FloatArray, FloatArray]:
    """A mean above 0, where the negative binomial applies, and its size and chance there."""
    safe = np.maximum(mean, 1e-12)
    over = variance > safe * (1 + 1e-9)
    excess = np.where(over, variance - safe, 1.0)
    size = np.where(over, safe**2 / excess, 1.0)
    return safe, over, size, np.where(over, safe / np.maximum(variance, 1e-12), 0.5)
