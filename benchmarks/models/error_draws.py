"""Joint draws of demand over the next periods and of lead times, from whatever forecast there is.

A draw takes the whole vector of errors that one past forecast made, so that weeks go wrong together as they
did; what is known of the future (prices, promotions) is in the forecast itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.metrics import FloatArray, IntArray
from models.replenishment.loop.tuning import CodeArray

LEAST_ERRORS = 30
"""Error vectors below which a class borrows those of all classes."""


@dataclass(frozen=True)
class DemandDraws:
    """Possible futures of each series.

    Attributes:
        demand: float64 (n, m, h), units of the next h periods in each of m futures.
        lead: int64 (n, m), in which of these periods an order of now can be sold first, counted from 1.
    """

    demand: FloatArray
    lead: IntArray


def log_errors(actual: FloatArray, forecast: FloatArray) -> FloatArray:
    """Errors of past forecasts as vectors over the horizon.

    Args:
        actual: float64 (o, n, h), units sold at o origins; NaN where nothing is known.
        forecast: float64 (o, n, h), the median that was forecast, above 0.

    Returns:
        float64 (o, n, h), log of what came over what was forecast; NaN where either is not known or not
        above 0.
    """
    known = np.isfinite(actual) & np.isfinite(forecast) & (actual > 0) & (forecast > 0)
    ratio = np.divide(actual, forecast, out=np.ones_like(actual), where=known)
    return np.where(known, np.log(ratio), np.nan)


def bootstrap_draws(
    forecast: FloatArray,
    errors: FloatArray,
    classes: CodeArray,
    leads: IntArray,
    *,
    n_draws: int = 100,
    seed: int = 0,
) -> DemandDraws:
    """Draw futures: a forecast times the errors of one origin of a series of the same class.

    Args:
        forecast: float64 (n, h), medians; NaN means that nothing is expected.
        errors: float64 (o, n, h), from `log_errors`; vectors with a gap are left out.
        classes: (n,), series of one class go wrong alike.
        leads: int64 (k,), lead times that were seen, in periods; drawn with equal chances, with each future.
        n_draws: Futures a series.
        seed: Seed of the draws; the same series get the same ones again, so that levels can be compared.

    Returns:
        The draws.

    Raises:
        ValueError: No error vector is complete, or a lead time lies outside the horizon.
    """
    n, horizon = forecast.shape
    if not len(leads) or leads.min() < 1 or leads.max() > horizon:
        raise ValueError(f"draws: lead times must lie in 1..{horizon}, the horizon of the forecast")
    whole = np.asarray(np.isfinite(errors).all(axis=2))
    if not whole.any():
        raise ValueError("draws: no past forecast has all its actuals; give older origins")
    random = np.random.default_rng(seed)
    drawn = np.empty((n, n_draws, horizon))
    for name in np.unique(classes):
        rows = np.flatnonzero(classes == name)
        own = errors[:, rows][whole[:, rows]]
        bank = own if len(own) >= LEAST_ERRORS else errors[whole]
        drawn[rows] = bank[random.integers(0, len(bank), (len(rows), n_draws))]
    demand = np.nan_to_num(forecast)[:, None, :] * np.exp(drawn)
    return DemandDraws(demand, leads[random.integers(0, len(leads), (n, n_draws))])
