"""The printed price formula, kept and labelled, and its repair: the anchor index. Arrays in, arrays out.

No guard rail, no rounding and no choice of price lives here; prices are float cents.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

SCARCITY_LOW = 0.25
SCARCITY_HIGH = 4.0


def formula_printed(
    cost: FloatArray,
    markup: FloatArray,
    demand: FloatArray,
    supply: FloatArray,
    competitor: FloatArray,
    market_mean: FloatArray,
) -> FloatArray:
    """The formula as printed, P = C(1+R)(D/S)(1 - Cp/Cm). DEGENERATE: shown beside a price, never published.

    It is 0 when the competitor sits at the market mean, negative above it, falls when a competitor gets
    dearer, and has no bound as stock runs out.

    Args:
        cost: C, cents per unit.
        markup: R, a rate.
        demand: D, units.
        supply: S, units.
        competitor: Cp, cents per unit (or any scale shared with `market_mean`).
        market_mean: Cm, in the scale of `competitor`.

    Returns:
        float64, cents; infinite or NaN where S or Cm is 0.

    Source:
        The design paper's pricing formula.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.divide(demand, supply)
        return np.asarray(cost * (1.0 + markup) * ratio * (1.0 - np.divide(competitor, market_mean)))


def scarcity(demand: FloatArray, supply: FloatArray, typical_ratio: FloatArray) -> FloatArray:
    """Demand over supply relative to what is usual in the category, held within 1/4 and 4.

    Args:
        demand: D, units, not negative.
        supply: S, units; values below 0 count as 0.
        typical_ratio: Median of D/S in the category; not finite or 0 means unknown.

    Returns:
        float64 in [1/4, 4]; 1 where nothing is known (no demand and no supply, or no typical ratio), 4 where
        there is demand and no supply.
    """
    stock = np.maximum(supply, 0.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        relative = np.divide(demand, stock) / typical_ratio
    known = np.isfinite(typical_ratio) & (typical_ratio > 0) & ((stock > 0) | (demand > 0))
    return np.where(known, np.clip(np.where(known, relative, 1.0), SCARCITY_LOW, SCARCITY_HIGH), 1.0)


def index_parameters(
    elasticity: FloatArray,
    stock_binds: BoolArray,
    *,
    theta: float,
    slack_share: float,
    min_abs_elasticity: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Markup and exponents of the index, from the elasticity.

    Args:
        elasticity: e, negative.
        stock_binds: True where demand is more than stock can serve.
        theta: Cross-price elasticity.
        slack_share: Share of the exponents kept where stock does not bind.
        min_abs_elasticity: Smallest |e| used for the markup, above 1.

    Returns:
        R* = 1/(|e|-1), alpha = 1/|e| and beta = theta/|e|; the exponents times `slack_share` where stock does
        not bind. Each float64 like `elasticity`.

    Raises:
        ValueError: `min_abs_elasticity` is not above 1, where the markup has no finite value.

    Source:
        Lerner condition of a constant-elasticity seller; market clearing of D (P)^e = S.
    """
    if min_abs_elasticity <= 1.0:
        raise ValueError(f"index_parameters: min_abs_elasticity must be above 1, not {min_abs_elasticity}")
    size = np.maximum(np.abs(elasticity), min_abs_elasticity)
    share = np.where(stock_binds, 1.0, slack_share)
    return 1.0 / (size - 1.0), share / size, share * theta / size


def price_index(
    cost: FloatArray,
    markup: FloatArray,
    scarce: FloatArray,
    competitor: FloatArray,
    market_mean: FloatArray,
    alpha: FloatArray,
    beta: FloatArray,
) -> FloatArray:
    """The repaired formula, P = C(1+R) scarcity^alpha (Cp/Cm)^beta: the anchor of every price.

    Args:
        cost: C, cents per unit, positive.
        markup: R, a rate.
        scarce: From `scarcity`, in [1/4, 4].
        competitor: Cp, cents per unit; not finite or not positive means unknown.
        market_mean: Cm, in the scale of `competitor`.
        alpha: Exponent of scarcity, not negative.
        beta: Exponent of the competitor term, not negative.

    Returns:
        float64, cents, positive and finite. Without a competitor price the last term is 1.
    """
    known = np.isfinite(competitor) & np.isfinite(market_mean) & (competitor > 0) & (market_mean > 0)
    relative = np.where(known, np.where(known, competitor, 1.0) / np.where(known, market_mean, 1.0), 1.0)
    return np.asarray(cost * (1.0 + markup) * scarce**alpha * relative**beta)


def implied_elasticity(markup: float) -> float:
    """The elasticity at which cost plus `markup` is the most profitable price, -(1 + 1/markup)."""
    return -(1.0 + 1.0 / markup)
