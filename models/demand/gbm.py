"""The LightGBM models: one direct multi-horizon model a quantile, and one for the mean.

Imported lazily: importing this module imports lightgbm. Models are saved as LightGBM text, never pickled.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from models.demand.config import QUANTILES, DemandConfig, from_json
from models.demand.forecasts import Forecast
from models.demand.series import Bool, Float32, Int64, Panel
from models.demand.windows import PLAN_WEEKS, Windows, cut_windows, training_pairs
from models.errors import BundleError, InsufficientDataError

FORMAT = 1
LAGS = 4
MEANS = (2, 4, 8, 13)
CATEGORICAL = ("category", "merchant")


@dataclass
class FittedGbm:
    """Fitted boosters with the ids that their categorical inputs know.

    Attributes:
        quantiles: One booster a level of `QUANTILES`, predicting units over scale.
        mean: The booster of the mean.
        categories: Category ids of codes 1..n; 0 is unknown.
        merchants: Merchant ids of codes 1..n; 0 is unknown or pooled.
        config: Settings it was fitted with.
    """

    quantiles: list[lightgbm.Booster]
    mean: lightgbm.Booster
    categories: tuple[str, ...]
    merchants: tuple[str, ...]
    config: DemandConfig


def _codes(ids: tuple[str, ...], known: tuple[str, ...]) -> Int64:
    code_of = {name: code for code, name in enumerate(known, start=1)}
    return np.array([code_of.get(name, 0) for name in ids], dtype=np.int64)


def feature_names(calendar_width: int) -> list[str]:
    """Names of the columns that `features` yields."""
    return [
        "category",
        "merchant",
        "horizon",
        "log_scale",
        "weeks_on_sale",
        *(f"lag_{k}" for k in range(1, LAGS + 1)),
        *(f"mean_{k}" for k in MEANS),
        "median",
        "low",
        "high",
        "deviation",
        "zero_share",
        "log_expected",
        *(f"{group}_{k}" for group in ("category", "merchant") for k in ("1w", "4w", "13w")),
        "same_week_of_cycle",
        "log_price",
        "log_price_change",
        *(f"promo_{k}" for k in ("display", "mailer")),
        *(f"promo_change_{k}" for k in ("display", "mailer")),
        *(f"calendar_{k}" for k in range(calendar_width)),
    ]


def _known_quantiles(known: Float32, levels: tuple[float, ...]) -> list[Float32]:
    """Row quantiles that skip NaN, linear between points; np.nanquantile does the same row by row, slowly.

    Args:
        known: float32 (b, w); each row holds at least one number.
        levels: In [0, 1].

    Returns:
        One float32 (b,) a level.
    """
    ordered = np.sort(known, axis=1)
    last = (~np.isnan(known)).sum(axis=1) - 1
    rows = np.arange(len(known))
    results = []
    for level in levels:
        place = level * last
        below = np.floor(place).astype(np.int64)
        low, high = ordered[rows, below], ordered[rows, np.minimum(below + 1, last)]
        results.append((low + (high - low) * (place - below)).astype(np.float32))
    return results


def features(windows: Windows, category: Int64, merchant: Int64, config: DemandConfig) -> Float32:
    """One row a (window, horizon step), horizon fastest.

    Args:
        windows: b windows.
        category: int64 (b,), codes.
        merchant: int64 (b,), codes.
        config: Settings.

    Returns:
        float32 (b * horizon, columns of `feature_names`); sales are over the window's scale.
    """
    window, horizon = config.window, config.horizon
    ratio = windows.qty / windows.scale[:, None]
    on_sale = windows.on_sale > 0
    known = np.where(on_sale, ratio, np.nan)
    known[~on_sale.any(axis=1), -1] = 0.0
    weeks = windows.on_sale.sum(axis=1)
    static = np.column_stack(
        [
            category,
            merchant,
            np.zeros(len(category)),
            np.log(windows.scale),
            weeks,
            ratio[:, : -LAGS - 1 : -1],
            *(
                np.nanmean(np.where(np.isnan(known[:, -k:]), ratio[:, -k:], known[:, -k:]), axis=1)
                for k in MEANS
            ),
            *_known_quantiles(known, (0.5, QUANTILES[0], QUANTILES[-1])),
            np.nanstd(known, axis=1),
            np.nanmean(known == 0, axis=1),
            np.log(np.maximum(windows.expected, 1e-3)),
            *(
                group[:, -weeks_back:].mean(axis=1)
                for group in (windows.category_ratio, windows.merchant_ratio)
                for weeks_back in (1, 4, 13)
            ),
        ]
    ).astype(np.float32)
    rows = np.repeat(static, horizon, axis=0)
    rows[:, 2] = np.tile(np.arange(1, horizon + 1), len(category))
    cycle = ratio[:, window - PLAN_WEEKS + np.arange(horizon) % PLAN_WEEKS].reshape(-1, 1)
    price = np.repeat(
        np.column_stack(
            [
                windows.log_price[:, -1],
                windows.log_price[:, -1] - windows.log_price[:, -PLAN_WEEKS:].mean(axis=1),
            ]
        ),
        horizon,
        axis=0,
    )
    ahead = windows.promo[:, window:]
    change = ahead - windows.promo[:, :window].mean(axis=1, keepdims=True)
    calendar = windows.calendar[:, window:]
    return np.concatenate(
        [
            rows,
            cycle,
            price,
            ahead.reshape(len(rows), -1),
            change.reshape(len(rows), -1),
            calendar.reshape(len(rows), -1),
        ],
        axis=1,
    ).astype(np.float32)


def fit(panel: Panel, cut: int, config: DemandConfig) -> FittedGbm:
    """Fit on weeks before `cut`; rows weigh as their series' scale, so that units count, not series.

    Args:
        panel: The panel.
        cut: Week index; no target at or after it is seen.
        config: Settings.

    Returns:
        The boosters; the same inputs and threads give the same trees.

    Raises:
        InsufficientDataError: No window fits before `cut`.
    """
    series, origins = training_pairs(panel, cut, config, stride=config.gbm.origin_stride)
    if len(series) == 0:
        raise InsufficientDataError(
            f"demand_lightgbm: no window of {config.min_history}+{config.horizon} weeks before week {cut}"
        )
    categories = tuple(sorted(set(panel.category_id)))
    pooled = panel.is_pooled
    merchants = tuple(sorted({m for m, p in zip(panel.merchant_id, pooled, strict=True) if not p}))
    hide: Bool = np.random.default_rng(config.seed).random(len(series)) < 0.5
    windows = cut_windows(panel, series, origins, config, hide)
    rows = features(
        windows,
        _codes(panel.category_id, categories)[series],
        _codes(panel.merchant_id, merchants)[series],
        config,
    )
    scale = np.repeat(windows.scale, config.horizon)
    data = lightgbm.Dataset(
        rows,
        label=windows.target.ravel() / scale,
        weight=scale,
        feature_name=feature_names(panel.calendar.shape[1]),
        categorical_feature=list(CATEGORICAL),
        params={"verbosity": -1, "max_bin": 127, "min_data_in_leaf": config.gbm.min_leaf_rows},
    )
    boosters = [_boost(data, {"objective": "quantile", "alpha": level}, config) for level in QUANTILES]
    mean = _boost(data, {"objective": "poisson"}, config)
    return FittedGbm(boosters, mean, categories, merchants, config)


def _boost(data: lightgbm.Dataset, objective: dict[str, Any], config: DemandConfig) -> lightgbm.Booster:
    params = {
        **objective,
        "learning_rate": config.gbm.learning_rate,
        "num_leaves": config.gbm.leaves,
        "min_data_in_leaf": config.gbm.min_leaf_rows,
        "max_bin": 127,
        "feature_fraction": 0.8,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "cat_smooth": 50.0,
        "seed": config.seed % 2**31,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": config.threads,
        "verbosity": -1,
    }
    return lightgbm.train(params, data, num_boost_round=config.gbm.trees)


def predict(fitted: FittedGbm, panel: Panel, origin: int, *, hide_plan: bool = False) -> Forecast:
    """Forecast every series of the panel at one origin; quantiles may cross and are repaired by the caller.

    Args:
        fitted: The boosters.
        panel: The panel.
        origin: Index of the first week to forecast, at most T.
        hide_plan: Pretend that the promotion plan ahead is not known.

    Returns:
        Units a week.
    """
    series = np.arange(panel.n_series)
    config = fitted.config
    windows = cut_windows(panel, series, np.full_like(series, origin), config, hide_plan)
    rows = features(
        windows,
        _codes(panel.category_id, fitted.categories),
        _codes(panel.merchant_id, fitted.merchants),
        config,
    )
    scale = windows.scale[:, None].astype(np.float64)
    shape = (panel.n_series, config.horizon)
    values = [
        np.asarray(booster.predict(rows, num_threads=config.threads)).reshape(shape) * scale
        for booster in [*fitted.quantiles, fitted.mean]
    ]
    return Forecast(mean=values[-1], quantiles=np.stack(values[:-1], axis=-1))


def save(fitted: FittedGbm, folder: Path) -> None:
    """Write `quantile_<level>.txt`, `mean.txt` and `boosters.json` into an existing folder."""
    for level, booster in zip(QUANTILES, fitted.quantiles, strict=True):
        booster.save_model(folder / f"quantile_{level}.txt")
    fitted.mean.save_model(folder / "mean.txt")
    document = {
        "format": FORMAT,
        "config": fitted.config.as_json(),
        "categories": fitted.categories,
        "merchants": fitted.merchants,
    }
    (folder / "boosters.json").write_text(json.dumps(document, indent=1, sort_keys=True))


def load(folder: Path) -> FittedGbm:
    """Read what `save` wrote.

    Raises:
        BundleError: A file is missing, of another format, or not readable.
    """
    try:
        document = json.loads((folder / "boosters.json").read_text())
        if document["format"] != FORMAT:
            raise BundleError(
                f"{folder}: booster format {document['format']}, expected {FORMAT}; train again"
            )
        quantiles = [lightgbm.Booster(model_file=folder / f"quantile_{level}.txt") for level in QUANTILES]
        mean = lightgbm.Booster(model_file=folder / "mean.txt")
        config = from_json(document["config"])
    except BundleError:
        raise
    except Exception as error:
        raise BundleError(f"{folder}: not a readable LightGBM bundle ({error}); train again") from error
    return FittedGbm(quantiles, mean, tuple(document["categories"]), tuple(document["merchants"]), config)
