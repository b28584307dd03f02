"""One column of somebody's frame read as ids, times or numbers, or refused by name.

pandas, Polars and Arrow come in; text ids, UTC times and float64 numbers go out. No meaning is given here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import polars as pl

from models.errors import FrameError

INSTANT = pl.Datetime("us", "UTC")


def as_polars(frame: Any) -> pl.DataFrame:
    """A frame of Polars (lazy or not), pandas or Arrow as a Polars frame.

    Raises:
        FrameError: It is none of them.
    """
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame
    if hasattr(frame, "columns") or hasattr(frame, "column_names"):
        return pl.DataFrame(frame)
    raise FrameError(
        f"a frame of Polars, pandas or Arrow is needed, not {type(frame).__name__}; wrap it in pl.DataFrame"
    )


def require(frame: pl.DataFrame, columns: Iterable[str]) -> None:
    """Refuse a frame that lacks a column.

    Raises:
        FrameError: Names the missing columns and those that are there.
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise FrameError(
            f"the frame has no column {', '.join(map(repr, missing))}; it has {', '.join(frame.columns)}"
        )


def ids(frame: pl.DataFrame, column: str) -> pl.Series:
    """A column of ids as text.

    Whole numbers that a null turned into floats are written without their `.0`.

    Returns:
        Text, as many rows.

    Raises:
        FrameError: An id is null or a broken number.
    """
    values = frame[column]
    no_nulls(values, column)
    if values.dtype.is_float():
        if not (values.is_finite().all() and (values.round() == values).all()):
            raise FrameError(f"column {column!r}: ids are whole numbers or text, not fractions")
        values = values.cast(pl.Int64)
    return values.cast(pl.String)


def times(frame: pl.DataFrame, column: str, zone: str) -> pl.Series:
    """A column of dates, naive times, times of any zone, or ISO text as UTC.

    Args:
        frame: Holds the column.
        column: Its name.
        zone: IANA zone of dates and of times that name none. A time that the clocks skip is an hour later, of
            one that comes twice the first is meant.

    Returns:
        Instants in microseconds, UTC.

    Raises:
        FrameError: A time is null or cannot be read, or the column is a number: its unit would be a guess.
    """
    values = frame[column]
    no_nulls(values, column)
    if values.dtype == pl.String:
        try:
            values = values.str.to_datetime(time_unit="us")
        except pl.exceptions.PolarsError as error:
            raise FrameError(
                f"column {column!r}: not every text is an ISO time, e.g. {values[0]!r}; parse it first"
            ) from error
    if values.dtype == pl.Date:
        values = values.cast(pl.Datetime("us"))
    if not isinstance(values.dtype, pl.Datetime):
        raise FrameError(
            f"column {column!r} holds {values.dtype}, not times; turn it into datetimes first, e.g. "
            f'pl.from_epoch({column!r}, time_unit="s")'
        )
    if values.dtype.time_zone is None:
        values = _localised(values.cast(pl.Datetime("us")), zone)
    return values.dt.convert_time_zone("UTC").cast(INSTANT)


def numbers(frame: pl.DataFrame, column: str, *, may_be_null: bool = False) -> pl.Series:
    """A numeric or boolean column as float64.

    Raises:
        FrameError: It is no number, or null or not finite where that is not allowed.
    """
    values = frame[column]
    if may_be_null and values.null_count() == len(values):
        return pl.Series(column, [None] * len(values), dtype=pl.Float64)
    if not (values.dtype.is_numeric() or values.dtype == pl.Boolean):
        raise FrameError(f"column {column!r} holds {values.dtype}, not numbers; cast it first")
    values = values.cast(pl.Float64).fill_nan(None)
    if not may_be_null:
        no_nulls(values, column)
    if values.is_infinite().any():
        raise FrameError(f"column {column!r}: {int(values.is_infinite().sum())} values are infinite")
    return values


def _localised(values: pl.Series, zone: str) -> pl.Series:
    """Naive times in their zone; what the clocks skip is moved on by the hour that they skip."""
    try:
        named = values.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    except pl.exceptions.PolarsError as error:
        raise FrameError(f"{zone!r} is no time zone; give an IANA name such as Asia/Shanghai") from error
    later = values.dt.offset_by("1h")
    return named.fill_null(later.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null"))


def aware(moment: datetime, name: str) -> datetime:
    """A moment that names its zone.

    Raises:
        FrameError: It names none, so that nobody can tell which moment it is.
    """
    if moment.utcoffset() is None:
        raise FrameError(f"{name} {moment} names no time zone; pass e.g. {name}.replace(tzinfo=UTC)")
    return moment


def no_nulls(values: pl.Series, column: str) -> None:
    """Refuse a column with a null.

    Raises:
        FrameError: Says how many.
    """
    nulls = values.null_count()
    if nulls:
        raise FrameError(
            f"column {column!r}: {nulls} of {len(values)} values are missing; drop or fill those rows first"
        )
