"""Which feed fills a contract table: the source's own rows, the overlay, or nothing. No Dagster here.

The overlay fills only what the embedded panel lacks; a user's own folder is never mixed with generated rows.
What the platform recorded itself stands beside either.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime

import polars as pl

from pipelines.erasure.intake import ErasureFilter
from pipelines.erasure.tombstones import Tombstones
from pipelines.intake.matched import WithMatched
from pipelines.lake.tables import Lake
from pipelines.sources.loading.ingest import IngestReport, KnownKeys, accept_frame, ingest
from pipelines.sources.overlay import OVERLAY_TABLES, ObservedTables, generate
from pipelines.sources.protocol import Source
from pipelines.sources.recorded.rows import RecordedRows, WithRecorded

OBSERVED = ("orders", "order_lines", "products", "consumers", "merchants", "suppliers", "categories")
"""What the overlay hangs its rows on."""


class Feeds:
    """Loads contract tables into the lake.

    Args:
        source: The embedded panel or a user's folder.
        lake: Where the rows go.
        with_overlay: Whether generated rows fill the tables that the source lacks.
        seed: Seed of the overlay.
        utc_offset_hours: Local time of the shops.
        recorded: What the platform recorded.
        erased: Keeps erased persons out.
        matched: Sku to the sku under which its offers stand.
    """

    def __init__(
        self,
        source: Source,
        lake: Lake,
        *,
        with_overlay: bool,
        seed: int,
        utc_offset_hours: int,
        recorded: RecordedRows,
        erased: ErasureFilter | None = None,
        matched: Mapping[str, str] | None = None,
    ) -> None:
        self._erased = erased or ErasureFilter(Tombstones())
        self._matched = matched or {}
        self._source = source
        self._recorded = recorded
        self._lake = lake
        self._with_overlay = with_overlay
        self._seed = seed
        self._utc_offset_hours = utc_offset_hours
        self._known = KnownKeys(lake, source.tables())
        self._observed: ObservedTables | None = None

    def load(self, table: str, as_of: datetime, window: tuple[date, date] | None) -> IngestReport:
        """Load one table.

        Args:
            table: Contract table.
            as_of: Business time of the run (UTC).
            window: Days to load, both included; None loads everything.

        Returns:
            The account of the load.
        """
        now = datetime.now(UTC)
        if table in OBSERVED:
            self._observed = None
        if self._with_overlay and table in OVERLAY_TABLES and table not in self._source.tables():
            frame = generate(
                table,
                self._observed_tables(as_of),
                seed=self._seed,
                # The panel ends with its newest order; what happens since is recorded and not made up.
                as_of=min(as_of, self._source.as_of()),
                utc_offset_hours=self._utc_offset_hours,
            )
            self._erased.begin(table)
            frame = self._erased.rows(table, frame)
            return accept_frame(
                table,
                frame,
                self._lake,
                as_of=as_of,
                loaded_at=now,
                window=window,
                known=self._known,
                notes=(
                    "generated: the embedded panel has no such feed",
                    *self._recorded.note(table, as_of),
                ),
                beside=self._erased.chunks(table, self._recorded.chunks(table, as_of)),
            )
        return ingest(
            WithMatched(WithRecorded(self._source, self._recorded, as_of, self._erased), self._matched),
            table,
            self._lake,
            as_of=as_of,
            window=window,
            loaded_at=now,
            known=self._known,
        )

    def recorded_next_at(self, table: str, as_of: datetime) -> datetime | None:
        """When the first recorded row of a table counts that waits for its time; None without any.

        Args:
            table: Contract table.
            as_of: Business time of the run (UTC).
        """
        return self._recorded.next_at(table, as_of)

    def _observed_tables(self, as_of: datetime) -> ObservedTables:
        """The source's own rows of the observed tables, read once for all overlay tables of a run.

        What the platform recorded brings its events, parcels and cases with it: none are made up for it.
        """
        if self._observed is None:
            recorded = self._recorded.rows("orders", as_of)["order_id"].implode()
            tables = {name: self._lake.read(name) for name in OBSERVED}
            for name in ("orders", "order_lines"):
                tables[name] = tables[name].filter(~pl.col("order_id").is_in(recorded))
            self._observed = ObservedTables(**tables)
        return self._observed
