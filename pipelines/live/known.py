"""What the live store knows of the rows that others name: keys of parents, and which rows stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import duckdb
import polars as pl

from pipelines.live.cuts import HELD
from pipelines.live.tables import store_of
from pipelines.sources.contract import ContractTable, contract_table

_PARENTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "products": ("core.dim_products", "true"),
        "suppliers": ("core.dim_suppliers", "not is_implied"),
        "categories": ("core.dim_categories", "true"),
        "merchants": ("core.dim_merchants", "true"),
        "agents": ("core.dim_agents", "true"),
        "consumers": ("core.dim_consumers", "true"),
        "orders": ("core.fct_orders", "true"),
        "order_lines": ("core.fct_order_lines", "true"),
        "coupons": ("core.dim_coupons", "true"),
    }
)
"""Where the live store has the keys of tables that others name, and which of its rows were accepted."""

Named = dict[str, list[pl.DataFrame]]
"""Keys of parents by contract table, under the parent's names."""


def names_in(table: ContractTable, rows: pl.DataFrame) -> Named:
    """Rows of other tables that rows name.

    Args:
        table: Their contract.
        rows: The columns of its foreign keys, as far as they have them, in contract types.
    """
    found: Named = {}
    for key in table.foreign_keys:
        theirs = dict(zip(key.columns, key.parent_columns, strict=True))
        if key.parent != table.name and set(theirs) <= set(rows.columns):
            found.setdefault(key.parent, []).append(rows.select(key.columns).rename(theirs).drop_nulls())
    return found


class StoreKeys:
    """Looks keys up in an open live store."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._store = store_of(connection)

    def select(self, sql: str, wanted: pl.DataFrame) -> pl.DataFrame:
        """Rows of the store for some keys, which the SQL calls `_wanted`, and the store `{live}`."""
        self._connection.register("_wanted", wanted)
        try:
            return self._connection.execute(sql.replace("{live}", self._store)).pl()
        finally:
            self._connection.unregister("_wanted")

    def of(self, named: Iterable[Named], tried: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        """Keys that the store has of what rows name, of orders with their time.

        Args:
            named: What is named.
            tried: Rows that are judged anew, by contract table: what the store has of their keys is left out.
        """
        every: Named = {}
        for one in named:
            for parent, parts in one.items():
                every.setdefault(parent, []).extend(parts)
        return {
            parent: self._known(parent, pl.concat(parts).unique(), tried.get(parent))
            for parent, parts in every.items()
        }

    def supplied(self) -> list[str]:
        """Tables that the store has rows of: a key into another table is not checked."""
        tests = ", ".join(
            f"exists (select 1 from {self._store}.{relation} where {condition})"
            for relation, condition in _PARENTS.values()
        )
        row = self._connection.execute(f"select {tests}").fetchone() or ()
        return [table for table, has_rows in zip(_PARENTS, row, strict=True) if has_rows]

    def stands(self, table: str, rows: pl.DataFrame) -> bool:
        """Whether the store has a row with one of these keys, of a table in `cuts.HELD`."""
        return self.lacking(table, rows).height < rows.height

    def lacking(self, table: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows whose keys the store has no row of, of a table in `cuts.HELD`."""
        key = contract_table(table).key
        relation = "core.fct_order_lines" if table == "order_lines" else HELD[table].relation
        return self.select(
            f"select w.* from _wanted w anti join {{live}}.{relation} h using ({', '.join(key)})", rows
        ).select(pl.col(name).cast(dtype) for name, dtype in rows.schema.items())

    def _known(self, parent: str, wanted: pl.DataFrame, own: pl.DataFrame | None) -> pl.DataFrame:
        relation, condition = _PARENTS[parent]
        contract = contract_table(parent)
        columns = [*contract.key, *(["placed_at"] if parent == "orders" else [])]
        rows = self.select(
            f"select {', '.join(columns)} from {{live}}.{relation}"
            f" semi join _wanted using ({', '.join(wanted.columns)}) where {condition}",
            wanted,
        )
        if own is not None:
            rows = rows.join(own.select(contract.key), on=contract.key, how="anti")
        return rows.select(pl.col(name).cast(contract.dtypes[name]) for name in columns)
