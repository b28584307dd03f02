"""Times at which nobody could buy a sku, and the local days and weeks that lie wholly in them.

Such a period says nothing of the demand for the sku: to a model it is missing, and not zero.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Literal

import polars as pl

OUT_OF_STOCK = pl.Schema(
    {
        "sku_id": pl.String(),
        "began_at": pl.Datetime("us", "UTC"),
        "ended_at": pl.Datetime("us", "UTC"),
    }
)
"""Times at which no supplier had anything of a sku; those of a sku do not overlap."""


def whole_periods(
    out: pl.DataFrame, every: Literal["1d", "1w"], first: date, last: date, utc_offset_hours: int
) -> pl.DataFrame:
    """Local days, or weeks from Monday on, that lie wholly in a time out of stock.

    Args:
        out: As `OUT_OF_STOCK`.
        every: Length of a period.
        first: First day of the first period that is asked about; of weeks a Monday.
        last: First day of the last one.
        utc_offset_hours: Local time minus UTC.

    Returns:
        sku_id and starts_on, each once.
    """
    length = timedelta(days=1) if every == "1d" else timedelta(weeks=1)

    def local(column: str) -> pl.Expr:
        return (pl.col(column) + timedelta(hours=utc_offset_hours)).dt.replace_time_zone(None)

    begins = local("began_at")
    running = begins.dt.truncate(every)
    # A period that had begun before is not whole.
    whole = pl.when(begins == running).then(running).otherwise(running + length)
    return (
        out.select(
            "sku_id",
            first=pl.max_horizontal(whole.dt.date(), pl.lit(first)),
            last=pl.min_horizontal((local("ended_at").dt.truncate(every) - length).dt.date(), pl.lit(last)),
        )
        .filter(pl.col("first") <= pl.col("last"))
        .with_columns(starts_on=pl.date_ranges("first", "last", every))
        .explode("starts_on")
        .select("sku_id", "starts_on")
        .unique()
    )
