"""A real history of orders and deliveries as parcels that were late or not: SupplyGraph, 41 goods x 221 days.

Each good stands for a supplier, its product group for the category. What was ordered on a day is one parcel;
deliveries serve orders first in, first out, and a parcel is late when not all of it had left after `PATIENCE`
days.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl

from benchmarks.models.public_data import public_file
from models.supply.grading.evidence import DELIVERIES

FOLDER = "supplygraph"
PATIENCE = 7
"""Days; a fifth of the orders are late then."""
_ROOT = "Raw Dataset/Homogenoeus"
_LEAST = 1.0
"""Units below which a day's order is rounding."""


def parcels() -> pl.DataFrame:
    """Every parcel of the history, by good and day.

    Returns:
        Columns of `DELIVERIES`; `due_at` is the day on which it should have left.

    Raises:
        MissingDataError: The data are not there.
    """
    units = f"{_ROOT}/Temporal Data/Unit"
    ordered = pl.read_csv(public_file(FOLDER, f"{units}/Sales Order.csv"))
    delivered = pl.read_csv(public_file(FOLDER, f"{units}/Delivery To distributor.csv"))
    groups = pl.read_csv(public_file(FOLDER, f"{_ROOT}/Nodes/Node Types (Product Group and Subgroup).csv"))
    of = dict(groups.select("Node", "Group").iter_rows())
    days = [dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC) for day in ordered["Date"].to_list()]
    rows = []
    for good in (name for name in ordered.columns if name in delivered.columns and name != "Date"):
        wanted = ordered[good].cast(pl.Float64).fill_null(0).to_numpy()
        left = np.cumsum(delivered[good].cast(pl.Float64).fill_null(0).to_numpy())
        needed = np.cumsum(wanted)
        # The first day on which as much had left as was ordered up to and with this day's order.
        served = np.searchsorted(left, needed - _LEAST)
        for day, (units_of_day, at) in enumerate(zip(wanted.tolist(), served.tolist(), strict=True)):
            if units_of_day >= _LEAST and day + PATIENCE < len(days):
                took = at - day
                rows.append(
                    (
                        good,
                        of.get(good, "other"),
                        days[day] + dt.timedelta(days=PATIENCE),
                        took > PATIENCE,
                        float(took - PATIENCE) if took > PATIENCE else None,
                    )
                )
    return pl.DataFrame(rows, schema=DELIVERIES, orient="row").sort("supplier_id", "due_at")
