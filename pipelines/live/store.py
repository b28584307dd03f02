"""The live store: the last good warehouse, and since then every row that came, with tags kept up to date.

One DuckDB file that only the live loop opens. Facts, tags, the cursor into the operational database and the
number of the tick change in one transaction, so that a tick happened or did not. A new good warehouse begins
a new generation: a copy beside the old file, named by `current` once it has caught up. No Dagster here.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from pipelines.erasure.duckdb_files import copy
from pipelines.lake.files import atomic_path
from pipelines.live.seed import Seed
from serving.errors import ServingError

_META = """
    create schema if not exists live;
    create table live.store (
        base_version varchar not null, source varchar not null, database varchar not null,
        as_of timestamptz not null, recorded_cursor ubigint not null, tick bigint not null,
        is_told boolean not null, wants_full_run varchar not null
    )
"""
_MEMORY = "3GB"


class LiveStoreError(ServingError):
    """The live store cannot be used; the message says what to do."""


class LiveStoreBusyError(ServingError):
    """Another process is at a tick; the message says what to do."""


@dataclass(frozen=True)
class Standing:
    """Where the store stands.

    Attributes:
        base_version: The publication whose profiles and prices its deltas refine; it names the generation.
        source: Fingerprint of the source whose rows the warehouse held.
        database: The operational database that its cursor belongs to.
        as_of: Business time of the last tick (UTC).
        recorded_cursor: Transactions of the operational database before this are in it.
        tick: Number of the last tick that found something. A generation goes on from the number that its
            publication has seen, so that a number never stands for two contents.
        is_told: Whether readers have had the first delta of this generation.
        wants_full_run: Why this generation takes no files in and a full run is needed; empty when it does.
    """

    base_version: str
    source: str
    database: str
    as_of: datetime
    recorded_cursor: int
    tick: int
    is_told: bool = False
    wants_full_run: str = ""


class LiveStore:
    """The files and who may open them.

    Args:
        folder: The home's folder of the live loop.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._current = folder / "current"

    @contextmanager
    def held(self, *, wait: bool = False) -> Iterator[None]:
        """Hold the store: one tick at a time, whoever starts it.

        Raises:
            LiveStoreBusyError: Another process is at a tick, and we do not wait.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "tick.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError as error:
                raise LiveStoreBusyError(
                    "another tick of the live loop is on its way and does the same work: wait for it"
                ) from error
            yield

    def file(self) -> Path | None:
        """The file of the current generation; None before the first, or when it was lost."""
        name = self._current.read_text().strip() if self._current.exists() else ""
        file = self.folder / name
        return file if name and file.exists() else None

    @contextmanager
    def open(self, file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
        """A generation for reading and writing, in UTC, bounded in memory. Hold the store first."""
        connection = duckdb.connect(str(file))
        try:
            connection.execute(f"set memory_limit='{_MEMORY}'; set threads=2; set TimeZone='UTC'")
            connection.execute(f"set temp_directory='{self.folder / 'spill'}'")
            yield connection
        finally:
            connection.close()

    def draft(self, warehouse: Path, name: str) -> Path:
        """A copy of a warehouse, to become a generation; what a killed one left is replaced."""
        draft = self.folder / f"{name}.duckdb"
        for leftover in (draft, draft.with_name(f"{draft.name}.wal")):
            leftover.unlink(missing_ok=True)
        shutil.copyfile(warehouse, draft)
        draft.chmod(0o600)
        return draft

    @contextmanager
    def rewritten(self, file: Path) -> Iterator[Path]:
        """A copy of a generation with what it holds and nothing that it held once; it takes the place."""
        self.remove(but=file)
        with atomic_path(file) as temporary:
            copy(file, temporary)
            temporary.chmod(0o600)
            yield temporary

    def remove(self, *, but: Path | None = None) -> None:
        """Remove every generation but one, and what killed ticks left; without any, a tick begins anew."""
        for other in self.folder.glob("*"):
            is_kept = but is not None and other.name.startswith(but.stem)
            if other.suffix in (".duckdb", ".wal", ".json", ".tmp") and not is_kept:
                other.unlink()

    def take(self, draft: Path) -> None:
        """Let a finished draft be the current generation, and remove the others."""
        with atomic_path(self._current) as temporary:
            temporary.write_text(draft.name)
        self.remove(but=draft)


def begin(
    connection: duckdb.DuckDBPyConnection,
    seed: Seed,
    base_version: str,
    database: str,
    as_of: datetime,
    tick: int,
    wants_full_run: str,
) -> None:
    """Write where a new generation starts.

    Args:
        connection: A draft.
        seed: Of the warehouse that the draft is a copy of.
        base_version: The publication to be refined.
        database: The operational database as it is now; another one than the seed's is read from the begin.
        as_of: Business time of that publication's profiles (UTC).
        tick: The last tick whose delta that publication has seen.
        wants_full_run: Why files cannot be taken in; empty when they can.
    """
    connection.execute(_META)
    connection.execute(
        "insert into live.store values (?, ?, ?, ?, ?, ?, false, ?)",
        [
            base_version,
            seed.source,
            database,
            as_of,
            seed.recorded_cursor if seed.database == database else 0,
            tick,
            wants_full_run,
        ],
    )


def standing_of(connection: duckdb.DuckDBPyConnection) -> Standing:
    """Where an open store stands.

    Raises:
        duckdb.Error: The file is no live store.
    """
    (row,) = connection.execute(
        "select base_version, source, database, epoch_us(as_of), recorded_cursor, tick, is_told,"
        " wants_full_run from live.store"
    ).fetchall()
    return Standing(row[0], row[1], row[2], _moment(row[3]), int(row[4]), int(row[5]), *row[6:])


def move_on(
    connection: duckdb.DuckDBPyConnection, *, as_of: datetime, recorded_cursor: int, tick: int
) -> None:
    """Write where a tick ends; part of the tick's transaction."""
    connection.execute(
        "update live.store set as_of = ?, recorded_cursor = ?, tick = ?", [as_of, recorded_cursor, tick]
    )


def mark_told(connection: duckdb.DuckDBPyConnection) -> None:
    """Write that readers have had the first delta of this generation."""
    connection.execute("update live.store set is_told = true")


def _moment(epoch_us: int) -> datetime:
    return datetime.fromtimestamp(epoch_us // 1_000_000, UTC).replace(microsecond=epoch_us % 1_000_000)
