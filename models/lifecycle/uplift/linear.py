"""A ridge regression in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.metrics import FloatArray

PENALTY = 100.0
"""On standardised features, in rows."""


@dataclass(frozen=True)
class Linear:
    """A ridge regression.

    Attributes:
        centre: Means of the features, float64 (n_features,).
        weights: Of the features less their means, float64 (n_features,).
        intercept: Mean of the outcome.
    """

    centre: FloatArray
    weights: FloatArray
    intercept: float

    def predict(self, values: FloatArray) -> FloatArray:
        """Expected outcome, float64 (n,)."""
        return np.asarray(self.intercept + (values - self.centre) @ self.weights)


def fit_linear(values: FloatArray, outcome: FloatArray, penalty: float = PENALTY) -> Linear:
    """Ridge regression on standardised features; a feature without spread gets no weight."""
    centre, spread = values.mean(axis=0), values.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    scaled = (values - centre) / scale
    gram = scaled.T @ scaled + penalty * np.eye(values.shape[1])
    weights = np.linalg.solve(gram, scaled.T @ (outcome - outcome.mean())) / scale
    return Linear(centre, weights, float(outcome.mean()))
