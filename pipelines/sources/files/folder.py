"""Which file of a user's folder belongs to which table: `<table>.csv` and the like, or `<table>/` with such.

What lives here: the folder as a source, with what its connectors landed (`landed`). What does not: formats
(`csv_rows`, `json_rows`, `parquet_rows`), what a file looks like (`dialect`), derived tables (`derived`),
rules (`validation`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import polars as pl

from pipelines.sources.contract import INGEST_ORDER, TABLES, ContractTable, SourceError, contract_table
from pipelines.sources.files import derived
from pipelines.sources.files.dialect import sniff
from pipelines.sources.files.form import SUFFIXES, Dialect, Found, plain_name
from pipelines.sources.files.landed import LandedStream
from pipelines.sources.files.listing import Listing, list_folder
from pipelines.sources.files.rows import read_rows
from pipelines.sources.files.totals import without_totals
from pipelines.sources.mapping.apply import MappedTable
from pipelines.sources.mapping.document import FILE_NAME, SUGGESTED_NAME, load_mapping
from pipelines.sources.mapping.document import Mapping as OwnWords
from pipelines.sources.mapping.names import file_columns
from pipelines.sources.protocol import LINE_COLUMN, Chunk, TableReading
from pipelines.sources.schemas import EARLIEST_AT
from pipelines.sources.values.columns import read_columns
from pipelines.sources.values.times import day_orders, has_unclear_days

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
        mapping: What to go by in place of the folder's own `muyun.yaml`.
        landed: What the connectors that it names have landed.

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
        mapping: OwnWords | None = None,
        landed: tuple[LandedStream, ...] = (),
    ) -> None:
        if received_at_rule not in _RECEIVED_AT_RULES:
            raise SourceError(
                f"received_at_rule is '{received_at_rule}'; use one of {', '.join(_RECEIVED_AT_RULES)}"
            )
        self.folder = Path(folder)
        self.landed = landed
        self.received_at_rule = received_at_rule
        self._not_after = not_after
        self._time_zone = time_zone
        self._given = mapping
        self._notes: dict[str, tuple[str, ...]] = {}
        self._sniffed: dict[Path, Found] = {}
        self._day_orders: dict[Path, dict[str, bool]] = {}

    @cached_property
    def mapping(self) -> OwnWords:
        """What `muyun.yaml` in the folder says.

        Raises:
            SourceError: If something in it is wrong.
        """
        return self._given if self._given is not None else load_mapping(self.folder)

    @cached_property
    def _listing(self) -> Listing:
        named = {table: self.mapping.files(self.folder, table) for table in TABLES}
        own = frozenset((FILE_NAME, SUGGESTED_NAME, *self.mapping.document.connectors))
        return list_folder(self.folder, {table: paths for table, paths in named.items() if paths}, own)

    @cached_property
    def _files(self) -> Mapping[str, tuple[Path, ...]]:
        found = self._listing.files
        fed = {stream.table for stream in self.landed}
        required = [table for table, contract in TABLES.items() if contract.is_required]
        missing = [table for table in required if table not in found and table not in fed]
        if missing:
            ends = ", ".join(SUFFIXES)
            looked_for = "; ".join(f"{table}: {table}.csv or {table}/*" for table in missing)
            left_out = [name for table in missing for name in self._listing.left_out.get(table, ())]
            others = ", ".join([*self.unmatched_files(), *left_out]) or "nothing"
            raise SourceError(
                f"{self.folder} lacks required tables. Looked for {looked_for} (also {ends}, each also .gz). "
                f"Files found that match no table: {others}"
            )
        return found

    @property
    def time_zone(self) -> str:
        """IANA zone of times without an offset."""
        return self._time_zone

    def paths(self) -> dict[str, Path]:
        """Every file that rows come from or that says how they are read, by name.

        Raises:
            SourceError: If the folder or a required table is missing.
        """
        document = [self.mapping.path] if self.mapping.path else []
        words = [self.folder / name for name in self.mapping.document.connectors]
        own = [*document, *words, *(path for paths in self._files.values() for path in paths)]
        landed = {name: path for stream in self.landed for name, path in stream.files().items()}
        return {self._name(path): path for path in own} | landed

    def unmatched_files(self) -> list[str]:
        """Names in the folder that belong to no table, such as a misspelt one."""
        return list(self._listing.unmatched)

    def found(self, table: str) -> dict[str, Found]:
        """What each file of a supplied table turned out to be, by name, in the order they are read.

        Raises:
            SourceError: If a file cannot be read.
        """
        return {self._name(path): self._found(table, path) for path in self._files.get(table, ())}

    def tables(self) -> tuple[str, ...]:
        """Contract tables supplied or derived, in load order.

        Raises:
            SourceError: If the folder or a required table is missing.
        """
        supplied = {*self._files, *derived.PARENTS, *(stream.table for stream in self.landed)}
        return tuple(table for table in INGEST_ORDER if table in supplied)

    def missing_tables(self) -> tuple[str, ...]:
        """Optional tables that are neither supplied nor derived."""
        return tuple(table for table in INGEST_ORDER if table not in self.tables())

    def read(self, table: str) -> Iterator[Chunk]:
        """Raw rows of one table, file by file.

        Raises:
            SourceError: If a file cannot be read at all, or its header has no column of the table.
        """
        landed = {name for stream in self._landed_for(table) for name in stream.files()}
        if table not in self._files and not landed and table in derived.PARENTS:
            yield self._derive(table)
            return
        notes: dict[str, None] = {}
        own = self._files.get(table, ())
        empty = dict.fromkeys((*map(self._name, own), *sorted(landed)), True)
        if len(own) > 1 and any(path.parent == self.folder for path in own):
            notes[f"the table lies in {len(own)} files, read together: {', '.join(map(self._name, own))}"] = (
                None
            )
        if landed:
            notes[f"{len(landed)} files that connectors landed"] = None
        mapped = self.mapping.table(table)
        for chunk in self._chunks(table, mapped):
            empty[chunk.file] = empty[chunk.file] and not chunk.frame.height and not chunk.refused.height
            notes.update(dict.fromkeys(f"{chunk.file}: {note}" for note in chunk.notes))
            yield chunk
        tables = {table, *(TABLES.keys() - self._files.keys() if table == "orders" else ())}
        left_out = [name for at in TABLES if at in tables for name in self._listing.left_out.get(at, ())]
        others = self.unmatched_files() if table == "orders" else []
        self._notes[table] = (
            *notes,
            *mapped.notes(),
            *(f"{name} has no rows" for name, is_empty in empty.items() if is_empty),
            *((f"files not read: {', '.join(left_out)}",) if left_out else ()),
            *((f"files that match no table: {', '.join(others)}",) if others else ()),
        )

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
        for path in self._files.get(table, ()):
            for position, raw in enumerate(self._raw(table, path)):
                day_first = self._day_first(table, path, raw) if rules.day_first is None else {}
                chunk = mapped.apply(replace(raw, rules=rules, day_first=day_first))
                if position == 0:
                    _check_header(table, chunk, raw, self.mapping.path is not None)
                yield chunk
        yield from mapped.finish()
        for stream in self._landed_for(table):
            yield from stream.chunks(self._time_zone, self.mapping.changed_at(table))

    def _landed_for(self, table: str) -> list[LandedStream]:
        return [stream for stream in self.landed if stream.table == table]

    def _raw(self, table: str, path: Path) -> Iterator[Chunk]:
        """Rows of one file under the names of its columns, total rows refused."""
        name = self._name(path)
        found = self._found(table, path)
        chunks = read_rows(path, name, found, self.hints(table), self._expected(table))
        telling = self._columns_behind(table, _telling(contract_table(table)))
        for chunk in chunks:
            yield without_totals(self._in_contract_names(table, chunk), telling, table)

    def _found(self, table: str, path: Path) -> Found:
        if path not in self._sniffed:
            self._sniffed[path] = sniff(path, self.hints(table), self._expected(table), self._name(path))
        return self._sniffed[path]

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.folder))

    def _columns_behind(self, table: str, names: Iterable[str]) -> frozenset[str]:
        """Columns of the files that some columns of the contract are made of."""
        written = {column: name for column, name in file_columns(table).items() if name in names}
        said = self.mapping.document.table(table).columns
        made = {source for column in written if column in said for source in said[column].columns}
        return frozenset((written.keys() - said.keys()) | made)

    def _expected(self, table: str) -> frozenset[str]:
        """Names that a header may have."""
        said = self.mapping.document.table(table)
        extra = {*said.deleted_when, *([said.changed_at] if said.changed_at else [])}
        return self._columns_behind(table, contract_table(table).columns) | extra

    def _in_contract_names(self, table: str, chunk: Chunk) -> Chunk:
        """The chunk with columns such as `Order ID` under the name of the contract."""
        known = self._columns_behind(table, contract_table(table).columns)
        given = set(chunk.frame.columns)
        renamed = {
            name: plain_name(name)
            for name in chunk.frame.columns
            if name not in known and plain_name(name) in known - given
        }
        if not renamed or len(set(renamed.values())) < len(renamed):
            return chunk
        return replace(chunk, frame=chunk.frame.rename(renamed))

    def _day_first(self, table: str, path: Path, chunk: Chunk) -> dict[str, bool]:
        """Order of day and month in the columns of a file whose values tell it.

        The whole file is looked at, once, as soon as a chunk has a value that could be two days.
        """
        if path not in self._day_orders:
            contract = contract_table(table)
            times = [name for name in contract.columns if contract.dtypes[name].is_temporal()]
            changed_at = self.mapping.changed_at(table)
            columns = {*self._columns_behind(table, times), *([changed_at] if changed_at else [])}
            if not has_unclear_days(chunk, columns):
                return {}
            self._day_orders[path] = day_orders(self._raw(table, path), columns)
        return self._day_orders[path]

    def notes(self, table: str) -> tuple[str, ...]:
        """What a reader of the load report should know, after the table was read."""
        return self._notes.get(table, ())

    def fingerprint(self) -> str:
        """Zone, names, sizes and contents of the files, hashed; times of the files do not matter."""
        digest = hashlib.sha256(self.mapping.path.read_bytes() if self.mapping.path else b"")
        digest.update(self._time_zone.encode())
        for stream in self.landed:
            digest.update(f"{stream.connector}/{stream.name}:{stream.says()}".encode())
        own = {self._name(path): path for paths in self._files.values() for path in paths}
        landed = {name: path for stream in self.landed for name, path in stream.files().items()}
        for name, path in (own | landed).items():
            digest.update(f"{name}:{path.stat().st_size}:".encode())
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


def _telling(table: ContractTable) -> list[str]:
    """Columns that tell one row from another: its key, texts and times."""
    return [
        name
        for name, dtype in table.dtypes.items()
        if name in table.key or dtype == pl.String or dtype.is_temporal()
    ]


def _check_header(table: str, chunk: Chunk, raw: Chunk, has_document: bool) -> None:
    columns = file_columns(table)
    given = [column for column in raw.frame.columns if column != LINE_COLUMN]
    if not given or set(chunk.frame.columns) & columns.keys():
        return
    remedy = "correct" if has_document else "name them so or write"
    raise SourceError(
        f"{raw.file} has no column of the table '{table}'. Its columns: {', '.join(given)}. The table's: "
        f"{', '.join(columns)}. {remedy.capitalize()} `columns` of {table} in {FILE_NAME}, which says what "
        f"each is called in your files; `muyun check-data` writes a first one"
    )
