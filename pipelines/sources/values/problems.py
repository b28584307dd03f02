"""What came of reading one column: values, what could not be read and why, what was decided."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Parsed:
    """One column in its contract type.

    Attributes:
        values: The parsed values; null where the raw value was null or unreadable.
        problems: Masks of raw values that are present and unreadable, each with the reason in plain English;
            no two masks overlap.
        remarks: What was decided about readable values, with the number of values.
    """

    values: pl.Series
    problems: tuple[tuple[pl.Series, str], ...] = ()
    remarks: tuple[tuple[str, int], ...] = ()


class Problems:
    """Collects reasons against the values of one column; the first reason against a value counts.

    Args:
        size: Number of values.
    """

    def __init__(self, size: int) -> None:
        self._free: pl.Series | None = None
        self._size = size
        self._found: list[tuple[pl.Series, str]] = []

    def add(self, mask: pl.Series, reason: str) -> None:
        """One reason against the values of a mask (nulls count as false)."""
        mask = mask.fill_null(False)
        if self._free is not None:
            mask = mask & self._free
        if mask.any():
            self._free = ~mask if self._free is None else self._free & ~mask
            self._found.append((mask, reason))

    def add_rows(self, rows: pl.Series, reason: str) -> None:
        """One reason against the values at some positions."""
        if len(rows):
            mask = pl.repeat(False, self._size, dtype=pl.Boolean, eager=True)
            self.add(mask.scatter(rows, True), reason)

    def add_rest(self, raw: pl.Series, values: pl.Series, reason: str) -> None:
        """One reason against every value that is present and was not read."""
        self.add(values.is_null() & raw.is_not_null(), reason)

    def take(self) -> tuple[tuple[pl.Series, str], ...]:
        """All that was found."""
        return tuple(self._found)
