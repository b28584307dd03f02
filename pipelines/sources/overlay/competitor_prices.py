"""Overlay table `competitor_prices`: weekly observations of rivals around the shelf price of best sellers."""

from __future__ import annotations

import numpy as np
import polars as pl

from pipelines.sources.overlay.context import Context
from pipelines.sources.overlay.draws import (
    DAY,
    HOUR,
    MINUTE,
    WEEK,
    Floats,
    arrivals,
    finish,
    moments,
)
from pipelines.sources.overlay.stock import calendar

_MAX_ROWS = 330_000
_MAX_SKUS = 2_100
_MISSED_SHARE = 0.05
_NARROW_COVER = 0.7
"""The last competitor carries only this share of the skus."""


def competitor_prices(context: Context) -> pl.DataFrame:
    """One row per sku, competitor and week: price = shelf price x ratio x exp(AR(1)).

    The shelf price is the mean list price of the last week with a sale BEFORE the observation, so an
    observation holds nothing of later weeks.
    """
    truths = context.truths
    rivals = list(truths.competitor_mean_ratio)
    first, weeks, _ = calendar(context)
    count = min(_MAX_SKUS, _MAX_ROWS // (len(rivals) * weeks))
    skus = (
        context.observed.skus.filter(pl.col("shelf_price_cents") >= 20).head(count).with_row_index("sku_ix")
    )
    shelf = _known_shelf_price(context, skus, first, weeks)
    rng = context.rng("competitor_prices")
    shape = (skus.height, len(rivals), weeks)
    rho, sd = truths.competitor_ar1, truths.competitor_log_sd
    shock = rng.standard_normal(shape)
    level = np.empty(shape)
    level[:, :, 0] = shock[:, :, 0] * sd
    for step in range(1, weeks):
        level[:, :, step] = rho * level[:, :, step - 1] + sd * np.sqrt(1 - rho**2) * shock[:, :, step]
    ratio = np.array(list(truths.competitor_mean_ratio.values()))
    price = np.maximum(np.round(shelf[:, None, :] * ratio[None, :, None] * np.exp(level)), 1).astype(np.int64)
    carried = np.ones((skus.height, len(rivals)), dtype=bool)
    carried[:, -1] = rng.random(skus.height) < _NARROW_COVER
    seen = carried[:, :, None] & (rng.random(shape) >= _MISSED_SHARE)
    sku, rival, week = np.nonzero(seen)
    at = first + week * WEEK + DAY + 10 * HOUR + rng.integers(0, 4 * HOUR, len(week))
    rows = pl.DataFrame(
        {
            "sku_id": skus["sku_id"].gather(sku),
            "competitor": pl.Series(rivals, dtype=pl.String).gather(rival),
            "price_cents": price[sku, rival, week],
            "observed_at": moments(at),
            "received_at": moments(arrivals(rng, at, 10 * MINUTE)),
        }
    )
    return finish(
        "competitor_prices", rows, as_of=context.as_of, order_by=["observed_at", "sku_id", "competitor"]
    )


def _known_shelf_price(context: Context, skus: pl.DataFrame, first: int, weeks: int) -> Floats:
    """Return the list price known at the start of each week (n, w): the last earlier week's mean.

    Before a sku's first sale there is no earlier price: its first week's mean stands in.
    """
    cells = (
        context.observed.lines.join(skus.select("sku_id", "sku_ix"), on="sku_id")
        .with_columns(week=(pl.col("placed_at").to_physical() - first) // WEEK)
        .group_by("sku_ix", "week")
        .agg(price=pl.col("unit_price_cents").sort().mean())
    )
    price = np.full((skus.height, weeks), np.nan)
    price[cells["sku_ix"].to_numpy(), cells["week"].to_numpy()] = cells["price"].to_numpy()
    sold = ~np.isnan(price)
    column = np.arange(weeks)
    last = np.maximum.accumulate(np.where(sold, column, -1), axis=1)
    before = np.concatenate([np.full((skus.height, 1), -1), last[:, :-1]], axis=1)
    first_sold = np.argmax(sold, axis=1)
    source = np.where(before >= 0, before, first_sold[:, None])
    return price[np.arange(skus.height)[:, None], source]
