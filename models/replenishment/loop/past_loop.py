"""The quantile that would have cost least in the weeks that are over, by class of demand.

The shipped rule (`protection`) runs over the skus' own past in the closed loop, week by week, with what was
known then: the mean of the weeks before stands for the forecast, lead times are drawn around what the offers
say, and orders keep the minimum, the pack and the capacity of the primary supplier.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from models.metrics import FloatArray
from models.replenishment.config import ReorderConfig
from models.replenishment.limits import OrderLimits
from models.replenishment.loop.simulate import Outcome, Terms, simulate
from models.replenishment.loop.tuning import tune
from models.replenishment.protection import WEEK_DAYS, demand_quantile, protection_demand

SKU_LEVELS = pl.Schema({"sku_id": pl.String, "demand_class": pl.String, "service_quantile": pl.Float64})

REGULAR_INTERVAL, STEADY_CV2 = 1.32, 0.49
"""Weeks from one week with demand to the next, and squared coefficient of variation of the sizes: what parts
the four classes. Source: Syntetos, Boylan & Croston, "On the categorization of demand patterns", JORS 56
(2005).
"""

LONGEST_LEAD = 0.5
"""Largest lead time of a sku that tunes, as a share of the weeks looked at."""

GRID = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def sku_levels(
    weekly: pl.DataFrame,
    offers: pl.DataFrame,
    today: date,
    config: ReorderConfig,
    *,
    units_per_line: float = 1.0,
    forecast_cv: float = 0.0,
) -> pl.DataFrame:
    """Class and tuned quantile of every sku that sold in the weeks looked at.

    Args:
        weekly: sku_id, week_start_on (Monday), qty; weeks without a sale have no row.
        offers: From `suppliers.ranked_offers`.
        today: Local day; its week and later ones are left out.
        config: Settings: weeks, costs, lead times, least skus of a class.
        units_per_line: From `disaggregate.units_per_line_factor`: variance of a week over its mean.
        forecast_cv: Relative standard deviation of a category's forecast.

    Returns:
        `SKU_LEVELS`, sorted by sku_id. A class with too few skus has `config.service_quantile`, and so has
        every class when there are too few weeks.
    """
    this_week = today - timedelta(days=today.weekday())
    weeks = config.share_weeks + config.tuning_weeks
    first = this_week - timedelta(weeks=weeks)
    seen = weekly.filter((pl.col("week_start_on") >= first) & (pl.col("week_start_on") < this_week))
    if seen.is_empty():
        return pl.DataFrame(schema=SKU_LEVELS)
    grid, skus = _grid(seen, first, weeks)
    classes = demand_classes(grid)
    result = skus.with_columns(demand_class=pl.Series(classes))
    levels: dict[str, float] = {}
    oldest = seen["week_start_on"].min()
    if isinstance(oldest, date) and oldest < first + timedelta(weeks=config.share_weeks):
        levels = _tuned(grid, skus, classes, offers, config, units_per_line, forecast_cv)
    return result.with_columns(
        service_quantile=pl.col("demand_class").replace_strict(
            levels, default=config.service_quantile, return_dtype=pl.Float64
        )
    )


def demand_classes(weekly: FloatArray) -> npt.NDArray[np.str_]:
    """Smooth, erratic, intermittent or lumpy demand.

    Args:
        weekly: float64 (n, t), units of each week; 0 where nothing sold. Each row has a week with demand.

    Returns:
        (n,) names: regular demand of like or unlike sizes, irregular demand of like or unlike sizes; from
        the first week with demand on.
    """
    sold = weekly > 0
    span = weekly.shape[1] - np.argmax(sold, axis=1)
    times = np.maximum(sold.sum(axis=1), 1)
    mean = weekly.sum(axis=1) / times
    squares = (np.where(sold, weekly - mean[:, None], 0.0) ** 2).sum(axis=1) / times
    is_regular = span / times < REGULAR_INTERVAL
    is_steady = squares < STEADY_CV2 * mean**2
    names = np.where(is_steady, "intermittent", "lumpy")
    return np.where(is_regular, np.where(is_steady, "smooth", "erratic"), names)


def _grid(seen: pl.DataFrame, first: date, weeks: int) -> tuple[FloatArray, pl.DataFrame]:
    """Units by sku and week, float64 (n, weeks), and the sku ids in the order of the rows."""
    sums = seen.group_by("sku_id", "week_start_on").agg(pl.col("qty").cast(pl.Float64).sum())
    sums = sums.filter(pl.col("qty") > 0)
    skus = sums.select("sku_id").unique().sort("sku_id")
    placed = sums.join(skus.with_row_index("row"), on="sku_id")
    column = (placed["week_start_on"] - first).dt.total_days() // 7
    grid = np.zeros((skus.height, weeks))
    grid[placed["row"].to_numpy(), column.to_numpy()] = placed["qty"].to_numpy()
    return grid, skus


def _tuned(
    grid: FloatArray,
    skus: pl.DataFrame,
    classes: npt.NDArray[np.str_],
    offers: pl.DataFrame,
    config: ReorderConfig,
    units_per_line: float,
    forecast_cv: float,
) -> dict[str, float]:
    """The cheapest quantile of each class over a sample of its skus.

    Skus whose orders take longer than `LONGEST_LEAD` of the weeks looked at take no part: the loop scores
    from the week on in which the first order of the slowest one can be sold.
    """
    longest = LONGEST_LEAD * config.tuning_weeks * WEEK_DAYS
    in_time = pl.col("lead_time_days").fill_null(WEEK_DAYS) <= longest
    primary = offers.filter((pl.col("place") == 0) & in_time)
    rows = skus.with_row_index("row").join(primary, on="sku_id", how="inner").sort("row")
    # Evenly over the ids, at most so many of a class: the same skus every day, and seconds at any size.
    rows = rows.with_columns(demand_class=pl.Series(classes[rows["row"].to_numpy()], dtype=pl.String))
    place = pl.int_range(pl.len()).over("demand_class")
    stride = (pl.len().over("demand_class") / config.tuning_skus).ceil().clip(1)
    rows = rows.filter(place % stride == 0)
    if rows.is_empty():
        return {}
    demand, names = grid[rows["row"].to_numpy()], rows["demand_class"].to_numpy().astype(np.str_)
    lead_days = rows["lead_time_days"].fill_null(WEEK_DAYS).cast(pl.Float64).to_numpy()
    leads = np.minimum(_drawn_leads(lead_days, demand.shape[1], config), _latest(config))
    minimum, pack = (rows[name].cast(pl.Int64).to_numpy() for name in ("minimum", "pack"))
    # The capacity is that of a review period; the loop reviews once a week.
    most = rows["capacity"].fill_null(np.iinfo(np.int32).max).cast(pl.Int64).to_numpy()
    terms = Terms(
        int(leads.max()), config.holding_cost, config.lost_sale_cost, OrderLimits(minimum, pack, most)
    )

    def run(level: float) -> Outcome:
        def policy(week: int, stock: FloatArray, arriving: FloatArray) -> FloatArray:
            mean = demand[:, week + 1 - config.share_weeks : week + 1].mean(axis=1, keepdims=True)
            variance = units_per_line * mean + (forecast_cv * mean) ** 2
            total, spread = protection_demand(
                mean, variance, lead_days, config.lead_time_cv, config.review_days, 0.0
            )
            return demand_quantile(total, spread, level) - stock - arriving.sum(axis=1)

        start = config.share_weeks
        # It begins with what the periods of lead time and review ask for on average.
        stock = np.ceil(demand[:, :start].mean(axis=1) * (lead_days / WEEK_DAYS + 1))
        score_from = start + min(int(leads.max()), config.tuning_weeks - 1)
        return simulate(demand, policy, terms, stock=stock, start=start, score_from=score_from, leads=leads)

    return tune(run, names, grid=GRID, least_series=config.tuning_least_skus).levels


def _latest(config: ReorderConfig) -> int:
    """The week after the order at which the slowest draw is cut: half of the weeks are always scored."""
    return max(int(LONGEST_LEAD * config.tuning_weeks), 1)


def _drawn_leads(lead_days: FloatArray, weeks: int, config: ReorderConfig) -> npt.NDArray[np.int64]:
    """Week after the order from which it can be sold, at least the next one: gamma around the offer's days.

    An order is placed at the end of a week; 7 days later a further week is over, so it is sold from the
    second week on.
    """
    random = np.random.default_rng(0)
    days = np.repeat(np.maximum(lead_days, 1.0)[:, None], weeks, axis=1)
    if config.lead_time_cv > 0:
        shape = config.lead_time_cv**-2
        days = days * random.gamma(shape, 1 / shape, days.shape)
    return 1 + np.round(days / WEEK_DAYS).astype(np.int64)
