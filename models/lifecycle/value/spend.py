"""Net spend of a day of purchase: each customer's own mean, drawn to everybody's by how few days it has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.metrics import FloatArray


@dataclass(frozen=True)
class Spend:
    """A fitted shrinkage.

    Attributes:
        mean_cents: Mean of the customers' means.
        days: Days of purchase that everybody's mean weighs as much as.
    """

    mean_cents: float
    days: float

    def a_day(self, days: FloatArray, spend_cents: FloatArray) -> FloatArray:
        """Expected net spend of a day, float64 (n,), 0 or more.

        Args:
            days: Days of purchase so far, float (n,), 1 or more.
            spend_cents: Net spend so far, float (n,).
        """
        own = (spend_cents + self.days * self.mean_cents) / (days + self.days)
        return np.asarray(np.maximum(own, 0.0))


def fit_spend(days: FloatArray, spend_cents: FloatArray) -> Spend:
    """Method of moments: the variance of means over what their own few days explain.

    The variance inside a customer is told from how the variance of means falls with the number of days, by
    weighted least squares of the squared distances on `1 / days`.

    Args:
        days: Days of purchase, float (n,), 1 or more.
        spend_cents: Net spend, float (n,).

    Source:
        Buehlmann & Straub 1970, credibility with two variance components.
    """
    means = spend_cents / days
    centre = float(means.mean()) if len(means) else 0.0
    design = np.stack([np.ones(len(means)), 1 / days])
    squares = (means - centre) ** 2
    if len(means) < 3 or np.ptp(design[1]) == 0 or squares.max() == 0:
        return Spend(centre, 1.0)
    between, within = np.linalg.lstsq(design.T, squares, rcond=None)[0]
    if within <= 0:
        return Spend(centre, 0.0)
    return Spend(centre, min(float(within / max(between, within / 100)), 100.0))
