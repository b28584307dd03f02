"""Seeded draws, clock arithmetic and the common last step of every overlay table.

Lives here: one independent generator per table, local-time arithmetic in integer microseconds, arrival
delays, and `finish`, which stamps origin, drops what has not arrived by `as_of` and fixes the columns. No
planted number lives here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.sources.contract import contract_table

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY
_EPOCH_MONDAY = 4 * DAY
"""1970-01-05, the first Monday after the epoch."""

LATE_ARRIVAL_SHARE = 0.03
"""Share of rows that reach us 1 to 48 hours after they happened."""
UTC_TIME = pl.Datetime("us", "UTC")


def generator(seed: int, name: str) -> np.random.Generator:
    """Return the generator of one named stream: independent of every other name and of call order."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32).tolist())


def micros(moment: datetime) -> int:
    """Return microseconds since the epoch of a tz-aware moment, exactly (no float)."""
    delta = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds


def micros_of(column: pl.Series) -> Ints:
    """Return a UTC time column as int64 microseconds (n,)."""
    return column.cast(UTC_TIME).to_physical().to_numpy()


def moments(values: Ints) -> pl.Series:
    """Return int64 microseconds (n,) as a UTC time column."""
    return pl.Series(np.asarray(values, dtype=np.int64), dtype=pl.Int64).cast(UTC_TIME)


def moments_where(values: Ints, present: npt.NDArray[np.bool_]) -> pl.Series:
    """Return a UTC time column that is null where `present` is false."""
    frame = pl.DataFrame({"v": moments(values), "p": present})
    return frame.select(pl.when("p").then("v")).to_series()


def local_day_start(values: Ints, utc_offset_hours: int) -> Ints:
    """Return the UTC microseconds at which each value's local day began."""
    shift = utc_offset_hours * HOUR
    return (values + shift) // DAY * DAY - shift


def local_week_start(values: Ints, utc_offset_hours: int) -> Ints:
    """Return the UTC microseconds of local Monday 00:00 of each value's week."""
    shift = utc_offset_hours * HOUR - _EPOCH_MONDAY
    return (values + shift) // WEEK * WEEK - shift


def arrivals(rng: np.random.Generator, happened: Ints, typical: int = 30 * SECOND) -> Ints:
    """Return when each row reached us: exponential with mean `typical`, a few percent 1 to 48 hours late."""
    n = len(happened)
    lag = rng.exponential(typical, n)
    late = rng.random(n) < LATE_ARRIVAL_SHARE
    lag = np.where(late, rng.uniform(HOUR, 48 * HOUR, n), lag)
    return happened + lag.astype(np.int64)


def picks(rng: np.random.Generator, shares: dict[str, float], n: int) -> pl.Series:
    """Return n words drawn with the given shares (which sum to 1)."""
    words = pl.Series(list(shares), dtype=pl.String)
    return words.gather(rng.choice(len(shares), size=n, p=list(shares.values())))


def numbered(prefix: str, n: int) -> pl.Series:
    """Return the ids prefix-0 ... prefix-(n-1)."""
    ids = pl.select(pl.lit(f"{prefix}-") + pl.int_range(0, n).cast(pl.String))
    return ids.to_series()


def finish(
    table: str,
    frame: pl.DataFrame,
    *,
    as_of: datetime,
    order_by: Sequence[str],
    key: str | None = None,
    key_prefix: str = "",
) -> pl.DataFrame:
    """Sort, drop rows not received by `as_of`, number the rows, stamp the origin and fix the columns.

    Args:
        table: contract table whose columns and types the rows get.
        frame: rows with a `received_at` column and every non-null column of the contract.
        as_of: tz-aware UTC moment; rows received later do not exist yet.
        order_by: columns that together order the rows completely.
        key: id column to fill with consecutive numbers, when the table has one of its own.
        key_prefix: prefix of those ids.
    """
    rows = frame.filter(pl.col("received_at") <= as_of).sort(order_by)
    if key is not None:
        rows = rows.with_columns(numbered(key_prefix, rows.height).alias(key))
    return rows.with_columns(origin=pl.lit("overlay")).select(
        pl.col(name).cast(dtype) for name, dtype in contract_table(table).dtypes.items()
    )
