"""What is usual in a category: a Beta prior over the rates of its skus, and the alarm line that follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import beta, betabinom

from models.supply.brake.config import BrakeConfig

FloatArray = npt.NDArray[np.float64]
_ROUNDS = 3
Source = Literal["category", "platform", "default"]


@dataclass(frozen=True, slots=True)
class Prior:
    """A Beta prior and its line.

    Attributes:
        mean: Usual rate, complaints a unit.
        strength: Units that the prior weighs.
        line: Alarm line.
        source: Whose deliveries it was learned from: the category's, the whole platform's, or nobody's.
    """

    mean: float
    strength: float
    line: float
    source: Source


def fit(units: FloatArray, complaints: FloatArray, config: BrakeConfig) -> tuple[float, float] | None:
    """Mean and strength of the rates of skus by moments, without the skus that stand out.

    Args:
        units: Matured units by sku, shape (n,).
        complaints: Complaints by sku, shape (n,).
        config: Bounds.

    Returns:
        Mean and strength; None where there is too little, or nobody complained.

    Source:
        Method of moments for the beta-binomial, Kleinman (1973), JASA 68.
    """
    usual, strength = np.ones(len(units), dtype=np.bool_), config.outlier_strength
    found = None
    for _ in range(_ROUNDS):
        if usual.sum() < config.least_skus or not complaints[usual].sum():
            return None
        # A sku weighs as much as the prior at most: one big seller gone bad is not what is usual.
        weight = np.minimum(units, config.outlier_strength) * usual
        mean = float((weight * complaints / units).sum() / weight.sum())
        rarity = betabinom.sf(complaints - 1, np.ceil(units), mean * strength, (1 - mean) * strength)
        usual = rarity >= config.outlier_probability
        found = _moments(units[usual], complaints[usual], config)
        strength = strength if found is None else max(strength, found[1])
    return found


def prior_of(
    category_id: str, fitted: tuple[float, float] | None, source: Source, config: BrakeConfig
) -> Prior:
    """The prior of a category with its line: the setting, else learned.

    Args:
        category_id: The category.
        fitted: Mean and strength, its own or the platform's; None takes the default.
        source: Where they are from.
        config: Lines that are set, and bounds of learned ones.
    """
    if fitted is None:
        mean, strength, learned = config.default_rate, config.least_strength, config.default_line
    else:
        mean, strength = fitted
        upper = float(beta.ppf(config.line_quantile, mean * strength, (1 - mean) * strength))
        learned = max(upper, config.least_line)
    return Prior(mean, strength, config.lines.get(category_id, learned), source)


def _moments(units: FloatArray, complaints: FloatArray, config: BrakeConfig) -> tuple[float, float] | None:
    if len(units) < config.least_skus or units.sum() < config.least_units or not complaints.sum():
        return None
    total = float(units.sum())
    mean = float(complaints.sum()) / total
    spread = float((units * (complaints / units - mean) ** 2).sum())
    noise = mean * (1 - mean)
    overdispersion = (spread - (len(units) - 1) * noise) / (
        (total - float((units**2).sum()) / total - len(units) + 1) * noise
    )
    strength = 1 / overdispersion - 1 if overdispersion > 0 else config.most_strength
    return mean, float(np.clip(strength, config.least_strength, config.most_strength))
