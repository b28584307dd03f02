"""The product's panel as any family reads one, and the boosted forecaster fitted on it.

Imported lazily: importing this module imports lightgbm.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.data import Panel as GeneralPanel
from models.demand.config import QUANTILES, DemandConfig
from models.demand.families import boosted
from models.demand.panel.calendar import CALENDAR_NAMES
from models.demand.panel.series import Panel
from models.demand.weekly.forecasts import Forecast

PLANS = ("display", "mailer")


def general(panel: Panel, *, hidden_from: int | None = None) -> GeneralPanel:
    """The panel with its weeks to forecast; prices are left out, they are not known in advance.

    Args:
        panel: The product's panel.
        hidden_from: Index of the first week whose promotion plan is not shown; None shows what is known.

    Returns:
        Series by category and merchant; known are the promotion plan (NaN where none is on file) and the
        calendar.
    """
    shape = (panel.n_series, len(panel.weeks))
    target = np.full(shape, np.nan)
    target[:, : panel.n_weeks] = panel.qty
    seen = panel.plan_known.copy()
    if hidden_from is not None:
        seen[hidden_from:] = False
    plans = {
        name: np.where(seen[None, :], panel.promo[:, :, k].astype(np.float64), np.nan)
        for k, name in enumerate(PLANS)
    }
    calendar = {
        name: np.broadcast_to(panel.calendar[:, k].astype(np.float64), shape)
        for k, name in enumerate(CALENDAR_NAMES)
    }
    return GeneralPanel(
        ids=tuple(f"{c}|{m}" for c, m in zip(panel.category_id, panel.merchant_id, strict=True)),
        times=panel.weeks,
        target=target,
        known=plans | calendar,
        static={"category": panel.category_id, "merchant": panel.merchant_id},
        start=panel.start,
    )


def fit(panel: Panel, cut: int, config: DemandConfig) -> boosted.FittedBoosted:
    """Fit on weeks before `cut`.

    Args:
        panel: The panel.
        cut: Week index; no target at or after it is seen.
        config: Settings.

    Returns:
        The boosters.

    Raises:
        InsufficientDataError: No series has a target after `min_history` weeks.
    """
    settings = boosted.BoostedConfig(
        steps=tuple(range(1, config.horizon + 1)),
        levels=QUANTILES,
        window=config.window,
        min_history=config.min_history,
        origin_stride=config.gbm.origin_stride,
        hidden_share=0.5,
        trees=config.gbm.trees,
        leaves=config.gbm.leaves,
        learning_rate=config.gbm.learning_rate,
        min_leaf_rows=config.gbm.min_leaf_rows,
        bins=config.gbm.bins,
        row_share=config.gbm.row_share,
        input_share=config.gbm.input_share,
        threads=config.threads,
        seed=config.seed,
    )
    return boosted.Boosted(settings).fit(general(panel), cut)


def predict(
    fitted: boosted.FittedBoosted, panel: Panel, origin: int, horizon: int, *, hide_plan: bool = False
) -> Forecast:
    """Forecast every series of the panel at one origin.

    Args:
        fitted: The boosters.
        panel: The panel.
        origin: Index of the first week to forecast, at most T.
        horizon: Weeks ahead.
        hide_plan: Pretend that the promotion plan ahead is not known.

    Returns:
        Units a week.
    """
    told = general(panel, hidden_from=origin if hide_plan else None)
    found = fitted.predict(told, origin, horizon)
    return Forecast(found.mean, found.quantiles)


def save(fitted: boosted.FittedBoosted, folder: Path) -> None:
    """Write the boosters into a folder of their own inside an existing one."""
    fitted.save(folder / "boosted")


def load(folder: Path) -> boosted.FittedBoosted:
    """Read what `save` wrote.

    Raises:
        BundleError: The boosters are missing, of another format, or damaged.
    """
    return boosted.load(folder / "boosted")
