"""The order-up-to quantile that cost least in the closed loop, by class.

p/(p+h) is right where demand waits; where it is lost, and where what is left serves the weeks after, the loop
itself must say which quantile is cheapest. The forecaster's own bias is tuned away with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.metrics import FloatArray, IntArray
from models.replenishment.loop.simulate import Outcome

CodeArray = npt.NDArray[np.str_] | IntArray
LEVELS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Tuned:
    """What the loop said.

    Attributes:
        levels: Cheapest quantile by class.
        costs: Cost of every quantile by class, in the order of `grid`.
        grid: The quantiles that were tried.
    """

    levels: dict[str, float]
    costs: dict[str, tuple[float, ...]]
    grid: tuple[float, ...]

    def of(self, classes: CodeArray, otherwise: float) -> FloatArray:
        """The quantile of each series, float64 (n,); `otherwise` for a class that was not tuned."""
        return np.asarray([self.levels.get(str(name), otherwise) for name in classes], dtype=np.float64)


def tune(
    run: Callable[[float], Outcome],
    classes: CodeArray,
    *,
    grid: Sequence[float] = LEVELS,
    least_series: int = 1,
    least_fill: float = 0.0,
) -> Tuned:
    """Run the loop once a quantile and take the cheapest of each class.

    Args:
        run: The closed loop with one quantile for every series, over periods before any that are scored.
        classes: (n,), class of each series of the loop.
        grid: Quantiles to try.
        least_series: Classes of fewer series are not tuned.
        least_fill: Quantiles under which a class fills less of its demand are out, unless all are.

    Returns:
        The cheapest quantiles; the lower of two that cost the same.
    """
    outcomes = [run(level) for level in grid]
    levels, costs = {}, {}
    for name in np.unique(classes):
        rows = classes == name
        if rows.sum() < least_series:
            continue
        spent = np.asarray([outcome.cost[rows].sum() for outcome in outcomes])
        fill = np.asarray(
            [1 - outcome.lost[rows].sum() / max(outcome.demand[rows].sum(), 1e-12) for outcome in outcomes]
        )
        allowed = fill >= least_fill
        best = np.argmin(np.where(allowed, spent, np.inf)) if allowed.any() else np.argmax(fill)
        levels[str(name)] = float(grid[int(best)])
        costs[str(name)] = tuple(float(value) for value in spent)
    return Tuned(levels, costs, tuple(grid))
