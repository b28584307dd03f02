"""New files of the user's folder: taken in by a tick where they only add rows, else left to a full run.

A file that was known and is another one now, or is gone, changes rows that stand; so does a new file with a
newer version of a row, a row that is refused (the quarantine is the full run's), or a table that other rows
are worked out from. Of all that only the reason is told, and nothing is taken.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import duckdb
import polars as pl

from pipelines.live.cuts import HELD
from pipelines.live.known import Named, StoreKeys, names_in
from pipelines.live.slice_lake import SliceLake
from pipelines.live.tables import make
from pipelines.sources.contract import INGEST_ORDER, SourceError, contract_table, empty
from pipelines.sources.files.folder import Files
from pipelines.sources.loading.ingest import KnownKeys, ingest
from pipelines.sources.protocol import Chunk
from pipelines.sources.values.columns import has_column, read_column

ADDED = frozenset(HELD) - {"offers", "listings"}
"""Tables to which a tick may add rows of files: their rows are brought into the facts key by key."""

Stamp = tuple[int, int]
"""Size in bytes and time of the last change in nanoseconds."""


@dataclass(frozen=True)
class FileNews:
    """What became of the folder since the tick before.

    Attributes:
        rows: Rows of new files by contract table, in contract types; for `intake.take_in`.
        files: Names of the new files.
        wants_full_run: Why a full run is needed; empty when none is. Then there are no rows.
    """

    rows: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    wants_full_run: str = ""


def begin(connection: duckdb.DuckDBPyConnection, source: Files, fingerprint: str) -> str:
    """Remember the folder of a new generation, which the full run has read.

    Args:
        connection: The draft of the generation.
        source: The folder as it is now.
        fingerprint: Of the folder as the full run read it.

    Returns:
        Why a full run is needed: the folder has changed since; empty when it has not.
    """
    if source.fingerprint() != fingerprint:
        return "the folder has changed since it was read"
    remember(connection, stamps(source))
    return ""


def remember(connection: duckdb.DuckDBPyConnection, known: Mapping[str, Stamp]) -> None:
    """Write which files the store holds the rows of; part of the tick's transaction.

    Args:
        connection: The live store.
        known: `stamps` of the folder.
    """
    store = make(connection)
    rows = [[name, size, changed] for name, (size, changed) in known.items()]
    connection.execute(f"delete from {store}.live.files")
    if rows:
        connection.executemany(f"insert into {store}.live.files values (?, ?, ?)", rows)


def stamps(source: Files) -> dict[str, Stamp]:
    """Size and time of every file that the folder's rows come from, by name.

    Raises:
        SourceError: The folder cannot be read.
    """
    try:
        found = {name: path.stat() for name, path in source.paths().items()}
    except OSError as error:
        raise SourceError(f"{source.folder} cannot be read: {error}; see that it is there") from error
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in found.items()}


def has_changed(connection: duckdb.DuckDBPyConnection, source: Files) -> bool:
    """Whether the folder holds other files than those whose rows the store has. Quick: no file is opened."""
    return stamps(source) != _known(connection)


def _known(connection: duckdb.DuckDBPyConnection) -> dict[str, Stamp]:
    rows = connection.execute(f"select name, size, changed_ns from {make(connection)}.live.files").fetchall()
    return {name: (size, changed) for name, size, changed in rows}


def look(connection: duckdb.DuckDBPyConnection, source: Files, *, as_of: dt.datetime) -> FileNews:
    """What new files of the folder bring.

    Args:
        connection: The live store, in the tick's transaction. Files whose rows are handed out are remembered
            in it.
        source: The folder as it is now.
        as_of: Business time of the tick (UTC).

    Raises:
        SourceError: The folder cannot be read.
    """
    found, known = stamps(source), _known(connection)
    if found == known:
        return FileNews()
    other = sorted(name for name, stamp in known.items() if found.get(name) != stamp)
    if other:
        what = "are gone or have changed" if len(other) > 1 else "is gone or has changed"
        return FileNews(wants_full_run=f"{', '.join(other[:5])} {what}")
    names = tuple(sorted(found.keys() - known.keys()))
    try:
        added = _Added(source, frozenset(names))
        accepted = _judged(connection, added, as_of)
    except (_ChangesRowsError, SourceError) as reason:
        return FileNews(files=names, wants_full_run=str(reason))
    remember(connection, found)
    return FileNews(accepted, names)


class _ChangesRowsError(Exception):
    """The new files do more than add rows; the message says what."""


class _Added(Files):
    """The new files of a folder alone, read as the folder's others are."""

    def __init__(self, source: Files, names: frozenset[str]) -> None:
        super().__init__(
            source.folder,
            received_at_rule=source.received_at_rule,
            time_zone=source.time_zone,
            mapping=source.mapping,
            landed=tuple(
                replace(stream, only=names) for stream in source.landed if stream.files().keys() & names
            ),
        )
        self._names = names

    @cached_property
    def _files(self) -> Mapping[str, tuple[Path, ...]]:
        """Their tables, without asking for those that a whole folder needs."""
        chosen = {
            table: tuple(path for path in paths if str(path.relative_to(self.folder)) in self._names)
            for table, paths in self._listing.files.items()
        }
        return {table: paths for table, paths in chosen.items() if paths}

    def tables(self) -> tuple[str, ...]:
        """Tables with a new file, in load order; nothing is derived from them."""
        return tuple(table for table in INGEST_ORDER if self._names_of(table))

    def read(self, table: str) -> Iterator[Chunk]:
        """Rows of the new files."""
        return super().read(table) if self._names_of(table) else iter(())

    def names_of(self, table: str) -> str:
        """The new files of a table, for a message."""
        return ", ".join(self._names_of(table))

    def _names_of(self, table: str) -> list[str]:
        landed = (name for stream in self.landed if stream.table == table for name in stream.files())
        return [*map(self._name, self._files.get(table, ())), *landed]

    def history(self) -> tuple[dt.datetime, dt.datetime]:
        """Unknown: no row of these tables lacks a time of its own."""
        return dt.datetime.max.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)


