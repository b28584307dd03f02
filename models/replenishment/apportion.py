"""Largest remainder: split whole units by weights so that the parts sum exactly."""

from __future__ import annotations

import polars as pl


def largest_remainder(
    frame: pl.DataFrame, group: list[str], weight: str, total: str, tie: str, into: str
) -> pl.DataFrame:
    """Split each group's total over its rows in proportion to the weights (Hamilton's method).

    Args:
        frame: One row a part; `weight` (float, >= 0) and `total` (int, >= 0, equal within a group).
        group: Columns of a group.
        weight: Weight column; a group whose weights are all 0 is split evenly.
        total: Column with the units to split.
        tie: Column that orders equal remainders, ascending.
        into: Name of the new Int64 column.

    Returns:
        The frame with `into`; within a group it sums to `total`, and no part is further than one unit from
        its exact share.
    """
    if frame.height == 0:
        return frame.with_columns(pl.lit(None, dtype=pl.Int64).alias(into))
    summed = pl.col(weight).sum().over(group)
    share = pl.when(summed > 0).then(pl.col(weight) / summed).otherwise(1.0 / pl.len().over(group))
    exact = frame.with_columns(_exact=share * pl.col(total)).with_columns(
        _floor=pl.col("_exact").floor().cast(pl.Int64)
    )
    ordered = (
        exact.with_columns(
            _remainder=(pl.col("_exact") - pl.col("_floor")).round(9),
            _left=pl.col(total) - pl.col("_floor").sum().over(group),
        )
        .sort([*group, "_remainder", tie], descending=[False] * len(group) + [True, False])
        .with_columns(_place=pl.int_range(pl.len()).over(group))
    )
    extra = (pl.col("_place") < pl.col("_left")).cast(pl.Int64)
    return (
        ordered.with_columns((pl.col("_floor") + extra).alias(into))
        .select(*frame.columns, into)
        .sort([*group, tie])
    )
