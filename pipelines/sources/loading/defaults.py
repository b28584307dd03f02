"""What stands for columns that files do not have: a constant of the schema, or computed from other columns.

Lives here: filling. Which column has which default stands in `schemas`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import polars as pl

from pipelines.sources.contract import ContractTable, contract_table
from pipelines.sources.protocol import Chunk
from pipelines.sources.values.columns import has_column, read_column

Columns = Mapping[str, pl.Series]

_COMPUTED: Mapping[tuple[str, str], tuple[tuple[str, ...], Callable[[Columns], pl.Series]]] = (
    MappingProxyType(
        {
            ("products", "title"): (("sku_id",), lambda of: of["sku_id"]),
            ("warehouses", "name"): (("warehouse_id",), lambda of: of["warehouse_id"]),
            ("order_lines", "list_price_cents"): (
                ("net_paid_cents", "promo_discount_cents"),
                lambda of: of["net_paid_cents"] + of["promo_discount_cents"],
            ),
        }
    )
)
"""Columns that are computed row by row: what they need, and how."""


def filled(table: ContractTable, name: str, read: Columns, height: int) -> pl.Series | None:
    """A column that the source lacks.

    Args:
        table: Its table.
        name: The column.
        read: Columns that the source has, in contract types.
        height: Rows.

    Returns:
        The column, or None where it has no default.
    """
    dtype = table.dtypes[name]
    if name in table.constants:
        return pl.Series(name, [table.constants[name]], dtype=dtype).new_from_index(0, height)
    if (table.name, name) not in _COMPUTED:
        return None
    needs, compute = _COMPUTED[table.name, name]
    known = {
        column: read[column] if column in read else filled(table, column, read, height) for column in needs
    }
    if any(series is None for series in known.values()):
        return None
    return compute({column: series for column, series in known.items() if series is not None}).alias(name)


def note(table: ContractTable, name: str) -> str:
    """What the load report says of a column that was filled."""
    return f"{name} was not given: {table.defaults[name]} taken"


class LineNumbers:
    """Numbers the lines of each order in the order of their file, where files do not."""

    def __init__(self) -> None:
        self._file: str | None = None
        self._seen = pl.DataFrame(schema={"order_id": pl.String, "seen": pl.Int32})
        self.notes: tuple[str, ...] = ()

    def add(self, chunk: Chunk) -> Chunk:
        """The chunk with `line_no`; unchanged where it has one or names no orders."""
        table = contract_table("order_lines")
        if has_column(chunk, table, "line_no") or not has_column(chunk, table, "order_id"):
            return chunk
        self.notes = (note(table, "line_no"),)
        if chunk.file != self._file:
            self._file, self._seen = chunk.file, self._seen.clear()
        orders = read_column(chunk, table, "order_id").values.alias("order_id").to_frame()
        numbered = orders.with_columns(line_no=pl.int_range(pl.len(), dtype=pl.Int32).over("order_id") + 1)
        numbered = numbered.join(self._seen, on="order_id", how="left", maintain_order="left").with_columns(
            pl.col("line_no") + pl.col("seen").fill_null(0)
        )
        counts = orders.drop_nulls().group_by("order_id").agg(pl.len().cast(pl.Int32).alias("seen"))
        self._seen = pl.concat([self._seen, counts]).group_by("order_id").agg(pl.col("seen").sum())
        return replace(chunk, frame=chunk.frame.with_columns(numbered["line_no"]))