def _judged(
    connection: duckdb.DuckDBPyConnection, added: _Added, as_of: dt.datetime
) -> dict[str, pl.DataFrame]:
    """The rows of the new files, every one of which can be let in."""
    lake = SliceLake()
    keys = StoreKeys(connection)
    for table in added.tables():
        files = added.names_of(table)
        if table not in ADDED:
            raise _ChangesRowsError(f"{files}: other rows are worked out from {table}")
        completing = contract_table(table).completed_by
        lake.know(keys.of([_named(added, name) for name in (table, completing) if name], {}))
        known = KnownKeys(lake, keys.supplied())
        report = ingest(added, table, lake, as_of=as_of, window=None, loaded_at=as_of, known=known)
        if report.quarantined:
            reason = next(iter(report.reasons))
            raise _ChangesRowsError(f"{files}: {report.quarantined:,} rows are refused: {reason}")
        accepted = lake.accepted[table]
        if report.history or report.deleted or keys.stands(table, accepted):
            raise _ChangesRowsError(f"{files}: rows of {table} that stand are changed")
        # The lines of an order are brought in together.
        orders = lake.accepted.get("orders", empty("orders"))
        if table == "order_lines" and accepted.join(orders, on="order_id", how="anti").height:
            raise _ChangesRowsError(f"{files}: lines of orders that stand are added")
    return dict(lake.accepted)


def _named(added: _Added, table: str) -> Named:
    """Rows of other tables that the new files of a table name."""
    contract = contract_table(table)
    columns = sorted({column for key in contract.foreign_keys for column in key.columns})
    found: Named = {}
    for chunk in added.read(table):
        given = {
            name: read_column(chunk, contract, name).values
            for name in columns
            if has_column(chunk, contract, name)
        }
        # A column that the files do not have may have a default, which names a row of another table too.
        assumed = {name: contract.constants[name] for name in columns if name in contract.constants}
        rows = pl.DataFrame(given)
        rows = rows.with_columns(pl.lit(assumed[name]).alias(name) for name in assumed.keys() - given.keys())
        for parent, parts in names_in(contract, rows).items():
            found.setdefault(parent, []).extend(parts)
    return found
