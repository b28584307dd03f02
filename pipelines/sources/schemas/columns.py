"""How columns of the contract are declared: one function a kind, with its bounds and what the docs show.

Bounds are wide: they refuse what no shop means (an amount near 2^63, a clock that was never set), not what
is unusual. Metadata of a column: `unit` and `example` for the reader; `default` for files without the column;
`values` of an enum; `planned` for times that may lie ahead; `file_column` and `scale` where files say it in
another unit under another name.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import dataframely as dy
import polars as pl

EARLIEST = dt.date(1971, 1, 1)
"""Business dates and times before this day are refused: they are unset clocks, not history."""
EARLIEST_AT = dt.datetime(1971, 1, 1, tzinfo=dt.UTC)
EARLIEST_BIRTHDAY = dt.date(1900, 1, 2)
"""1900-01-01 and the day before it are what spreadsheets make of an empty date."""

MOST_CENTS = 10**13
"""Largest amount, in minor units."""
MOST_COUNT = 10**9
"""Largest number of units, milliseconds, points."""
MILLI = 1000
"""Quantities of lines are whole thousandths of the unit of sale."""
MOST_MILLI = 10**12
MOST_READING = 10.0**9
"""Largest reading of a device, either sign."""


class Computed(str):
    """A default in words: it is computed from other columns (`defaults`)."""


def _metadata(example: str, unit: str | None = None, default: Any = None, **more: Any) -> dict[str, Any]:
    facts = {"example": example, "unit": unit, "default": default, **more}
    return {name: fact for name, fact in facts.items() if fact is not None}


def identifier(description: str, example: str, *, nullable: bool = False, default: str | None = None) -> Any:
    """An id: a text that is never empty."""
    return dy.String(
        min_length=1,
        nullable=nullable,
        metadata=_metadata(example, default=default),
        description=description,
    )


def text(description: str, example: str, *, nullable: bool = False, default: str | None = None) -> Any:
    """A text for people."""
    return dy.String(nullable=nullable, metadata=_metadata(example, default=default), description=description)


def enum(
    values: tuple[str, ...], description: str, *, nullable: bool = False, default: str | None = None
) -> Any:
    """One of some words."""
    return dy.String(
        nullable=nullable,
        check={"known_value": lambda column: column.is_in(values)},
        metadata=_metadata(values[0], default=default, values=values),
        description=f"{description}: {', '.join(values)}",
    )


def cents(
    description: str,
    *,
    nullable: bool = False,
    is_signed: bool = False,
    example: str = "1999",
    default: int | str | None = None,
) -> Any:
    """An amount in minor units; negative only where `is_signed`."""
    return dy.Int64(
        min=-MOST_CENTS if is_signed else 0,
        max=MOST_CENTS,
        nullable=nullable,
        metadata=_metadata(example, "minor units (cents, fen)", default),
        description=description + ", in cents",
    )


def milli(description: str, file_column: str) -> Any:
    """A quantity in thousandths, negative or positive; files say it in units, with up to three decimals."""
    return dy.Int64(
        min=-MOST_MILLI,
        max=MOST_MILLI,
        nullable=False,
        metadata=_metadata("1.25", "units of sale in files", file_column=file_column, scale=MILLI),
        description=description + ", in thousandths of the unit of sale",
    )


def count(
    description: str,
    *,
    unit: str = "units",
    nullable: bool = False,
    is_signed: bool = False,
    example: str = "12",
) -> Any:
    """A whole number; negative only where `is_signed`."""
    return dy.Int64(
        min=-MOST_COUNT if is_signed else 0,
        max=MOST_COUNT,
        nullable=nullable,
        metadata=_metadata(example, unit),
        description=description,
    )


def small(
    description: str,
    *,
    nullable: bool = False,
    low: int = 0,
    high: int | None = None,
    unit: str | None = None,
    example: str = "1",
    default: str | None = None,
) -> Any:
    """A small whole number."""
    return dy.Int32(
        min=low,
        max=high,
        nullable=nullable,
        metadata=_metadata(example, unit, default),
        description=description,
    )


def share(description: str, *, nullable: bool = False) -> Any:
    """A number from 0 to 1."""
    return dy.Float64(
        min=0.0, max=1.0, nullable=nullable, metadata=_metadata("0.25", "0 to 1"), description=description
    )


def measured(description: str, *, nullable: bool = False) -> Any:
    """What a device measured, in the unit that the row names."""
    return dy.Float64(
        min=-MOST_READING,
        max=MOST_READING,
        nullable=nullable,
        metadata=_metadata("4.5", "as the row says"),
        description=description,
    )


def degrees(description: str, most: float, example: str, *, nullable: bool = False) -> Any:
    """An angle of a place, decimal degrees from -`most` to `most`."""
    return dy.Float64(
        min=-most,
        max=most,
        nullable=nullable,
        metadata=_metadata(example, "decimal degrees"),
        description=description,
    )


def flag(description: str, *, nullable: bool = False) -> Any:
    """True or false."""
    return dy.Bool(nullable=nullable, metadata=_metadata("true"), description=description)


def at(description: str, *, nullable: bool = False, planned: bool = False) -> Any:
    """A UTC time. `planned` times may lie after `as_of`; all others are history and may not."""
    return dy.Datetime(
        min=EARLIEST_AT,
        nullable=nullable,
        time_zone="UTC",
        time_unit="us",
        metadata=_metadata("2026-11-01T09:30:00+08:00", "time", planned=planned),
        description=f"{description} (UTC)",
    )


def on(
    description: str, *, nullable: bool = False, planned: bool = False, earliest: dt.date = EARLIEST
) -> Any:
    """A calendar date. `planned` dates may lie after `as_of`."""
    return dy.Date(
        min=earliest,
        nullable=nullable,
        metadata=_metadata("2026-11-01", "local date", planned=planned),
        description=description,
    )


class Accepted(dy.Schema):
    """What every accepted row carries, whatever its table."""

    received_at = at(
        "when the row was received; features at a time t see only rows received by t", planned=True
    )
    origin = enum(("observed", "overlay"), "whether the row was observed or made by the overlay generator")


def starts_before_end() -> pl.Expr:
    """The start is not after the end."""
    return pl.col("starts_at") <= pl.col("ends_at")
