"""What the values of a tag look like, without telling anything about one person.

Of people (consumers, agents) a value is named only when at least `CROWD` of them have it, and quantiles only
when at least twice as many have a value; extremes are left out, because they belong to somebody. Values of
sensitive tags are not described at all, and only tags that describe behaviour have an example.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from feature_store.contracts import TagType
from feature_store.language.definitions import Tag
from feature_store.predicted import PredictedTag

CROWD = 10
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_LISTED = 5
_NUMBERS = (TagType.INT, TagType.DECIMAL)


@dataclass(frozen=True)
class Values:
    """The values of a tag over everybody.

    Attributes:
        entities: Rows of the tag table.
        filled: Rows with a value.
        quantiles: Values at 5, 25, 50, 75 and 95%; empty for what is no number or too few.
        shares: The most common values with their shares of the filled rows, 0 to 1; what is rare is left out.
        example: A common value; None where none may be shown.
        hidden: Why values are not described; empty when they are.
    """

    entities: int
    filled: int
    quantiles: tuple[float, ...] = ()
    shares: tuple[tuple[str, float], ...] = ()
    example: str | None = None
    hidden: str = ""

    @property
    def null_share(self) -> float | None:
        """Share of rows without a value, 0 to 1; None without rows."""
        return None if not self.entities else 1 - self.filled / self.entities


def values_of(tag: Tag | PredictedTag, column: pl.Series | None, *, are_people: bool) -> Values:
    """Describes a column of the tag table.

    Args:
        tag: The registry's entry, or that of a predicted tag.
        column: Its values, nulls included; None when the table was not built or lacks it.
        are_people: Whether a row is a person.
    """
    if column is None:
        return Values(0, 0, hidden="not computed yet")
    known = column.drop_nulls()
    size = (len(column), len(known))
    if tag.privacy == "sensitive":
        return Values(*size, hidden="sensitive: values are not described")
    least = CROWD if are_people else 1
    if tag.type in _NUMBERS:
        if not len(known) or len(known) < (2 * least if are_people else 1):
            return Values(*size, hidden="too few values")
        quantiles = tuple(_quantile(known, at) for at in _QUANTILES)
        example = _number(quantiles[2]) if tag.privacy == "behavioural" else None
        return Values(*size, quantiles=quantiles, example=example)
    shares = _common(known, least)
    if not shares:
        return Values(*size, hidden="no value that enough have in common" if len(known) else "no values")
    return Values(*size, shares=shares, example=shares[0][0] if tag.privacy == "behavioural" else None)


def _quantile(known: pl.Series, at: float) -> float:
    found: Any = known.cast(pl.Float64).quantile(at, "nearest")
    return float(found)


def _common(known: pl.Series, least: int) -> tuple[tuple[str, float], ...]:
    """The most common values that at least so many rows have, most common first."""
    counts = known.cast(pl.String).alias("value").value_counts(name="rows")
    common = counts.filter(pl.col("rows") >= least).sort(["rows", "value"], descending=[True, False])
    return tuple((value, rows / len(known)) for value, rows in common.head(_LISTED).iter_rows())


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"


def in_words(values: Values) -> str:
    """The distribution in one line."""
    if values.hidden:
        return values.hidden
    if values.quantiles:
        low, lower, middle, upper, high = (_number(value) for value in values.quantiles)
        return f"{low} | {lower} | {middle} | {upper} | {high}"
    return ", ".join(f"{value} {share:.0%}" for value, share in values.shares)
