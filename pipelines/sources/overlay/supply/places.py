"""Overlay tables `warehouses` and `warehouse_closures`: one house in every region of a supplier."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from pipelines.sources.overlay.context import Context
from pipelines.sources.overlay.draws import MINUTE, finish, micros_of, moments
from pipelines.sources.overlay.truths import supplier_regions

_HOLIDAYS = ((1, 1), (7, 4), (12, 25))


def warehouses(context: Context) -> pl.DataFrame:
    """One row per region; the ids are those of the movements of stock."""
    regions = supplier_regions(context.seed, context.observed)["region"].unique().sort()
    rng = context.rng("warehouses")
    n = regions.len()
    rows = pl.DataFrame({"region_code": regions}).with_columns(
        warehouse_id=pl.lit("wh-") + pl.col("region_code"),
        name=pl.lit("Warehouse ") + pl.col("region_code"),
        supplier_id=pl.lit(None, pl.String),
        latitude=pl.Series(np.round(rng.uniform(30, 45, n), 4)),
        longitude=pl.Series(np.round(rng.uniform(-115, -75, n), 4)),
        capacity_per_day=pl.Series(rng.integers(40, 90, n) * 100),
        cut_off_minutes=pl.Series(rng.choice([840, 960, 1080], n)),
        working_days=pl.lit("123456"),
        time_zone=pl.lit(None, pl.String),
        received_at=_before_the_first_order(context, n),
    )
    return finish("warehouses", rows, as_of=context.as_of, order_by=["warehouse_id"])


def warehouse_closures(context: Context) -> pl.DataFrame:
    """One row per warehouse and public holiday, from the orders' first year to the one after their last."""
    houses = warehouses(context)
    placed = context.observed.lines["placed_at"].dt.year()
    years = range(int(placed.min()), int(placed.max()) + 2)  # type: ignore[arg-type]
    days = [date(year, month, day) for year in years for month, day in _HOLIDAYS]
    rows = houses.select("warehouse_id", "received_at").join(
        pl.DataFrame({"closed_on": days}, schema={"closed_on": pl.Date}), how="cross"
    )
    # Some houses work on some holidays.
    works = context.rng("warehouse_closures").random(rows.height) < 0.2
    rows = rows.filter(~pl.Series(works)).with_columns(reason=pl.lit("public holiday"))
    return finish("warehouse_closures", rows, as_of=context.as_of, order_by=["warehouse_id", "closed_on"])


def _before_the_first_order(context: Context, n: int) -> pl.Series:
    first = int(micros_of(context.observed.lines["placed_at"].head(1))[0])
    return moments(np.full(n, first - MINUTE, dtype=np.int64))
