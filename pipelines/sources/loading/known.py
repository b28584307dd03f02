"""What the lake knows that a load needs: keys of parents, their times, and which of them are gone."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import polars as pl

from pipelines.lake.tables import Lake
from pipelines.sources.contract import ContractTable, ForeignKey, contract_table
from pipelines.sources.loading.validation import Parent
from pipelines.sources.loading.whole_table import Around
from pipelines.sources.refused.quarantine import refused_keys


class KnownKeys:
    """Keys that the lake holds, read once each: parents of foreign keys and times of orders.

    Args:
        lake: Where the parents were loaded.
        supplied: Tables the source supplies; a foreign key to another table is checked only when the lake has
            rows of it. None means: whatever the lake has rows of.
    """

    def __init__(self, lake: Lake, supplied: Iterable[str] | None = None) -> None:
        self._lake = lake
        self._supplied = frozenset(supplied or ())
        self._cache: dict[tuple[str, tuple[str, ...]], pl.DataFrame] = {}

    def columns(self, table: str, columns: tuple[str, ...]) -> pl.DataFrame:
        """Some columns of an accepted table."""
        if (table, columns) not in self._cache:
            self._cache[table, columns] = self._lake.read(table, columns)
        return self._cache[table, columns]

    def parents(self, table: ContractTable) -> list[Parent]:
        """What is known of the foreign keys to other tables that can be checked."""
        found = []
        for key in table.foreign_keys:
            if key.parent == table.name:
                continue
            since = (key.not_before[1],) if key.not_before else ()
            keys = self.columns(key.parent, (*key.parent_columns, *since))
            if keys.height or key.parent in self._supplied or contract_table(key.parent).is_required:
                if table.time_parent is not None and table.time_parent[1] == key.parent:
                    # What hangs on a row that was deleted goes with it; it is no orphan.
                    gone = self.gone(key.parent).select(keys.columns)
                    found.append(Parent(key, pl.concat([keys, gone]), partial(self._refused, key)))
                else:
                    found.append(Parent(key, keys, partial(self._refused, key)))
        return found

    def parent_times(self, table: ContractTable) -> pl.DataFrame | None:
        """Key and time of the parent that dates the rows of this table; None if they carry their own time."""
        if table.time_parent is None:
            return None
        column, parent = table.time_parent
        names = (column, str(table.time_column))
        return pl.concat([self.columns(parent, names), self.gone(parent).select(names)])

    def gone(self, table: str) -> pl.DataFrame:
        """Rows whose newest version says that they were deleted, with `gone_at`: when that was known."""
        if ("", (table,)) not in self._cache:
            history = self._lake.scan_history(table).filter("is_deleted", pl.col("superseded_at").is_null())
            rows = history.with_columns(pl.col("received_at").alias("gone_at"))
            standing = self._lake.scan(table).select(contract_table(table).key)
            key = contract_table(table).key
            self._cache["", (table,)] = rows.join(standing, on=key, how="anti").collect()
        return self._cache["", (table,)]

    def around(self, table: ContractTable, complete: pl.DataFrame | None) -> Around:
        """What a load of a table knows of others: rows that have what they need, parents that are gone."""
        if table.time_parent is None:
            return Around(complete)
        column, parent = table.time_parent
        return Around(complete, self.gone(parent).select(column, "gone_at"))

    def _refused(self, key: ForeignKey) -> pl.DataFrame:
        """Keys of a parent that are in its quarantine or were deleted, with the reason."""
        parent = contract_table(key.parent)
        positions = tuple(parent.key.index(name) for name in key.parent_columns)
        refused = refused_keys(self._lake, parent.name, positions)
        if not parent.has_history:
            return refused
        names = [name for name in refused.columns if name != "reason"]
        gone = self.gone(parent.name).select(
            *(
                pl.col(own).cast(pl.String).alias(name)
                for own, name in zip(key.parent_columns, names, strict=True)
            ),
            pl.lit("deleted at the source").alias("reason"),
        )
        return pl.concat([gone, refused]).unique(names, keep="first", maintain_order=True)

    def forget(self, table: str) -> None:
        """Drops what was read of a table, after it was written."""
        for cached in [key for key in self._cache if key[0] == table or key == ("", (table,))]:
            del self._cache[cached]
