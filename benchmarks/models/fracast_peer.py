"""`fracast`, a small pretrained forecaster, as a peer: it reads the past of a series and nothing else.

The package is an extra of the benchmarks (`make extras`); without it, its lines are left out.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.demand.families.forecast import Forecast
from models.demand.families.functionals import expectation

NAME = "fracast"
LEAST_SEEN = 8
"""The model refuses shorter series; for those the last week that was observed is repeated."""
_ROWS_A_CALL = 64


@dataclass(frozen=True)
class FracastPeer:
    """The pretrained model, never fitted here.

    Attributes:
        model: `fracast.FracastModel`, or anything with its `quantiles` and `forecast_batch`.
    """

    model: Any

    def forecast(self, history: npt.NDArray[np.float64], horizon: int, least: float = 0.0) -> Forecast:
        """What it says of the periods after a history.

        Args:
            history: float64 (n, t), units; NaN where nothing was observed.
            horizon: Periods.
            least: Smallest value that a quantile may have, units.

        Returns:
            Its quantiles in ascending order, and the mean of the distribution that they draw.
        """
        levels = tuple(float(level) for level in self.model.quantiles)
        quantiles = np.repeat(_last_seen(history)[:, None, None], horizon, axis=1).repeat(len(levels), axis=2)
        enough = np.flatnonzero(np.isfinite(history).sum(axis=1) >= LEAST_SEEN)
        for start in range(0, len(enough), _ROWS_A_CALL):
            part = enough[start : start + _ROWS_A_CALL]
            told = self.model.forecast_batch(history[part].astype(np.float32), horizon=horizon)
            quantiles[part] = np.sort(np.asarray(told, dtype=np.float64), axis=2)
        quantiles = np.maximum(quantiles, least)
        return Forecast(expectation(quantiles, levels), quantiles, levels)


def peer() -> FracastPeer | None:
    """The peer on one thread; None, said on stderr, where the package is not installed."""
    try:
        from fracast import FracastModel
    except ImportError:
        print(f"{NAME} is not installed (make extras): its lines are left out", file=sys.stderr)
        return None
    return FracastPeer(FracastModel.from_pretrained(weights="fp32"))


def _last_seen(history: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The last observed value of each series, 0 where there is none: float64 (n,)."""
    seen = np.isfinite(history)
    last = history.shape[1] - 1 - np.argmax(seen[:, ::-1], axis=1)
    return np.where(seen.any(axis=1), history[np.arange(len(history)), last], 0.0)
