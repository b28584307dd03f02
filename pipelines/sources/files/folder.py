"""Which file of a user's folder belongs to which table: `<table>.csv` and the like, or `<table>/` with such.

What lives here: the folder as a source. What does not: the formats (`csv_rows`, `json_rows`, `parquet_rows`),
what a file looks like (`dialect`), tables that are derived (`derived`), rules (`validation`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import polars as pl

from pipelines.sources.contract import INGEST_ORDER, TABLES, SourceError, contract_table
from pipelines.sources.files import derived
from pipelines.sources.files.csv_rows import read_csv
from pipelines.sources.files.dialect import Dialect
from pipelines.sources.files.json_rows import read_json_lines
from pipelines.sources.files.parquet_rows import read_parquet
from pipelines.sources.mapping.apply import MappedTable
from pipelines.sources.mapping.document import FILE_NAME, Mapping, load_mapping
from pipelines.sources.protocol import LINE_COLUMN, Chunk, TableReading
from pipelines.sources.schemas import EARLIEST_AT
from pipelines.sources.values.columns import read_columns

_SUFFIXES = (".csv", ".jsonl", ".ndjson", ".parquet")
_RECEIVED_AT_RULES = ("event_time", "load_time")


class Files:
    """A folder of files named after the contract tables.

    Args:
        folder: The folder.
        not_after: Orders later than this do not count for `as_of`, so that one wrong date does not move it;
            they are quarantined as lying in the future. None trusts every date.
        received_at_rule: What `received_at` becomes where the files do not say: 'event_time' suits a first
            load of history, 'load_time' a feed that keeps arriving.
        time_zone: IANA zone of times without an offset.

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
        time_zone: str = "UTC",
    ) -> None:
        if received_at_rule not in _RECEIVED_AT_RULES:
            raise SourceError(
                f"received_at_rule is '{received_at_rule}'; use one of {', '.join(_RECEIVED_AT_RULES)}"
            )
        self.folder = Path(folder)
        self.received_at_rule = received_at_rule
        self._not_after = not_after
        self._time_zone = time_zone
        self._notes: dict[str, tuple[str, ...]] = {}

    @cached_property
    def mapping(self) -> Mapping:
        """What `muyun.yaml` in the folder says.

        Raises:
            SourceError: If something in it is wrong.
        """
        return load_mapping(self.folder)

    @cached_property
    def _files(self) -> dict[str, tuple[Path, ...]]:
        if not self.folder.is_dir():
            raise SourceError(
                f"the source folder {self.folder} does not exist; create it or change the setting"
            )
        found = {}
        for table in TABLES:
            named = self.mapping.files(self.folder, table)
            if named is not None:
                found[table] = named
                continue
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
        named = {path for table in TABLES for path in self.mapping.files(self.folder, table) or ()}
        return sorted(
            path.name
            for path in self.folder.iterdir()
            if not path.name.startswith((".", FILE_NAME))
            and path not in named
            and not (path.is_dir() and path.name in TABLES)
            and not (path.suffix in _SUFFIXES and path.stem in TABLES)
        )

    def tables(self) -> tuple[str, ...]:
        """Contract tables supplied or derived, in load order.

        Raises:
            SourceError: If the folder or a required table is missing.
        """
        return tuple(table for table in INGEST_ORDER if table in self._files or table in derived.PARENTS)

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
        notes: list[str] = []
        empty = {str(path.relative_to(self.folder)): True for path in self._files[table]}
        mapped = self.mapping.table(table)
        for chunk in self._chunks(table, mapped):
            empty[chunk.file] = empty[chunk.file] and not chunk.frame.height and not chunk.refused.height
            yield chunk
        notes += mapped.notes()
        notes += [f"{name} has no rows" for name, is_empty in empty.items() if is_empty]
        others = self.unmatched_files() if table == "orders" else []
        if others:
            notes.append(f"files that match no table: {', '.join(others)}")
        self._notes[table] = tuple(notes)

    def reading(self, table: str) -> TableReading:
        """What the owner of the folder says about a table."""
        return TableReading(
            rules=self.mapping.rules_for(table, self._time_zone),
            changed_at=self.mapping.changed_at(table),
            deleted_when=self.mapping.deleted_when(table),
            status_words=self.mapping.status_words,
        )

    def hints(self, table: str) -> Dialect:
        """What the owner of the folder says of the files of a table."""
        return Dialect(*self.mapping.text_form(table))

    def _chunks(self, table: str, mapped: MappedTable | None = None) -> Iterator[Chunk]:
        """Mapped rows of a supplied table, file by file, with the rules that hold for them."""
        rules = self.reading(table).rules
        mapped = mapped or self.mapping.table(table)
        for path in self._files[table]:
            name = str(path.relative_to(self.folder))
            for position, chunk in enumerate(_read(path, name)):
                chunk = mapped.apply(replace(chunk, rules=rules))
                if position == 0:
                    _check_header(table, chunk, name)
                yield chunk
        yield from mapped.finish()

    def notes(self, table: str) -> tuple[str, ...]:
        """What a reader of the load report should know, after the table was read."""
        return self._notes.get(table, ())

    def fingerprint(self) -> str:
        """Names, sizes and contents of the files, hashed; times of the files do not matter."""
        digest = hashlib.sha256(self.mapping.path.read_bytes() if self.mapping.path else b"")
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
        times = self._columns("orders", ("placed_at",))["placed_at"]
        if self._not_after is not None:
            times = times.filter(times <= self._not_after)
        first, last = times.min(), times.max()
        if not isinstance(first, dt.datetime) or not isinstance(last, dt.datetime):
            names = ", ".join(str(path.relative_to(self.folder)) for path in self._files["orders"])
            raise SourceError(
                f"{names}: no order has a readable placed_at; write times like 2026-11-01T09:30:00Z"
            )
        return first, last

    def _columns(self, table: str, names: tuple[str, ...]) -> pl.DataFrame:
        """Some columns of a supplied table in contract types, without rows that lack one of them."""
        rows = read_columns(self._chunks(table), contract_table(table), names).drop_nulls()
        return rows.filter(pl.col("placed_at") >= EARLIEST_AT) if "placed_at" in names else rows

    def _derive(self, table: str) -> Chunk:
        parent = derived.PARENTS[table]
        self._notes[table] = (f"not supplied: derived from {parent}, see the data contract for the defaults",)
        rows = self._columns(parent, derived.COLUMNS[table])
        derived_rows = Chunk(derived.derive(table, rows), f"derived from {parent}")
        return self.mapping.table(table).complete(derived_rows)


def _read(path: Path, name: str) -> Iterator[Chunk]:
    try:
        if path.suffix == ".csv":
            yield from read_csv(path, name)
        elif path.suffix == ".parquet":
            yield from read_parquet(path, name)
        else:
            yield from read_json_lines(path, name)
    except OSError as error:
        raise SourceError(f"{name} cannot be read ({error}); check the file and its permissions") from error


def _check_header(table: str, chunk: Chunk, name: str) -> None:
    columns = contract_table(table).columns
    given = [column for column in chunk.frame.columns if column != LINE_COLUMN]
    if given and not set(given) & set(columns):
        raise SourceError(
            f"{name} has no column of the table '{table}' (its first is {given[0]!r}); "
            f"the first line must name the columns, separated by commas: {', '.join(columns[:-1])}"
        )
