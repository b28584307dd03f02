"""From panel rows to published rows: pools are split over their small series by share, means add up.

The mean of a small series is its share of the pool's mean, so a category's rows sum bottom-up to what was
forecast. Quantiles do not add up; a small series gets those of a negative binomial with its own mean.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy import stats

from models.counts import count_quantiles
from models.demand.config import QUANTILES
from models.demand.panel.series import Panel
from models.demand.weekly.forecasts import Forecast
from models.metrics import FloatArray

# Distance of the 90% from the 10% point of a normal distribution, in standard deviations.
OUTER_WIDTH = float(stats.norm.ppf(QUANTILES[-1]) - stats.norm.ppf(QUANTILES[0]))
DISPERSION_WEEKS = 26

FORECAST_SCHEMA = pl.Schema(
    {
        "merchant_id": pl.String,
        "category_id": pl.String,
        "week_start_on": pl.Date,
        "horizon_weeks": pl.Int64,
        "mean_qty": pl.Float64,
        "p10_qty": pl.Float64,
        "p50_qty": pl.Float64,
        "p90_qty": pl.Float64,
        "model": pl.String,
    }
)


def dispersion(panel: Panel) -> float:
    """Typical variance over mean of a weekly series (median over series, at least 1), of what is seen."""
    tail = panel.qty[:, -DISPERSION_WEEKS:].astype(np.float64)
    seen = ~np.isnan(tail)
    count = seen.sum(axis=1)
    mean = np.where(seen, tail, 0.0).sum(axis=1) / np.maximum(count, 1)
    told = (mean > 0) & (count > 1)
    if not told.any():
        return 1.0
    squares = np.where(seen, tail - mean[:, None], 0.0)[told] ** 2
    return max(1.0, float(np.median(squares.sum(axis=1) / (count[told] - 1) / mean[told])))


def with_count_quantiles(mean: FloatArray, ratio: float) -> Forecast:
    """A forecast whose quantiles come from mean and a variance-to-mean ratio alone.

    Args:
        mean: float64 (n, h), units a week.
        ratio: Variance over mean.

    Returns:
        The forecast.
    """
    quantiles = count_quantiles(mean.ravel(), ratio * mean.ravel(), QUANTILES)
    return Forecast(mean, quantiles.reshape(*mean.shape, len(QUANTILES)))


def publish(panel: Panel, forecast: Forecast, model: str) -> pl.DataFrame:
    """Arrange a forecast as `demand_forecasts`.

    Args:
        panel: The panel.
        forecast: Of every panel row, from the first week after the history.
        model: Name of the serving system.

    Returns:
        Columns of `demand_forecasts`, sorted by merchant, category and week. A small series that sold
        nothing in the newest `pool_weeks` weeks has no row.
    """
    own = np.flatnonzero(~panel.is_pooled)
    members = panel.members
    row = members["row"].to_numpy().astype(np.int64)
    share = members["share"].to_numpy()[:, None]
    member_mean = forecast.mean[row] * share
    pool_sd = (forecast.quantiles[row, :, -1] - forecast.quantiles[row, :, 0]) / OUTER_WIDTH
    variance = dispersion(panel) * member_mean + (share * pool_sd) ** 2
    mean = np.concatenate([forecast.mean[own], member_mean])
    of_members = count_quantiles(member_mean.ravel(), variance.ravel(), QUANTILES)
    shape = (*member_mean.shape, len(QUANTILES))
    quantiles = np.concatenate([forecast.quantiles[own], of_members.reshape(shape)])
    horizon = forecast.mean.shape[1]
    count = mean.shape[0]
    merchants = [panel.merchant_id[i] for i in own] + members["merchant_id"].to_list()
    categories = [panel.category_id[i] for i in own] + members["category_id"].to_list()
    steps = np.tile(np.arange(horizon), count)
    weeks = pl.Series(panel.weeks[panel.n_weeks : panel.n_weeks + horizon], dtype=pl.Date)
    frame = pl.DataFrame(
        {
            "merchant_id": pl.Series(merchants, dtype=pl.String).gather(np.repeat(np.arange(count), horizon)),
            "category_id": pl.Series(categories, dtype=pl.String).gather(
                np.repeat(np.arange(count), horizon)
            ),
            "week_start_on": weeks.gather(steps),
            "horizon_weeks": steps + 1,
            "mean_qty": mean.ravel(),
            "p10_qty": quantiles[..., 0].ravel(),
            "p50_qty": quantiles[..., 1].ravel(),
            "p90_qty": quantiles[..., 2].ravel(),
        }
    )
    return (
        frame.with_columns(model=pl.lit(model))
        .select([pl.col(name).cast(kind) for name, kind in FORECAST_SCHEMA.items()])
        .sort("merchant_id", "category_id", "week_start_on")
    )
