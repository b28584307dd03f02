"""Comparing computed tags with expected ones, cell by cell."""

from __future__ import annotations

import math
from typing import Any

import polars as pl


def same(got: Any, expected: Any) -> bool:
    """Equal, or both numbers within 1e-9 of each other."""
    if isinstance(got, float) and isinstance(expected, int | float) and not isinstance(expected, bool):
        return math.isclose(got, expected, rel_tol=1e-9, abs_tol=1e-9)
    return bool(got == expected)


def differences(got: dict[str, Any], expected: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Tag to (got, expected) for every expected tag that differs."""
    return {name: (got[name], value) for name, value in expected.items() if not same(got[name], value)}


def row_of(frame: pl.DataFrame, consumer_id: str) -> dict[str, Any]:
    """The tags of one consumer."""
    return frame.row(by_predicate=pl.col("consumer_id") == consumer_id, named=True)
