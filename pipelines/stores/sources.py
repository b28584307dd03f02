"""The store of what comes in: the configured source, what the platform recorded, the loader of both."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from pipelines.erasure.intake import ErasureFilter
from pipelines.erasure.tombstones import kept_tombstones
from pipelines.intake.feeds import Feeds
from pipelines.intake.matched import matched_in
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.sources.connectors.declaration import Connector
from pipelines.sources.files.landed import connectors_of, landed_beside
from pipelines.sources.protocol import Source
from pipelines.sources.recorded.extraction import (
    Extraction,
    recorded_books,
    recorded_feeds,
    recorded_observations,
    recorded_prices,
)
from pipelines.sources.recorded.rows import RecordedRows


class Sources:
    """Where rows of contract tables come from.

    Args:
        settings: Name the source.
        lake: Where the rows go, and where what the platform recorded is kept.
    """

    def __init__(self, settings: Settings, lake: Lake) -> None:
        self._settings = settings
        self._lake = lake

    @property
    def lake_root(self) -> Path:
        """Root of the lake that the rows go to."""
        return self._lake.root

    @cached_property
    def source(self) -> Source:
        """The configured source as this run sees it; a process that lives longer opens it anew."""
        return self.open()

    def open(self) -> Source:
        """The adapter of the configured source: the embedded panel or a user's folder, as it is now."""
        if self._settings.data is None:
            from pipelines.sources.panel.complete_journey import CompleteJourney

            return CompleteJourney()
        from pipelines.sources.files import Files

        return Files(
            self._settings.data,
            not_after=datetime.now(UTC),
            time_zone=self._settings.zone,
            landed=landed_beside(self._settings.data, self._settings.feeds_dir),
        )

    def connectors(self) -> tuple[Connector, ...]:
        """The feeds over HTTP that the user's folder declares, as it is now; none on the embedded panel.

        Raises:
            SourceError: A declaration is not there or is wrong.
        """
        return connectors_of(self._settings.data) if self._settings.data is not None else ()

    def landed_anew(self) -> None:
        """What was opened before a feed landed, or a match was accepted, is opened anew."""
        self.__dict__.pop("source", None)
        self.__dict__.pop("feeds", None)

    @cached_property
    def feeds(self) -> Feeds:
        """The loader of contract tables; what it read once it keeps for the run."""
        self._lake.create()
        return Feeds(
            self.source,
            self._lake,
            with_overlay=self._settings.embedded,
            seed=self._settings.seed,
            utc_offset_hours=self._settings.offset_hours,
            recorded=RecordedRows(
                self.recorded_feeds, self.recorded_observations, self.recorded_prices, self.recorded_books
            ),
            erased=ErasureFilter(kept_tombstones(self._lake.root)),
            matched=matched_in(self._lake),
        )

    @cached_property
    def recorded_feeds(self) -> Extraction:
        """What the operational database recorded of orders, stock, parcels, cases and events."""
        return recorded_feeds(self._lake.root, self._settings.tenant)

    @cached_property
    def recorded_observations(self) -> Extraction:
        """What the API was told of the supply side."""
        return recorded_observations(self._lake.root, self._settings.tenant)

    @cached_property
    def recorded_prices(self) -> Extraction:
        """The prices that publications and ticks brought into force."""
        return recorded_prices(self._lake.root, self._settings.tenant)

    @cached_property
    def recorded_books(self) -> Extraction:
        """What the operational database recorded of settlement legs and ledger entries."""
        origin = "overlay" if self._settings.embedded else "observed"
        return recorded_books(self._lake.root, self._settings.tenant, replayed_origin=origin)
