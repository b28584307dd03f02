"""Products of columns of a file, exact to the last digit."""

from __future__ import annotations

from decimal import Decimal
from functools import reduce

import polars as pl

from pipelines.sources.values.numbers import plain_numbers

_EXACT = pl.Decimal(38, 6)
_MOST = Decimal(10) ** 12


def product(factors: list[pl.Series], decimals: int | None) -> pl.Series:
    """The product of some columns as decimal text.

    A row with a blank factor is blank. One with a factor that is no number says so in place of a number, so
    that it is refused with the factors in sight.

    Args:
        factors: Columns of the file.
        decimals: Decimals to round to, half away from zero; None keeps all six.
    """
    numbers = [_number(factor) for factor in factors]
    result = reduce(lambda left, right: _bounded(left * right), numbers)
    if decimals is not None:
        result = result.round(decimals, mode="half_away_from_zero")
    text = result.cast(pl.String).str.replace(r"\.?0+$", "")
    texts = [pl.lit(factor.cast(pl.String, strict=False)) for factor in factors]
    shown = pl.select(pl.concat_str(texts, separator=" x ")).to_series()
    return text.zip_with(result.is_not_null(), shown)


def _number(column: pl.Series) -> pl.Series:
    return _bounded(plain_numbers(column).cast(_EXACT, strict=False))


def _bounded(number: pl.Series) -> pl.Series:
    """The number, null beyond what an amount or a quantity can be, so that products cannot overflow."""
    return number.set((number.abs() > _MOST).fill_null(False), None)
