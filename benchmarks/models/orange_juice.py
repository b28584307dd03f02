"""Dominick's orange juice as a panel, and the rounds of its protocol (TSPerf)."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from models.data import Panel

BRANDS = 11
FIRST_WEEK, LAST_WEEK = 40, 160
FIRST_DAY = dt.date(1989, 9, 14)
"""First day of week 1."""

ROUNDS = 12
HORIZON = 3
SCORED = slice(1, 3)
"""Steps that are scored: the week after the history is a gap of the protocol."""


def origin(round_number: int) -> int:
    """Column of the first week that is not seen in a round (0 to 11): the one after week 135 + 2 r."""
    return 136 + 2 * round_number - FIRST_WEEK


def shown(panel: Panel, at: int) -> Panel:
    """What a round shows: units of the weeks before `at`, and plans to the last week that is forecast."""
    seen, end = panel.seen_at(at), at + HORIZON
    known = {name: values[:, :end] for name, values in seen.known.items()}
    start = np.minimum(seen.start, end)
    return Panel(seen.ids, seen.times[:end], seen.target[:, :end], known, seen.static, start)


def read(path: Path) -> Panel:
    """Read `orangeJuice_yx.csv.gz`.

    Args:
        path: The file.

    Returns:
        913 series by store and brand over weeks 40 to 160: units, with the logarithm of the price, the deal
        and the feature known in advance. A week that is not in the file is NaN; its price is known where
        another brand's row of the store's week tells it.
    """
    rows = pl.read_csv(path)
    keys = rows.select("store", "brand").unique().sort("store", "brand").with_row_index("row")
    rows = rows.join(keys, on=["store", "brand"])
    row, column = rows["row"].to_numpy(), rows["week"].to_numpy() - FIRST_WEEK
    weeks = LAST_WEEK - FIRST_WEEK + 1

    def grid(name: str) -> npt.NDArray[np.float64]:
        values = np.full((keys.height, weeks), np.nan)
        values[row, column] = rows[name].to_numpy()
        return values

    units = np.asarray(np.round(np.exp(grid("logmove"))), dtype=np.float64)
    _, store = np.unique(keys["store"].to_numpy(), return_inverse=True)
    prices = np.full((int(store.max()) + 1, weeks, BRANDS), np.nan)
    prices[store[row], column] = rows.select(f"price{k}" for k in range(1, BRANDS + 1)).to_numpy()
    own = prices[store, :, keys["brand"].to_numpy() - 1]
    return Panel(
        ids=tuple(f"{shop}/{brand}" for shop, brand in keys.select("store", "brand").iter_rows()),
        times=tuple(FIRST_DAY + dt.timedelta(weeks=week - 1) for week in range(FIRST_WEEK, LAST_WEEK + 1)),
        target=units,
        known={"log_price": np.log(own), "deal": grid("deal"), "feature": grid("feat")},
        static={name: tuple(str(word) for word in keys[name]) for name in ("store", "brand")},
        start=np.argmax(np.isfinite(units), axis=1).astype(np.int64),
    )
