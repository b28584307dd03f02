"""The closed loop: a policy orders, deliveries come, demand takes what is there, and the rest is lost.

Period by period: what arrives can be sold in its period, demand takes from the stock, holding is charged on
what is left at the end, then the policy orders. An order of period X can be sold from X + lead on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.metrics import FloatArray, IntArray
from models.replenishment.limits import OrderLimits

Policy = Callable[[int, FloatArray, FloatArray], FloatArray]
"""Takes the period, the stock (n,) after its sales, and what arrives in the next `lead_periods` - 1 periods
(n, k); gives the order (n,)."""


@dataclass(frozen=True)
class Terms:
    """Rules of the loop.

    Attributes:
        lead_periods: An order of period X can be sold from X + lead_periods on; at least 1.
        holding_cost: Cost of a unit left at the end of a period.
        lost_sale_cost: Cost of a unit of demand that found no stock.
        limits: What an order may be; None means whole units and nothing else.
    """

    lead_periods: int
    holding_cost: float = 0.2
    lost_sale_cost: float = 1.0
    limits: OrderLimits | None = None


@dataclass(frozen=True)
class Outcome:
    """What a policy led to in the scored periods, by series; each float64 (n,).

    Attributes:
        demand: Units asked for.
        lost: Units that found no stock.
        held: Units left at the end of a period, summed over the periods.
        cost: Holding and lost sales.
    """

    demand: FloatArray
    lost: FloatArray
    held: FloatArray
    cost: FloatArray

    @property
    def total_cost(self) -> float:
        """Cost of all series."""
        return float(self.cost.sum())

    @property
    def fill_rate(self) -> float:
        """Share of the demand that was met; 1 without demand."""
        asked = float(self.demand.sum())
        return 1.0 - float(self.lost.sum()) / asked if asked > 0 else 1.0

    @property
    def periods_of_stock(self) -> float:
        """Mean stock over mean sales; infinite where nothing was sold."""
        sold = float((self.demand - self.lost).sum())
        return float(self.held.sum()) / sold if sold > 0 else float("inf")


def simulate(
    demand: FloatArray,
    policy: Policy,
    terms: Terms,
    *,
    stock: FloatArray,
    start: int,
    score_from: int,
    leads: IntArray | None = None,
    worth: FloatArray | None = None,
) -> Outcome:
    """Run a policy over known demand.

    Args:
        demand: float64 (n, t), units asked for in each period; NaN means that nobody could ask.
        policy: Orders at the end of each period from `start` on; it must only use what was known then.
        terms: Rules of the loop.
        stock: float64 (n,), units at the beginning of period `start`.
        start: First period of the loop.
        score_from: First period that is scored, at or after `start`.
        leads: int64 (n, t), the lead time of an order placed in a period, from 1 to `lead_periods`; None
            means `lead_periods` for each.
        worth: float64 (n,), who gets a budget first; None treats all alike.

    Returns:
        What came of it.

    Raises:
        ValueError: Periods or lead times do not fit.
    """
    n, last = demand.shape
    lead = terms.lead_periods
    if lead < 1 or not 0 <= start <= score_from < last:
        raise ValueError("simulate: needs lead_periods >= 1 and 0 <= start <= score_from < periods")
    if leads is not None and (leads.shape != (n, last) or leads.min() < 1 or leads.max() > lead):
        raise ValueError(f"simulate: leads must be (n, t) with values in 1..{lead}")
    asked = np.nan_to_num(demand)
    worths = np.ones(n) if worth is None else worth
    arrivals = np.zeros((n, last + lead + 1))
    rows = np.arange(n)
    lost, held = np.zeros(n), np.zeros(n)
    for period in range(start, last):
        stock = stock + arrivals[:, period]
        sold = np.minimum(stock, asked[:, period])
        stock = stock - sold
        if period >= score_from:
            lost += asked[:, period] - sold
            held += stock
        wanted = np.maximum(policy(period, stock, arrivals[:, period + 1 : period + lead]), 0.0)
        order = np.ceil(wanted) if terms.limits is None else terms.limits.feasible(wanted, worths)
        when = period + (lead if leads is None else leads[:, period])
        arrivals[rows, when] += order
    cost = terms.lost_sale_cost * lost + terms.holding_cost * held
    return Outcome(asked[:, score_from:].sum(axis=1), lost, held, cost)
