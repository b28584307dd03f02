"""Small panels for the tests of the general families, typed by hand or drawn under a seed."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from models.data import Panel

FIRST = date(2023, 1, 2)


def panel_of(target: np.ndarray, *, ahead: int = 0, **known: np.ndarray) -> Panel:
    """Series of one shop, with `ahead` periods to forecast; known inputs span all periods."""
    n, seen = target.shape
    full = np.concatenate([target, np.full((n, ahead), np.nan)], axis=1)
    return Panel(
        ids=tuple(f"s{row}" for row in range(n)),
        times=tuple(FIRST + timedelta(weeks=k) for k in range(seen + ahead)),
        target=full,
        known=known,
        static={"shop": tuple("a" if row % 2 else "b" for row in range(n))},
        start=np.zeros(n, dtype=np.int64),
    )


def promoted(n: int = 12, weeks: int = 60, ahead: int = 4, seed: int = 3) -> Panel:
    """Series that sell about 20 a week, four times as many with a deal; a tenth of the weeks is missing."""
    rng = np.random.default_rng(seed)
    deal = (rng.random((n, weeks + ahead)) < 0.25).astype(np.float64)
    units = rng.poisson(np.linspace(10, 30, n)[:, None] * (1 + 3 * deal[:, :weeks])).astype(np.float64)
    units[rng.random(units.shape) < 0.1] = np.nan
    units[:, 0] = 20.0
    return panel_of(units, ahead=ahead, deal=deal)
