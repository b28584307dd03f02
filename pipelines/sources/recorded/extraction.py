"""What the platform's own database recorded, brought into the lake once: orders, events, stock, money.

What lives here: the extraction of row versions into batch files, and reading them back, latest version of a
key wins. What is read of each table stands in `operational_streams`; how the rows join those of a source
stands in `recorded`. What does not: rules on rows (`validation`), Dagster.

How once is kept. Every row carries the number of the transaction that last wrote it. An extraction reads, in
one snapshot, every row version whose transaction is not older than the cursor, except versions that an
earlier batch holds; the next cursor is the oldest transaction that still ran. So a transaction that commits
late is read late, never missed, and what the snapshot shows is whole: an order with its lines, a leg with its
entries. The manifest names the batches that count and the cursor, and is replaced by one rename: files that
it does not name never happened. Rows restored from a server that was further on keep their high numbers: they
are looked at again each time and, being known, left out.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import polars as pl
import psycopg

from pipelines.lake.tables import atomic_path
from pipelines.sources.recorded.reading import (
    INSTANT,
    horizon,
    identity,
    libpq,
    origin,
    schema,
    snapshot,
    versions_since,
)
from pipelines.sources.recorded.streams import RECORDED, VERSION_COLUMN, Stream
from serving.settings import DEFAULT_TENANT

MOST_BATCHES = 64
"""More batches than this are merged into one, so that reading stays one pass over few files."""


@dataclass(frozen=True)
class Manifest:
    """Which batches count.

    Attributes:
        database: The database they came from and the columns they have; another one starts over.
        cursor: Transactions older than this were read to the end.
        batches: Names of the batch files, oldest first.
        rows: Row versions held, by table.
        last_time: Newest business time of any row held, ISO 8601; None without rows.
    """

    database: str
    cursor: int
    batches: tuple[str, ...]
    rows: Mapping[str, int]
    last_time: str | None = None

    @property
    def of_database(self) -> str:
        """The database they came from, as `database_identity` tells it."""
        return self.database.rsplit(":", 1)[0]

    def to_json(self) -> dict[str, Any]:
        """As kept in the file."""
        return {
            "database": self.database,
            "cursor": self.cursor,
            "batches": list(self.batches),
            "rows": dict(self.rows),
            "last_time": self.last_time,
        }


@dataclass(frozen=True)
class Extracted:
    """What an extraction brought.

    Attributes:
        rows: New row versions by table.
        from_transaction: The cursor before.
        to_transaction: The cursor after.
        is_new_start: Whether the batches of another database were left behind.
    """

    rows: Mapping[str, int]
    from_transaction: int
    to_transaction: int
    is_new_start: bool


class Extraction:
    """The batches of one group of streams under a folder.

    Args:
        folder: `operational/<group>` of the lake; belongs to this class alone.
        streams: What is read, parents before children.
        replayed_origin: Origin of what replayed orders settle: `overlay` where agents and costs are made up.
        tenant_id: Whose rows.
    """

    def __init__(
        self,
        folder: Path,
        streams: tuple[Stream, ...],
        *,
        replayed_origin: str = "overlay",
        tenant_id: str,
    ) -> None:
        self.folder = folder
        self.streams = streams
        self.replayed_origin = replayed_origin
        self.tenant_id = tenant_id

    def extract(self, url: str) -> Extracted:
        """Bring what was recorded since the last extraction.

        Args:
            url: libpq address of the migrated database.

        Raises:
            SourceError: The database cannot be read.
            LakeError: The lake cannot be written.
        """
        with snapshot(url, self.folder.name, self.tenant_id) as connection:
            return self._extract(connection)

    def has_news(self, url: str) -> bool:
        """Whether an extraction now would bring anything, or leave another database behind.

        Raises:
            SourceError: The database cannot be read.
        """
        manifest = self.manifest()
        with snapshot(url, self.folder.name, self.tenant_id) as connection:
            if manifest is None or self._is_another(connection, manifest):
                return True
            return any(self._differs(connection, stream, manifest.cursor) for stream in self.streams)

    def recount(self) -> None:
        """Write down how many row versions the batches hold, after rows were taken out of them."""
        manifest = self.manifest()
        if manifest is None:
            return
        held = {stream.table: self._versions(stream).height for stream in self.streams}
        if held != dict(manifest.rows):
            self._write(replace(manifest, rows=held))

    def manifest(self) -> Manifest | None:
        """The batches that count; None before the first extraction."""
        if not self._manifest_file.exists():
            return None
        found = json.loads(self._manifest_file.read_text())
        return Manifest(**{**found, "batches": tuple(found["batches"])})

    def last_time(self) -> dt.datetime | None:
        """Newest business time of any row held (UTC); None without rows."""
        manifest = self.manifest()
        text = manifest.last_time if manifest else None
        return dt.datetime.fromisoformat(text) if text else None

    def files(self) -> list[Path]:
        """Every batch file that counts, oldest batch first."""
        manifest = self.manifest()
        names = manifest.batches if manifest else ()
        return [file for name in names for file in sorted(self.folder.glob(f"*/{name}.parquet"))]

    def read(self, table: str) -> pl.DataFrame:
        """The newest version of every recorded row of a table, with `origin`."""
        stream = next(stream for stream in self.streams if stream.table == table)
        return (
            self._versions(stream).unique(stream.key, keep="last", maintain_order=True).drop(VERSION_COLUMN)
        )

    @property
    def _manifest_file(self) -> Path:
        return self.folder / "manifest.json"

    def _file(self, stream: Stream, batch: str) -> Path:
        return self.folder / stream.table / f"{batch}.parquet"

    def _versions(self, stream: Stream) -> pl.DataFrame:
        """Every version held, batch after batch: a later batch saw a later state."""
        manifest = self.manifest()
        names = manifest.batches if manifest else ()
        files = [file for name in names if (file := self._file(stream, name)).exists()]
        nothing = pl.DataFrame(schema=schema(stream))
        return pl.concat([nothing, *(pl.read_parquet(file, hive_partitioning=False) for file in files)])

    def _extract(self, connection: psycopg.Connection) -> Extracted:
        database = origin(connection, self.streams, self.tenant_id)
        before = self.manifest()
        if before is not None and not self._is_whole(before):
            before = None  # a batch is gone: everything is read again
        is_new_start = before is not None and self._is_another(connection, before)
        if before is None or is_new_start:
            before = Manifest(database, 0, (), {})
        self._remove_unnamed(before)
        end = horizon(connection)
        found = {
            stream.table: self._without_known(stream, self._since(connection, stream, before.cursor), before)
            for stream in self.streams
        }
        counts = {table: frame.height for table, frame in found.items() if frame.height}
        if is_new_start:
            # Named by nothing from here on: what another database recorded is not added to.
            self._write(before)
        batches = before.batches
        if counts:
            number = int(batches[-1].split("-")[0]) + 1 if batches else 1
            name = f"{number:06d}-{before.cursor}-{end}"
            for stream in self.streams:
                if found[stream.table].height:
                    with atomic_path(self._file(stream, name)) as temporary:
                        found[stream.table].write_parquet(temporary, compression="zstd")
            batches = (*batches, name)
        rows = {
            stream.table: before.rows.get(stream.table, 0) + counts.get(stream.table, 0)
            for stream in self.streams
        }
        times = [_as_text(time) for frame in found.values() if (time := newest_time(frame)) is not None]
        last = max([*times, *([before.last_time] if before.last_time else [])], default=None)
        after = Manifest(database, max(end, before.cursor), batches, rows, last)
        if after != before or not self._manifest_file.exists():
            self._write(after)
        if len(after.batches) > MOST_BATCHES:
            self._merge(after)
        return Extracted(counts, before.cursor, after.cursor, is_new_start)

    def _is_another(self, connection: psycopg.Connection, manifest: Manifest) -> bool:
        """Whether the database is not the one of the batches, or was set back to before them."""
        database = origin(connection, self.streams, self.tenant_id)
        return manifest.database != database or manifest.cursor > horizon(connection)

    def _differs(self, connection: psycopg.Connection, stream: Stream, cursor: int) -> bool:
        """Whether the rows at and above the cursor are others than those that the batches hold of them."""
        row = connection.execute(
            f"select count(*), coalesce(sum(q.xact_id::numeric), 0)::text from ({stream.query}) q".encode(),
            {"since": str(cursor), "replayed": self.replayed_origin},
        ).fetchone()
        count, total = (int(row[0]), int(row[1])) if row else (0, 0)
        if not count:
            return False
        known = (
            self._versions(stream).unique(stream.key, keep="last").filter(pl.col(VERSION_COLUMN) >= cursor)
        )
        return (count, total) != (known.height, int(known[VERSION_COLUMN].sum()))

    def _since(self, connection: psycopg.Connection, stream: Stream, since: int) -> pl.DataFrame:
        return versions_since(connection, stream, since, replayed_origin=self.replayed_origin)

    def _without_known(self, stream: Stream, rows: pl.DataFrame, before: Manifest) -> pl.DataFrame:
        """The versions that no batch holds: those of transactions that ended while another still ran."""
        if not rows.height or not before.batches:
            return rows
        known = self._versions(stream).filter(pl.col(VERSION_COLUMN) >= before.cursor)
        return rows.join(known, on=[*stream.key, VERSION_COLUMN], how="anti", maintain_order="left")

    def _write(self, manifest: Manifest) -> None:
        with atomic_path(self._manifest_file) as temporary:
            temporary.write_text(json.dumps(manifest.to_json(), indent=1))

    def _is_whole(self, manifest: Manifest) -> bool:
        """Whether the batch files hold as many row versions as the manifest says."""
        held = {stream.table: self._versions(stream).height for stream in self.streams}
        return all(held.get(table, 0) == rows for table, rows in manifest.rows.items())

    def _remove_unnamed(self, manifest: Manifest) -> None:
        """Removes what an extraction wrote that was killed before its manifest."""
        for file in self.folder.glob("*/*.parquet"):
            if file.stem not in manifest.batches:
                file.unlink()

    def _merge(self, manifest: Manifest) -> None:
        """One batch in place of many; only the newest version of a row is kept."""
        name = f"{int(manifest.batches[-1].split('-')[0]) + 1:06d}-0-{manifest.cursor}"
        rows = {}
        for stream in self.streams:
            merged = self._versions(stream).unique(stream.key, keep="last", maintain_order=True)
            rows[stream.table] = merged.height
            if merged.height:
                with atomic_path(self._file(stream, name)) as temporary:
                    merged.write_parquet(temporary, compression="zstd")
        after = Manifest(manifest.database, manifest.cursor, (name,), rows, manifest.last_time)
        self._write(after)
        self._remove_unnamed(after)


def recorded_feeds(lake_root: Path, tenant_id: str = DEFAULT_TENANT) -> Extraction:
    """The extraction that feeds the contract tables which sources fill too."""
    return Extraction(lake_root / "operational" / "feeds", RECORDED["feeds"], tenant_id=tenant_id)


def recorded_observations(lake_root: Path, tenant_id: str = DEFAULT_TENANT) -> Extraction:
    """The extraction of what the API was told of the supply side."""
    folder = lake_root / "operational" / "observations"
    return Extraction(folder, RECORDED["observations"], tenant_id=tenant_id)


def recorded_prices(lake_root: Path, tenant_id: str = DEFAULT_TENANT) -> Extraction:
    """The extraction of the prices that publications and ticks brought into force."""
    return Extraction(lake_root / "operational" / "prices", RECORDED["prices"], tenant_id=tenant_id)


def recorded_books(
    lake_root: Path, tenant_id: str = DEFAULT_TENANT, *, replayed_origin: str = "overlay"
) -> Extraction:
    """The extraction of settlement legs and ledger entries."""
    folder = lake_root / "operational" / "books"
    return Extraction(folder, RECORDED["books"], replayed_origin=replayed_origin, tenant_id=tenant_id)


def database_identity(url: str, tenant_id: str = DEFAULT_TENANT) -> str:
    """What tells a database from another at whatever address: numbers of the server, its own, its claim.

    The claim is the entry of the tenant's home in it: a database that was emptied is claimed anew, and is
    another one.
    """
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        return identity(connection, tenant_id)


def newest_time(rows: pl.DataFrame) -> dt.datetime | None:
    """The newest of the rows' times that are history (UTC); None without any."""
    times = [
        rows[name].max()
        for name, dtype in rows.schema.items()
        # When an event happened is what its sender says; when it was received is our own clock.
        if dtype == INSTANT and name not in ("promised_at", "occurred_at")
    ]
    known = [cast(dt.datetime, time) for time in times if time is not None]
    return max(known, default=None)


def _as_text(time: dt.datetime) -> str:
    """A time as text that sorts like the times."""
    return time.isoformat(timespec="microseconds")
