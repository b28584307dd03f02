"""What a general family says of a panel: means and quantiles."""

from __future__ import annotations

from dataclasses import dataclass

from models.metrics import FloatArray


@dataclass(frozen=True)
class Forecast:
    """What is expected of n series over h periods.

    Attributes:
        mean: float64 (n, h), units.
        quantiles: float64 (n, h, q), units, ascending on the last axis.
        levels: The q levels, ascending.
    """

    mean: FloatArray
    quantiles: FloatArray
    levels: tuple[float, ...]
