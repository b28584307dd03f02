"""The boosted forecaster fitted on the product's panel.

Imported lazily: importing this module imports lightgbm.
"""

from __future__ import annotations

from pathlib import Path

from models.demand.config import QUANTILES, DemandConfig
from models.demand.families import boosted
from models.demand.panel.general import general
from models.demand.panel.series import Panel
from models.demand.weekly.forecasts import Forecast


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
