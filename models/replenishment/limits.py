"""What an order may be: capped, at least the minimum, in packs, within capacity and within a budget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from models.metrics import FloatArray, IntArray
from models.replenishment.suppliers import rounded_order


@dataclass(frozen=True)
class OrderLimits:
    """Limits of one round of orders, one value a series.

    Attributes:
        minimum: int64 (n,), least units of an order.
        pack: int64 (n,), units a pack.
        capacity: int64 (n,), most units of an order; None means no limit.
        most: float64 (n,), cap on what is wanted, before rounding; None means no cap.
        unit_cost: float64 (n,), cost of a unit; needed for a budget.
        budget: Most cost of all orders of a round; None means no limit.
    """

    minimum: IntArray
    pack: IntArray
    capacity: IntArray | None = None
    most: FloatArray | None = None
    unit_cost: FloatArray | None = None
    budget: float | None = None

    def __post_init__(self) -> None:
        """Reject a budget without costs.

        Raises:
            ValueError: There is a budget, and no unit cost to spend it by.
        """
        if self.budget is not None and self.unit_cost is None:
            raise ValueError("order limits: a budget needs unit_cost")

    def feasible(self, wanted: FloatArray, worth: FloatArray) -> FloatArray:
        """Orders within the limits.

        Args:
            wanted: float64 (n,), units wanted.
            worth: float64 (n,), what a unit of money in the order is worth; decides who gets the budget.

        Returns:
            float64 (n,), whole packs; 0 where minimum and capacity exclude each other. Under a budget the
            worthiest are served first, each with the packs that still fit, if these reach the minimum.
        """
        capped = wanted if self.most is None else np.minimum(wanted, self.most)
        capacity = None if self.capacity is None else pl.Series(self.capacity // self.pack * self.pack)
        frame = pl.DataFrame({"wanted": np.ceil(capped), "minimum": self.minimum, "pack": self.pack})
        frame = frame.with_columns(
            pl.col("wanted").cast(pl.Int64),
            capacity=pl.lit(None, pl.Int64) if capacity is None else capacity,
        )
        packed = frame.select(
            rounded_order(pl.col("wanted"), pl.col("minimum"), pl.col("pack"), pl.col("capacity"))
        )
        orders = packed.to_series().to_numpy().astype(np.float64)
        if self.budget is None or self.unit_cost is None:
            return orders
        return within_budget(orders, self.unit_cost, self.minimum, self.pack, worth, self.budget)


def within_budget(
    orders: FloatArray,
    unit_cost: FloatArray,
    minimum: IntArray,
    pack: IntArray,
    worth: FloatArray,
    budget: float,
) -> FloatArray:
    """Spend a budget on orders, the worthiest first.

    Args:
        orders: float64 (n,), whole packs.
        unit_cost: float64 (n,), cost of a unit; above 0.
        minimum: int64 (n,), least units of an order.
        pack: int64 (n,), units a pack.
        worth: float64 (n,), what a unit of money in the order is worth; ties go to the earlier row.
        budget: Most that all orders may cost.

    Returns:
        float64 (n,), each order with the packs that still fit, 0 where these do not reach the minimum.
    """
    result = np.zeros_like(orders)
    for row in np.argsort(-worth, kind="stable"):
        price, packed = max(float(unit_cost[row]), 1e-12), int(pack[row])
        taken = min(orders[row], budget // (price * packed) * packed)
        if taken >= minimum[row]:
            result[row] = taken
            budget -= taken * price
    return result
