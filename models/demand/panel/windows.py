"""Windows of the panel at (series, origin) pairs, as the models read them. NumPy only; no look-ahead.

What a window at origin o may contain: sales and prices of weeks < o, calendar of any week, the promotion
plan of weeks >= o where it is known; otherwise the mean of the four weeks before o stands in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.demand.config import DemandConfig
from models.demand.panel.series import Bool, Float32, Int64, Panel

PLAN_WEEKS = 4
MIN_SCALE = 0.25


@dataclass(frozen=True)
class Windows:
    """Windows of b (series, origin) pairs.

    Attributes:
        qty: float32 (b, window), units a week; 0 before the first sale, missing weeks filled.
        on_sale: float32 (b, window), 1 from the first sale on.
        log_price: float32 (b, window).
        promo: float32 (b, window + horizon, 2), log1p counts; unknown plans filled.
        calendar: float32 (b, window + horizon, C).
        category_ratio: float32 (b, window), the category's units over their mean in the window.
        merchant_ratio: float32 (b, window), the merchant's units over their mean in the window.
        expected: float32 (b,), the level that merchant and category totals alone would suggest, over scale.
        scale: float32 (b,), mean units a week on sale within the window, at least `MIN_SCALE`.
        target: float32 (b, horizon), units a week; NaN in a missing week and after the last observed one.
    """

    qty: Float32
    on_sale: Float32
    log_price: Float32
    promo: Float32
    calendar: Float32
    category_ratio: Float32
    merchant_ratio: Float32
    expected: Float32
    scale: Float32
    target: Float32


def training_pairs(panel: Panel, cut: int, config: DemandConfig, stride: int = 1) -> tuple[Int64, Int64]:
    """All (series, origin) pairs whose targets end before week index `cut`, ordered by origin and series.

    An origin needs `min_history` weeks on sale before it, and no missing week among its targets.
    """
    origins = np.arange(cut - config.horizon, 0, -stride)[::-1]
    usable = origins[:, None] >= panel.start[None, :] + config.min_history
    whole = [is_whole(panel, origin, config.horizon) for origin in origins]
    usable &= np.array(whole, dtype=np.bool_).reshape(usable.shape)
    origin_rows, series = np.nonzero(usable)
    return series.astype(np.int64), origins[origin_rows].astype(np.int64)


def is_whole(panel: Panel, origin: int, horizon: int) -> Bool:
    """Bool (n,), series of which no week from an origin on is missing."""
    return np.asarray(~np.isnan(panel.qty[:, origin : origin + horizon]).any(axis=1))


def cut_windows(
    panel: Panel, series: Int64, origins: Int64, config: DemandConfig, hide_plan: Bool | bool = False
) -> Windows:
    """Cut the windows of (series, origin) pairs.

    Args:
        panel: The panel.
        series: int64 (b,), rows of the panel.
        origins: int64 (b,), index of the first week to forecast.
        config: Settings.
        hide_plan: bool or bool (b,): pretend that the promotion plan of the weeks ahead is not known.

    Returns:
        The windows.
    """
    window, horizon, n_weeks = config.window, config.horizon, panel.n_weeks
    past = origins[:, None] + np.arange(-window, 0)[None, :]
    ahead = origins[:, None] + np.arange(horizon)[None, :]
    both = np.concatenate([past, ahead], axis=1)
    row = series[:, None]
    inside = past >= 0
    safe = np.maximum(past, 0)
    on_sale = (inside & (past >= panel.start[row])).astype(np.float32)
    units = panel.filled
    qty = units[row, safe] * on_sale
    scale = np.maximum(qty.sum(axis=1) / np.maximum(on_sale.sum(axis=1), 1), MIN_SCALE)
    category = panel.category_qty[row, safe] * inside
    merchant = panel.merchant_qty[row, safe] * inside
    weeks = np.maximum(inside.sum(axis=1), 1)
    category_mean = np.maximum(category.sum(axis=1) / weeks, MIN_SCALE)
    merchant_mean = np.maximum(merchant.sum(axis=1) / weeks, MIN_SCALE)
    everything = units.sum(axis=0)[safe] * inside
    everything_mean = np.maximum(everything.sum(axis=1) / weeks, MIN_SCALE)
    promo = panel.promo[row, np.maximum(both, 0)] * (both >= 0)[:, :, None]
    recent = promo[:, window - PLAN_WEEKS : window].mean(axis=1, keepdims=True)
    unknown = ~panel.plan_known[ahead] | np.broadcast_to(np.asarray(hide_plan), series.shape)[:, None]
    promo[:, window:] = np.where(unknown[:, :, None], recent, promo[:, window:])
    observed = ahead < n_weeks
    target = np.where(observed, panel.qty[row, np.minimum(ahead, n_weeks - 1)], np.nan)
    return Windows(
        qty=qty,
        on_sale=on_sale,
        log_price=panel.log_price[row, safe] * on_sale,
        promo=promo.astype(np.float32),
        calendar=panel.calendar[np.maximum(both, 0)],
        category_ratio=(category / category_mean[:, None]).astype(np.float32),
        merchant_ratio=(merchant / merchant_mean[:, None]).astype(np.float32),
        expected=(category_mean * merchant_mean / everything_mean / scale).astype(np.float32),
        scale=scale.astype(np.float32),
        target=target.astype(np.float32),
    )
