"""Generations of the live store: each goes on from one publication, and checks the one before it.

A publication is the end of a rebuild: the warehouse beside it is whole, and its profiles and prices are what
deltas refine. A generation begins as a copy of that warehouse with tags as of the publication. Where there
was a generation before, both take in the same rows up to the same moment and must then be equal.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl

from feature_store.refresh.engine import build
from feature_store.registry import load_registry
from pipelines.lake.tables import Lake
from pipelines.live import files, prices, tables, waiting
from pipelines.live.advance import CLASSES, Advanced, Stages, Surroundings, advance
from pipelines.live.compare import compare
from pipelines.live.cuts import CUTS
from pipelines.live.delta import seen_revision
from pipelines.live.log import Comparison
from pipelines.live.recorded import Recorded
from pipelines.live.seed import Seed, read_seed
from pipelines.live.store import LiveStore, begin, standing_of
from pipelines.settings import Settings
from pipelines.sources.files.folder import Files
from pipelines.sources.recorded.extraction import database_identity, recorded_feeds, recorded_prices
from pipelines.warehouse.compiled import Compiled, compiled_beside
from serving.errors import ServingError
from serving.scores import loader
from serving.scores.loader import PublishedVersion


class NothingPublishedError(ServingError):
    """There is no publication to go on from; the message says what to do."""


@dataclass(frozen=True)
class Origin:
    """What a generation goes on from.

    Attributes:
        seed: Of the last good warehouse.
        base: The newest publication.
        profiles_as_of: Business time of its profiles (UTC).
        prices: Parquet file of its prices.
        database: The operational database as it is now.
    """

    seed: Seed
    base: PublishedVersion
    profiles_as_of: datetime
    prices: Path
    database: str


def origin_of(settings: Settings, lake: Lake, url: str) -> Origin:
    """What the live loop goes on from now.

    Raises:
        NothingPublishedError: No whole run has published yet, or its files were lost.
    """
    seed = read_seed(settings.warehouse_seed)
    base = loader.newest(url, tenant_id=settings.tenant)
    if seed is None or base is None:
        raise NothingPublishedError(
            "there is no publication that the live loop could go on from; run `make run` once"
        )
    profiles, priced = (lake.published_path(base.version, name) for name in ("profiles", "prices"))
    if not profiles.exists() or not priced.exists():
        raise NothingPublishedError(
            f"the files of publication {base.version} are not in the lake; run `make run` to publish again"
        )
    newest = pl.scan_parquet(profiles).select(pl.col("as_of").max()).collect().item()
    as_of = newest.astimezone(UTC) if newest is not None else base.as_of
    return Origin(seed, base, as_of, priced, database_identity(url, settings.tenant))


def current(store: LiveStore, origin: Origin) -> Path | None:
    """The file of the generation that goes on from the newest publication; None when one must begin."""
    file = store.file()
    if file is None:
        return None
    try:
        with store.open(file) as connection:
            standing = standing_of(connection)
    except duckdb.Error:
        return None
    is_its = (standing.base_version, standing.database) == (origin.base.version, origin.database)
    return file if is_its else None


def begin_anew(
    store: LiveStore, origin: Origin, settings: Settings, url: str, folder: Files | None, stages: Stages
) -> Path:
    """A draft of a new generation: the warehouse, tags and prices as of the publication.

    Args:
        store: The live store.
        origin: What it goes on from.
        settings: Where the warehouse lies, and the zone of the shops.
        url: The serving database.
        folder: The user's folder as it is now; None on the embedded panel.
        stages: Gets the seconds.
    """
    with stages("copy"):
        file = store.draft(settings.warehouse_good, origin.base.version)
        shutil.copyfile(compiled_beside(settings.warehouse_good), compiled_beside(file))
    since = min(origin.seed.as_of, origin.profiles_as_of)
    with stages("build"), store.open(file) as connection:
        connection.execute("begin transaction")
        seen = seen_revision(url, settings.tenant, origin.base.version)
        lacks = files.begin(connection, folder, origin.seed.source) if folder is not None else ""
        begin(connection, origin.seed, origin.base.version, origin.database, since, seen, lacks)
        tables.make(connection)
        for extraction in (recorded_feeds, recorded_prices):
            waiting.begin(connection, extraction(settings.lake_dir, settings.tenant), since)
        prices.begin(connection, origin.prices)
        for refresh_class in CLASSES:
            build(
                connection,
                load_registry(),
                refresh_class=refresh_class,
                as_of=origin.profiles_as_of,
                time_zone=settings.zone,
            )
        connection.execute("commit")
    return file


def caught_up(
    store: LiveStore,
    before: Path | None,
    draft: Path,
    recorded: Recorded,
    as_of: datetime,
    around: Callable[[Path], Surroundings],
    stages: Stages,
) -> tuple[Advanced, Comparison | None]:
    """Bring the old and the new generation to one moment over the same rows, and compare them.

    Args:
        store: The live store.
        before: The old generation; None when there is none, or it cannot be read.
        draft: The new one as it begins.
        recorded: Rows since the older of their cursors.
        as_of: The moment (UTC).
        around: What a generation reads besides, by its file.
        stages: Gets the seconds.

    Returns:
        What the new one took in, and what differs; None without an old generation.
    """
    with store.open(draft) as connection:
        new = standing_of(connection)
        advanced = advance(connection, new, recorded, as_of, around(draft), Stages())
    if before is None:
        return advanced, None
    with store.open(before) as connection:
        old = standing_of(connection)
        if old.source != new.source:
            reason = "the files of the source have changed since the last generation"
            return advanced, Comparison(reason=reason)
        advance(connection, old, recorded, as_of, around(before), Stages())
    with stages("compare"), store.open(draft) as connection:
        return advanced, compare(connection, before, live_tables(around(draft).compiled))


def live_tables(compiled: Compiled) -> list[str]:
    """Every table that ticks keep up to date: facts and the state of tags."""
    facts = [replaced.model for cut in CUTS for replaced in cut.models]
    tags = [f"tags.consumer_{refresh_class.value}" for refresh_class in CLASSES]
    return [*(f"{compiled.models[name].schema}.{name}" for name in dict.fromkeys(facts)), *tags]
