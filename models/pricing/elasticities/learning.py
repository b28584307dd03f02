"""What the platform's own price moves say: beliefs about |e| from what sold at each published price.

Prices are moved by posterior draws, so the moves are experiments: they do not follow demand. Every listing of
a sku is one, with its own level of sales; all of them share the sku's elasticity. Units of a period are
Poisson with mean days * exp(listing + week of the category + e * log price + theta * log competitor price);
the listing's level is profiled out, the week's effect is shrunk to 0, and e = -exp(z) with a normal prior on
z. What varies more than Poisson lowers the weight of all. No price is chosen here.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from models.pricing.config import PolicyConfig
from models.pricing.elasticities.pooled import sums
from models.pricing.rules.policy import FloatArray, IntArray

PERIOD_SCHEMA = pl.Schema(
    {
        "merchant_id": pl.String(),
        "sku_id": pl.String(),
        "week_start_on": pl.Date(),
        "price_cents": pl.Int64(),
        "days": pl.Float64(),
        "qty_milli": pl.Int64(),
        "competitor_cents": pl.Float64(),
    }
)
"""One row a listing, week and price in force: what sold in how many days, and what competitors asked."""

_STEPS = 10
_LARGEST_STEP = 0.5


def learn(skus: pl.DataFrame, periods: pl.DataFrame, policy: PolicyConfig) -> pl.DataFrame:
    """Update beliefs by what sold at the prices that were in force.

    Args:
        skus: One row a sku: sku_id, group_id, log_size (mean of log |e|), log_deviation.
        periods: As `PERIOD_SCHEMA`; days above 0; competitor_cents null where none is known. Skus of no row
            in `skus` are left out.
        policy: Priors of the competitor's effect and of the weeks.

    Returns:
        `skus` with log_size and log_deviation of the posterior (Laplace approximation); unchanged where no
        listing of the sku has periods at two prices.
    """
    rows = periods.join(
        skus.select("sku_id", "group_id", sku=pl.int_range(pl.len(), dtype=pl.Int64)), on="sku_id"
    )
    moved = pl.col("price_cents").n_unique().over("merchant_id", "sku_id") > 1
    sold = pl.col("qty_milli").sum().over("merchant_id", "sku_id") > 0
    rows = rows.filter(moved & sold).sort("sku_id", "merchant_id", "week_start_on", "price_cents")
    if rows.is_empty():
        return skus
    listing = pl.struct("merchant_id", "sku_id")
    log_price, log_rival = pl.col("price_cents").log(), pl.col("competitor_cents").log()
    rows = rows.with_columns(
        listing=listing.rank("dense").cast(pl.Int64) - 1,
        week=pl.struct("group_id", "week_start_on").rank("dense").cast(pl.Int64) - 1,
        units=pl.col("qty_milli") / 1000.0,
        price=log_price - log_price.mean().over(listing),
        rival=(log_rival - log_rival.mean().over(listing)).fill_null(0.0),
    )
    found, inverse = np.unique(rows.get_column("sku").to_numpy(), return_inverse=True)
    prior = skus.select("log_size", "log_deviation").to_numpy()[found].astype(np.float64)
    arrays = {
        name: rows.get_column(name).to_numpy()
        for name in ("listing", "week", "units", "days", "price", "rival")
    }
    mean, deviation = _posterior(**arrays, sku=inverse, prior=prior, policy=policy)
    learnt = skus.select("log_size", "log_deviation").to_numpy().astype(np.float64)
    learnt[found] = np.column_stack([mean, deviation])
    return skus.with_columns(log_size=pl.Series(learnt[:, 0]), log_deviation=pl.Series(learnt[:, 1]))


def _posterior(
    *,
    listing: IntArray,
    week: IntArray,
    sku: IntArray,
    units: FloatArray,
    days: FloatArray,
    price: FloatArray,
    rival: FloatArray,
    prior: FloatArray,
    policy: PolicyConfig,
) -> tuple[FloatArray, FloatArray]:
    """Mode and deviation of log |e| of each sku, by Newton steps; arrays are one entry a period.

    Args:
        listing: Which listing, from 0.
        week: Which category and week, from 0.
        sku: Which sku, from 0.
        units: Sold.
        days: At this price.
        price: Log price.
        rival: Log competitor price.
        prior: float64 (n_skus, 2), mean and deviation of log |e|.
        policy: The other priors.
    """
    n_listings, n_weeks, n_skus = int(listing.max()) + 1, int(week.max()) + 1, len(prior)
    size, theta = prior[:, 0].copy(), np.full(n_skus, policy.theta)
    sold = sums(listing, units, n_listings)
    season, noise = np.zeros(n_weeks), 1.0
    deviation = prior[:, 1].copy()
    precision = 1.0 / np.maximum(prior[:, 1], 1e-6) ** 2, 1.0 / policy.theta_deviation**2
    sold_week = sums(week, units, n_weeks)
    for _ in range(_STEPS):
        slope = -np.exp(size)
        log_rate = np.log(days) + slope[sku] * price + theta[sku] * rival + season[week]
        rate = np.exp(np.clip(log_rate, -50.0, 50.0))
        rate *= (sold / sums(listing, rate, n_listings))[listing]

        def within(values: FloatArray, rate: FloatArray = rate) -> FloatArray:
            return values - (sums(listing, rate * values, n_listings) / sold)[listing]

        x, c = within(price), within(rival)
        left = units - rate
        noise = max(
            1.0, float((left**2 / np.maximum(rate, 1e-9)).sum()) / max(len(units) - n_listings - n_skus, 1)
        )
        g_size = sums(sku, left * x, n_skus) * slope / noise - (size - prior[:, 0]) * precision[0]
        g_theta = sums(sku, left * c, n_skus) / noise - (theta - policy.theta) * precision[1]
        h_size = sums(sku, rate * x * x, n_skus) * slope**2 / noise + precision[0]
        h_theta = sums(sku, rate * c * c, n_skus) / noise + precision[1]
        h_both = sums(sku, rate * x * c, n_skus) * slope / noise
        determinant = h_size * h_theta - h_both**2
        step = (h_theta * g_size - h_both * g_theta) / determinant
        size = size + np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
        theta = theta + np.clip((h_size * g_theta - h_both * g_size) / determinant, -1.0, 1.0)
        deviation = np.sqrt(h_theta / determinant)
        unseasoned = sums(week, rate / np.exp(season[week]), n_weeks)
        season = np.log((sold_week + policy.season_units) / (unseasoned + policy.season_units))
    return size, deviation
