"""A folder of a user's files as a source: `<table>.csv|.jsonl|.ndjson|.parquet`, or `<table>/` with such.

What lives here: which files belong to which table, Parquet reading, and the tables that can be derived
when they are not supplied. What does not: text formats (`text_lines`), rules (`validation`).

Derived when missing, so that the rest of the graph works: merchants and consumers from the ids in the
orders, categories from the ids in the products. A derived consumer belongs to the merchant with most of
its orders, may be profiled, and has not agreed to marketing; a derived merchant is of the scene
'general' in the region 'unknown', and both joined with their first order. Supply the tables to say
more.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.sources.contract import INGEST_ORDER, TABLES, SourceError, contract_table
from pipelines.sources.parsing import parse_column
from pipelines.sources.protocol import LINE_COLUMN, Chunk
from pipelines.sources.schemas import EARLIEST_AT
from pipelines.sources.text_lines import read_csv, read_json_lines

_SUFFIXES = (".csv", ".jsonl", ".ndjson", ".parquet")
_DERIVED = {"categories": "products", "merchants": "orders", "consumers": "orders"}
_PARQUET_ROWS = 250_000
_RECEIVED_AT_RULES = ("event_time", "load_time")


class Files:
    """A folder of files named after the contract tables.

    Args:
        folder: The folder.
        not_after: Orders later than this do not count for `as_of`, so that one wrong date does not move it;
            they are quarantined as lying in the future. None trusts every date.
        received_at_rule: What `received_at` becomes where the files do not say: 'event_time' suits a first
            load of history, 'load_time' a feed that keeps arriving.

    Raises:
        SourceError: If `received_at_rule` is not one of the two.
    """

    name = "the files"
    origin = "observed"

    def __init__(
        self,
        folder: Path | str,
        *,
        not_after: dt.datetime | None = None,
        received_at_rule: str = "event_time",
    ) -> None:
        if received_at_rule not in _RECEIVED_AT_RULES:
            raise SourceError(
                f"received_at_rule is '{received_at_rule}'; use one of {', '.join(_RECEIVED_AT_RULES)}"
            )
        self.folder = Path(folder)
        self.received_at_rule = received_at_rule
        self._not_after = not_after
        self._notes: dict[str, tuple[str, ...]] = {}

    @cached_property
    def _files(self) -> dict[str, tuple[Path, ...]]:
        if not self.folder.is_dir():
            raise SourceError(
                f"the source folder {self.folder} does not exist; create it or change the setting"
            )
        found = {}
        for table in TABLES:
            paths = [self.folder / f"{table}{suffix}" for suffix in _SUFFIXES]
            inside = (self.folder / table).rglob("*") if (self.folder / table).is_dir() else iter(())
            files = [
                path for path in (*paths, *sorted(inside)) if path.is_file() and path.suffix in _SUFFIXES
            ]
            if files:
                found[table] = tuple(files)
        missing = [table for table, contract in TABLES.items() if contract.is_required and table not in found]
        if missing:
            looked_for = "; ".join(
                f"{table}: {', '.join(f'{table}{suffix}' for suffix in _SUFFIXES)} or {table}/*"
                for table in missing
            )
            others = ", ".join(self.unmatched_files()) or "nothing"
            raise SourceError(
                f"{self.folder} lacks required tables. Looked for {looked_for}. "
                f"Files found that match no table: {others}"
            )
        return found

    def unmatched_files(self) -> list[str]:
        """Names in the folder that belong to no table, such as a misspelt one."""
        return sorted(
            path.name
            for path in self.folder.iterdir()
            if not path.name.startswith(".")
            and not (path.is_dir() and path.name in TABLES)
            and not (path.suffix in _SUFFIXES and path.stem in TABLES)
        )

    def tables(self) -> tuple[str, ...]:
        """Contract tables supplied or derived, in load order.

        Raises:
            SourceError: If the folder or a required table is missing.
        """
        return tuple(table for table in INGEST_ORDER if table in self._files or table in _DERIVED)

    def missing_tables(self) -> tuple[str, ...]:
        """Optional tables that are neither supplied nor derived."""
        return tuple(table for table in INGEST_ORDER if table not in self.tables())

    def read(self, table: str) -> Iterator[Chunk]:
        """Raw rows of one table, file by file.

        Raises:
            SourceError: If a file cannot be read at all, or its header has no column of the table.
        """
        if table not in self._files:
            yield self._derive(table)
            return
        notes = []
        for path in self._files[table]:
            name = str(path.relative_to(self.folder))
            has_rows = False
            for position, chunk in enumerate(_read(path, name)):
                if position == 0:
                    _check_header(table, chunk, name)
                has_rows = has_rows or chunk.frame.height > 0 or chunk.refused.height > 0
                yield chunk
            if not has_rows:
                notes.append(f"{name} has no rows")
        others = self.unmatched_files() if table == "orders" else []
        if others:
            notes.append(f"files that match no table: {', '.join(others)}")
        self._notes[table] = tuple(notes)

    def notes(self, table: str) -> tuple[str, ...]:
        """What a reader of the load report should know, after the table was read."""
        return self._notes.get(table, ())

    def fingerprint(self) -> str:
        """Names, sizes and contents of the files, hashed; times of the files do not matter."""
        digest = hashlib.sha256()
        for paths in self._files.values():
            for path in paths:
                digest.update(f"{path.relative_to(self.folder)}:{path.stat().st_size}:".encode())
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def history(self) -> tuple[dt.datetime, dt.datetime]:
        """Time of the oldest and of the newest order (UTC).

        Raises:
            SourceError: If no order has a readable time.
        """
        return self._history

    def as_of(self) -> dt.datetime:
        """Time of the newest order (UTC)."""
        return self._history[1]

    @cached_property
    def _history(self) -> tuple[dt.datetime, dt.datetime]:
        times = self._dated_orders()["placed_at"]
        if self._not_after is not None:
            times = times.filter(times <= self._not_after)
        first, last = times.min(), times.max()
        if not isinstance(first, dt.datetime) or not isinstance(last, dt.datetime):
            names = ", ".join(str(path.relative_to(self.folder)) for path in self._files["orders"])
            raise SourceError(
                f"{names}: no order has a readable placed_at; write times like 2026-11-01T09:30:00Z"
            )
        return first, last

    def _order_columns(self, *names: str) -> pl.DataFrame:
        """Some columns of the orders in contract types, unreadable values as nulls."""
        dtypes = contract_table("orders").dtypes
        parts = [pl.DataFrame(schema={name: dtypes[name] for name in names})]
        for path in self._files["orders"]:
            for chunk in _read(path, path.name):
                if all(name in chunk.frame.columns for name in names):
                    columns = [
                        parse_column(chunk.frame[name], dtypes[name], is_text=chunk.is_text).values.alias(
                            name
                        )
                        for name in names
                    ]
                    parts.append(pl.DataFrame(columns))
        return pl.concat(parts)

    def _dated_orders(self, *names: str) -> pl.DataFrame:
        """Orders with every named column and a time that the contract allows."""
        orders = self._order_columns(*names, "placed_at").drop_nulls()
        return orders.filter(pl.col("placed_at") >= EARLIEST_AT)

    def _derive(self, table: str) -> Chunk:
        parent = _DERIVED[table]
        makers: dict[str, Callable[[], pl.DataFrame]] = {
            "categories": self._derived_categories,
            "merchants": self._derived_merchants,
            "consumers": self._derived_consumers,
        }
        self._notes[table] = (f"not supplied: derived from {parent}, see the data contract for the defaults",)
        return Chunk(makers[table](), f"derived from {parent}")

    def _derived_categories(self) -> pl.DataFrame:
        ids = [pl.DataFrame(schema={"category_id": pl.String})]
        for path in self._files["products"]:
            ids += [
                parse_column(chunk.frame["category_id"], pl.String(), is_text=chunk.is_text).values.to_frame()
                for chunk in _read(path, path.name)
                if "category_id" in chunk.frame.columns
            ]
        unique = pl.concat(ids).drop_nulls().unique().sort("category_id")
        return unique.with_columns(
            pl.col("category_id").alias("name"), pl.lit(1, dtype=pl.Int32).alias("level")
        )

    def _derived_merchants(self) -> pl.DataFrame:
        orders = self._dated_orders("merchant_id")
        return (
            orders.group_by("merchant_id")
            .agg(pl.col("placed_at").min())
            .sort("merchant_id")
            .select(
                "merchant_id",
                name="merchant_id",
                scene=pl.lit("general"),
                region_code=pl.lit("unknown"),
                joined_on=pl.col("placed_at").dt.date(),
            )
        )

    def _derived_consumers(self) -> pl.DataFrame:
        orders = self._dated_orders("consumer_id", "merchant_id")
        home = (
            orders.group_by("consumer_id", "merchant_id")
            .len()
            .sort("consumer_id", "len", "merchant_id", descending=[False, True, False])
            .unique("consumer_id", keep="first", maintain_order=True)
        )
        return (
            home.join(orders.group_by("consumer_id").agg(pl.col("placed_at").min()), on="consumer_id")
            .sort("consumer_id")
            .select(
                "consumer_id",
                "merchant_id",
                registered_at="placed_at",
                consent_marketing=pl.lit(False),
                consent_profiling=pl.lit(True),
            )
        )


def _read(path: Path, name: str) -> Iterator[Chunk]:
    try:
        if path.suffix == ".csv":
            yield from read_csv(path, name)
        elif path.suffix == ".parquet":
            yield from _read_parquet(path, name)
        else:
            yield from read_json_lines(path, name)
    except OSError as error:
        raise SourceError(f"{name} cannot be read ({error}); check the file and its permissions") from error


def _read_parquet(path: Path, name: str) -> Iterator[Chunk]:
    first_line = 1
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                frame = pl.DataFrame(pl.from_arrow(batch))
                yield Chunk(frame, name, first_line=first_line)
                first_line += frame.height
    except (pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise SourceError(f"{name} is not a readable Parquet file ({error}); write it again") from error


def _check_header(table: str, chunk: Chunk, name: str) -> None:
    columns = contract_table(table).columns
    given = [column for column in chunk.frame.columns if column != LINE_COLUMN]
    if given and not set(given) & set(columns):
        raise SourceError(
            f"{name} has no column of the table '{table}' (its first is {given[0]!r}); "
            f"the first line must name the columns, separated by commas: {', '.join(columns[:-1])}"
        )
