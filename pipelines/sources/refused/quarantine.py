"""Rows that were not accepted: where they came from, what was wrong, and the row itself.

A row is quarantined once, with its first reason; `reasons` lists all that were found in the same stage.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping

import polars as pl

from pipelines.lake.tables import Lake
from pipelines.sources.protocol import LINE_COLUMN

QUARANTINE_SCHEMA = {
    "table": pl.String(),
    "file": pl.String(),
    "line": pl.Int64(),
    "column": pl.String(),
    "value": pl.String(),
    "reason": pl.String(),
    "reasons": pl.List(pl.String()),
    "row_json": pl.String(),
    "key": pl.List(pl.String()),
    "loaded_at": pl.Datetime("us", "UTC"),
}
"""Columns of a quarantine file; `line` counts from 1 in the file, the header included. `key` holds the key of
the row as far as it could be read; null where the row has no columns."""

MAX_VALUE_LENGTH = 500
"""Characters shown of the value that was refused; longer ones end in an ellipsis."""

_ROWS_PER_FILE = 500_000


NO_LINE = "order has no accepted line"
"""Reason of an order of which no line was accepted: what is wrong lies in its lines."""

SINGULAR: Mapping[str, str] = {
    "suppliers": "supplier",
    "categories": "category",
    "products": "product",
    "merchants": "merchant",
    "agents": "agent",
    "consumers": "consumer",
    "orders": "order",
    "order_lines": "order line",
    "coupons": "coupon",
}
"""Tables that rows name, one row of each."""


def refused_parent(table: str, reason: str = "") -> str:
    """Reason of a row whose parent came, but was refused itself.

    >>> refused_parent("orders", "in the future")
    'its order was refused: in the future'
    """
    return f"its {SINGULAR[table]} was refused: {reason}"


def clipped(column: str | pl.Expr) -> pl.Expr:
    """Text of a column, cut to `MAX_VALUE_LENGTH` characters."""
    text = pl.col(column) if isinstance(column, str) else column
    return (
        pl.when(text.str.len_chars() > MAX_VALUE_LENGTH)
        .then(text.str.slice(0, MAX_VALUE_LENGTH) + "…")
        .otherwise(text)
    )


def row_json(rows: pl.DataFrame) -> pl.Series:
    """Each row as a JSON object, whole, so that it can be read again once its fault is mended."""
    plain = rows.drop(LINE_COLUMN, strict=False)
    if not plain.width or not plain.height:
        return pl.Series("row_json", ["{}"] * rows.height, dtype=pl.String)
    others = [
        pl.col(name).cast(pl.String, strict=False)
        for name, dtype in plain.schema.items()
        if dtype.is_temporal() or isinstance(dtype, pl.Categorical | pl.Enum | pl.Binary | pl.Decimal)
    ]
    return plain.with_columns(others).select(pl.struct(pl.all()).struct.json_encode().alias("row_json"))[
        "row_json"
    ]


class QuarantineWriter:
    """Collects the quarantined rows of one load and writes them in files of bounded size."""

    def __init__(self, lake: Lake, table: str, load: str | None, loaded_at: dt.datetime) -> None:
        self._lake, self._table, self._load, self._loaded_at = lake, table, load, loaded_at
        self._pending: list[pl.DataFrame] = []
        self._pending_rows = 0
        self._parts = 0
        self.rows = 0
        self.reasons: Counter[str] = Counter()

    def add(self, rows: pl.DataFrame) -> None:
        """Adds rows that carry every column of `QUARANTINE_SCHEMA` but `table` and `loaded_at`."""
        if not rows.height:
            return
        full = rows.with_columns(
            pl.lit(self._table).alias("table"),
            pl.lit(self._loaded_at).cast(pl.Datetime("us", "UTC")).alias("loaded_at"),
        ).select([pl.col(name).cast(dtype) for name, dtype in QUARANTINE_SCHEMA.items()])
        for reason, count in full["reason"].value_counts().iter_rows():
            self.reasons[reason] += count
        self.rows += full.height
        self._pending.append(full)
        self._pending_rows += full.height
        if self._pending_rows >= _ROWS_PER_FILE:
            self._flush()

    def close(self) -> None:
        """Writes what is pending and removes the files of an earlier load that this one replaces."""
        if self._pending or not self._parts:
            self._flush()
        self._lake.keep_quarantine_parts(self._table, self._parts, self._load)

    def _flush(self) -> None:
        rows = pl.concat(self._pending) if self._pending else pl.DataFrame(schema=QUARANTINE_SCHEMA)
        self._lake.write_quarantine(self._table, rows, self._load, self._parts)
        self._parts += 1
        self._pending, self._pending_rows = [], 0


def read_quarantine(lake: Lake, table: str) -> pl.DataFrame:
    """Quarantined rows of a table with every column of `QUARANTINE_SCHEMA`, even when no load has run.

    A column that an earlier version did not write is null.
    """
    rows = lake.read_quarantine(table)
    if not rows.width:
        return pl.DataFrame(schema=QUARANTINE_SCHEMA)
    missing = {name: dtype for name, dtype in QUARANTINE_SCHEMA.items() if name not in rows.columns}
    return rows.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in missing.items())


def refused_keys(lake: Lake, table: str, positions: tuple[int, ...]) -> pl.DataFrame:
    """Keys that were refused, each with its first reason.

    Args:
        lake: Where the table was loaded.
        table: Contract table.
        positions: Which parts of the key.

    Returns:
        The parts as `key_0`, `key_1`, ... and `reason`.
    """
    names = [f"key_{number}" for number in range(len(positions))]
    rows = read_quarantine(lake, table).drop_nulls("key")
    parts = [pl.col("key").list.get(at).alias(name) for at, name in zip(positions, names, strict=True)]
    return rows.select(*parts, "reason").drop_nulls().unique(names, keep="first", maintain_order=True)


def summary(lake: Lake, table: str) -> pl.DataFrame:
    """Quarantined rows of a table by column and reason, most frequent first: column, reason, rows."""
    return (
        read_quarantine(lake, table)
        .group_by("column", "reason")
        .agg(pl.len().cast(pl.Int64).alias("rows"))
        .sort("rows", "reason", "column", descending=[True, False, False])
    )
