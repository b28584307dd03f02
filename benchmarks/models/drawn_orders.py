"""How much to order under lost sales: what is left when the order comes decides, not what lies there now.

Source: van Jaarsveld & Arts, "Projected Inventory-Level Policies for Lost Sales Inventory Systems: Asymptotic
Optimality in Two Regimes", Operations Research 72 (2024). Here a quantile of the need takes the place of the
expected level, and the quantile is tuned (`tuning`).
"""

from __future__ import annotations

import numpy as np

from benchmarks.models.error_draws import DemandDraws
from models.metrics import FloatArray

_TINY = 1e-12


def needs(draws: DemandDraws, on_hand: FloatArray, arriving: FloatArray, review: int = 1) -> FloatArray:
    """What an order of now would have to bring in each future.

    Args:
        draws: Futures; the horizon covers every lead time and the review period after it.
        on_hand: float64 (n,), units at hand now.
        arriving: float64 (n, k), units under way that can be sold first in the next k periods.
        review: Periods until the next order can come.

    Returns:
        float64 (n, m): demand from the order's first period on, over `review` periods, less what is left by
        then of stock and deliveries; demand that finds no stock before is lost. Negative: more is left than
        needed.

    Raises:
        ValueError: The horizon ends before the period that an order is for.
    """
    n, m, horizon = draws.demand.shape
    if int(draws.lead.max()) + review - 1 > horizon:
        raise ValueError(f"needs: {horizon} periods of draws do not reach over lead time and review")
    stock = np.repeat(on_hand[:, None], m, axis=1)
    need = np.zeros((n, m))
    for period in range(1, horizon + 1):
        if period <= arriving.shape[1]:
            stock = stock + arriving[:, period - 1 : period]
        demand = draws.demand[:, :, period - 1]
        before = period < draws.lead
        inside = ~before & (period < draws.lead + review)
        stock = np.where(before, np.maximum(stock - demand, 0.0), stock)
        need += np.where(inside, demand, 0.0)
    # Deliveries that come after the order's own period do not help it; with equal lead times there are none.
    return np.asarray(need - stock, dtype=np.float64)


def order_to_level(need: FloatArray, level: FloatArray) -> FloatArray:
    """The order that meets the need in a share of the futures.

    Args:
        need: float64 (n, m), from `needs`.
        level: float64 (n,), in (0, 1).

    Returns:
        float64 (n,), whole units, at least 0: the smallest drawn need that at least `level` of the draws do
        not exceed.
    """
    ordered = np.sort(need, axis=1)
    place = np.clip(np.ceil(level * need.shape[1]).astype(np.int64) - 1, 0, need.shape[1] - 1)
    chosen = np.take_along_axis(ordered, place[:, None], axis=1)[:, 0]
    return np.ceil(np.maximum(chosen, 0.0))


def order_of_least_cost(
    need: FloatArray,
    rate: FloatArray,
    *,
    holding_cost: float,
    lost_sale_cost: float = 1.0,
    weight: FloatArray | float = 1.0,
) -> FloatArray:
    """The order whose lost sales and leftovers cost least, when leftovers are sold at the usual rate.

    What is left of a promotion lies there until the quiet weeks after it have sold it: y units left at the
    end of a period cost about h y (1 + y / (2 rate)) until they are gone, so large leftovers cost more than
    small ones.

    Args:
        need: float64 (n, m), from `needs`.
        rate: float64 (n,), units that a usual period sells; above 0.
        holding_cost: h, cost of a unit left at the end of a period.
        lost_sale_cost: Cost of a unit of lost sales.
        weight: One or (n,), by which holding counts more or less than it costs; tuned in the closed loop.

    Returns:
        float64 (n,), whole units, at least 0: where a further unit costs as much to hold as it saves in lost
        sales, at a drawn need or between two of them.
    """
    ordered = np.sort(need, axis=1)
    draws = need.shape[1]
    count = np.arange(1, draws + 1)[None, :]
    # Sum over the draws below of what would be left of an order of this size.
    left = count * ordered - np.cumsum(ordered, axis=1)
    hold = holding_cost * np.reshape(np.asarray(weight, dtype=np.float64), (-1, 1))
    saves = lost_sale_cost * (draws - count) - hold * (count + left / rate[:, None])
    # At the largest need nothing is saved any more, so there always is a place.
    place = np.argmax(saves <= 0, axis=1)
    chosen = np.take_along_axis(ordered, place[:, None], axis=1)[:, 0]
    # From the need before on the cost of holding rises steadily: there it may balance what is saved.
    before = np.maximum(place - 1, 0)[:, None]
    saved = np.take_along_axis(saves, before, axis=1)[:, 0]
    from_need = np.take_along_axis(ordered, before, axis=1)[:, 0]
    balance = from_need + saved * rate / np.maximum(hold[:, 0] * (before[:, 0] + 1), _TINY)
    chosen = np.where(place > 0, np.minimum(chosen, balance), chosen)
    return np.rint(np.maximum(chosen, 0.0))
