"""Small boosted trees for a number, as an outcome model. LightGBM is imported inside the function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from models.metrics import FloatArray

ROUNDS = 60
LEAST_A_LEAF = 200
"""Fewer than twice as many rows are not split: their mean is expected of everybody."""


@dataclass(frozen=True)
class Trees:
    """Boosted trees.

    Attributes:
        booster: LightGBM's.
    """

    booster: Any

    def predict(self, values: FloatArray) -> FloatArray:
        """Expected outcome, float64 (n,)."""
        return np.asarray(self.booster.predict(values, num_threads=1), dtype=np.float64)


def fit_trees(values: FloatArray, outcome: FloatArray, seed: int) -> Trees:
    """Least squares by boosting, shallow and slow: what is looked for is small beside the noise."""
    import lightgbm as lgb

    settings = {
        "objective": "l2",
        "num_leaves": 6,
        "learning_rate": 0.05,
        "min_data_in_leaf": LEAST_A_LEAF,
        "lambda_l2": 10.0,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed,
        "verbose": -1,
    }
    return Trees(lgb.train(settings, lgb.Dataset(values, outcome), ROUNDS))
