"""What the operational database recorded since a tick: rows by contract table, and how far they go.

Nothing is kept here: the cursor stands in the live store and moves with the facts. Rows of transactions that
ended while an older one still ran are read again until that one has ended; they replace themselves by key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from pipelines.erasure.tombstones import Tombstones, tombstones_of
from pipelines.sources.recorded.reading import horizon, identity, snapshot, versions_since
from pipelines.sources.recorded.streams import RECORDED, VERSION_COLUMN

_READER = "live"


@dataclass(frozen=True)
class Recorded:
    """Rows of one snapshot of the operational database.

    Attributes:
        rows: Newest versions by contract table, in the contract's columns as far as the database has them;
            tables without rows are left out.
        cursor: Transactions before this were read to the end.
        database: What tells the database from another one.
        is_set_back: Whether the database is behind the cursor that was given: restored, or another one.
        erased: Everybody who was erased so far.
    """

    rows: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    cursor: int = 0
    database: str = ""
    is_set_back: bool = False
    erased: Tombstones = field(default_factory=Tombstones)


def read(url: str, cursor: int, *, tenant_id: str) -> Recorded:
    """What was recorded since a cursor.

    Args:
        url: libpq address of the migrated database.
        cursor: Number of a transaction; 0 reads everything.
        tenant_id: Whose rows.

    Raises:
        SourceError: The database cannot be read.
    """
    with snapshot(url, _READER, tenant_id) as connection:
        end = horizon(connection)
        frames = {
            stream.table: versions_since(connection, stream, cursor, replayed_origin="overlay")
            for stream in (*RECORDED["feeds"], *RECORDED["prices"])
        }
        return Recorded(
            {table: frame.drop(VERSION_COLUMN) for table, frame in frames.items() if frame.height},
            max(end, cursor),
            identity(connection, tenant_id),
            end < cursor,
            tombstones_of(connection, tenant_id),
        )
