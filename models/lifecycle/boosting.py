"""One LightGBM booster for a yes-or-no question, as text. LightGBM is imported inside the functions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.lifecycle.config import FitParams
from models.metrics import BoolArray, FloatArray


def fit_booster(
    values: npt.NDArray[np.float32], label: BoolArray, params: FitParams, seed: int, threads: int
) -> str:
    """Fit a booster.

    Args:
        values: float32 (n, n_features); NaN where a feature is unknown.
        label: bool (n,).
        params: Settings.
        seed: Seed of the feature draws.
        threads: LightGBM threads; the result does not depend on it.

    Returns:
        The booster in LightGBM's text form.
    """
    import lightgbm as lgb

    settings = {
        "objective": "binary",
        "num_leaves": params.leaves,
        "learning_rate": params.learning_rate,
        "min_data_in_leaf": params.min_rows_a_leaf,
        "feature_fraction": params.feature_share,
        "lambda_l2": params.l2,
        "max_bin": 63,
        "bin_construct_sample_cnt": 20_000,
        "num_threads": threads,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed,
        "verbose": -1,
    }
    data = lgb.Dataset(values, label.astype(np.float32), free_raw_data=True)
    return str(lgb.train(settings, data, params.rounds).model_to_string())


def predict(model: str, values: npt.NDArray[np.float32], threads: int) -> FloatArray:
    """Raw probability: float64 (n,), 0-1."""
    import lightgbm as lgb

    if len(values) == 0:
        return np.zeros(0)
    return np.asarray(lgb.Booster(model_str=model).predict(values, num_threads=threads), dtype=np.float64)


def gains(model: str, names: tuple[str, ...]) -> dict[str, float]:
    """Share of the total gain of each feature, largest first, ties by name."""
    import lightgbm as lgb

    gain = lgb.Booster(model_str=model).feature_importance("gain")
    total = max(float(gain.sum()), 1e-12)
    pairs = sorted(zip(names, gain, strict=True), key=lambda pair: (-pair[1], pair[0]))
    return {name: float(value) / total for name, value in pairs}
