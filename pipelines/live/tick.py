"""One tick: what was recorded since the last one goes into facts, tags and prices, and is published.

The order is fixed: read, accept, facts, tags, prices, one commit, then the delta. A tick that was killed
before the commit happened in no respect; one that was killed after it is published by the next, because
what a delta holds is asked of the store: all that changed since the revision that readers have.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from feature_store.errors import FeatureStoreError
from pipelines.clock import Clock
from pipelines.lake.tables import Lake
from pipelines.live import delta, erasing, files, generations
from pipelines.live.advance import CLASSES, Advanced, Stages, Surroundings, advance, is_due
from pipelines.live.log import Comparison, Tick, TickLog
from pipelines.live.prices import is_hour_begun
from pipelines.live.recorded import Recorded, read
from pipelines.live.store import LiveStore, LiveStoreError, Standing, mark_told, move_on, standing_of
from pipelines.settings import Settings
from pipelines.sources.contract import contract_table
from pipelines.sources.files.folder import Files
from pipelines.sources.recorded.extraction import newest_time
from pipelines.steps.state import measured
from pipelines.stores.models import ModelStore
from pipelines.stores.sources import Sources
from pipelines.warehouse.compiled import CompiledError, compiled_beside, read_compiled
from serving.scores.live import LivePointer, live_pointer

PRICING = "pricing_elasticity"
_TELLS_AGAIN = timedelta(minutes=10)
"""A tick that finds nothing tells readers that all is right when they were told longer ago than this."""


@dataclass(frozen=True)
class Loop:
    """What ticks work with.

    Attributes:
        settings: The installation's settings.
        url: Address of the serving database, migrated.
        store: The live store.
        sources: The source of the home.
        lake: The lake of the home.
        models: The champions that price.
        clock: Business time.
    """

    settings: Settings
    url: str
    store: LiveStore
    sources: Sources
    lake: Lake
    models: ModelStore
    clock: Clock


def tick(loop: Loop) -> Tick:
    """One tick.

    Raises:
        NothingPublishedError: There is no publication to go on from.
        LiveStoreBusyError: Another process is at a tick.
        LiveStoreError: The last full run was made by another release.
        SourceError: The operational database cannot be read.
        ServingError: The delta could not be published; the next tick publishes it.
    """
    began_at, stages, cpu_began = datetime.now(UTC), Stages(), time.process_time()
    with measured() as cost, loop.store.held(), _of_one_release():
        origin = generations.origin_of(loop.settings, loop.lake, loop.url)
        file = generations.current(loop.store, origin)
        taken, comparison = None, None
        if file is None:
            file, taken, comparison = _next_generation(loop, origin, stages)
        done = _go_on(loop, file, taken, stages)
        with stages("write anew"):
            _forget_bytes(loop.store, file)
    return replace(
        done,
        began_at=began_at,
        wall_s=round(cost.wall_s, 3),
        cpu_s=round(time.process_time() - cpu_began, 3),
        peak_rss_mb=round(cost.peak_rss_mb, 1),
        stages=stages.seconds,
        comparison=comparison,
        lag_s=_lag_s(loop, done),
    )


@contextmanager
def _of_one_release() -> Iterator[None]:
    """Says what to do where warehouse, tags and code are not of one release."""
    try:
        yield
    except (FeatureStoreError, CompiledError, duckdb.BinderException, duckdb.CatalogException) as error:
        raise LiveStoreError(
            "the last warehouse and publication were made by another release or by other tag definitions; "
            f"run `make run` once ({error})"
        ) from error


def _next_generation(
    loop: Loop, origin: generations.Origin, stages: Stages
) -> tuple[Path, Advanced, Comparison | None]:
    """Begin a generation, bring it to where the old one is, compare the two, let it take its place."""
    before = loop.store.file()
    old = _standing(loop.store, before)
    draft = generations.begin_anew(loop.store, origin, loop.settings, loop.url, _folder(loop), stages)
    new = _standing(loop.store, draft)
    if new is None:
        raise LiveStoreError(f"the new generation {draft} cannot be opened; remove it and tick again")
    comparable = before if old is not None and old.database == new.database else None
    cursors = [new.recorded_cursor, *([old.recorded_cursor] if old and comparable else [])]
    with stages("read"):
        recorded = _since(loop, min(cursors))
    moments = [new.as_of, origin.profiles_as_of, *([old.as_of] if old and comparable else [])]
    with stages("catch up"):
        taken, comparison = generations.caught_up(
            loop.store,
            comparable,
            draft,
            recorded,
            _moment(loop, recorded, max(moments)),
            lambda file: _surroundings(loop, file),
            stages,
        )
    loop.store.take(draft)
    return draft, taken, comparison


def _go_on(loop: Loop, file: Path, taken: Advanced | None, stages: Stages) -> Tick:
    """Take in what came and publish what readers lack; `taken` is what a new generation took in already."""
    with loop.store.open(file) as connection:
        standing = standing_of(connection)
        with stages("read"):
            recorded = _since(loop, standing.recorded_cursor)
        as_of = _moment(loop, recorded, standing.as_of)
        done = taken or Advanced()
        around = _surroundings(loop, file)
        is_news = (
            bool(recorded.rows)
            or bool(erasing.outstanding(connection, recorded.erased).people)
            or is_due(connection, as_of)
            or is_hour_begun(standing.as_of, as_of)
            or _has_new_files(connection, standing, around.folder)
        )
        if is_news and taken is None:
            done = advance(connection, standing, recorded, as_of, around, stages)
            standing = standing_of(connection)
        pointer = live_pointer(loop.url, standing.base_version, tenant_id=loop.settings.tenant)
        if not is_news and _should_say_that_all_is_right(pointer, as_of):
            move_on(connection, as_of=as_of, recorded_cursor=recorded.cursor, tick=standing.tick + 1)
            standing = standing_of(connection)
        if not standing.is_told or pointer is None or pointer.revision < standing.tick:
            with stages("publish"):
                delta.publish(
                    connection,
                    loop.url,
                    loop.settings.tenant,
                    standing,
                    CLASSES,
                    begins=not standing.is_told,
                )
                mark_told(connection)
    return Tick(
        number=standing.tick,
        generation=standing.base_version,
        as_of=standing.as_of,
        began_at=standing.as_of,
        found=is_news or taken is not None,
        rows=dict(done.rows),
        waiting=done.waiting,
        dirty=dict(done.dirty),
        changed=dict(done.changed),
        removed=done.removed,
        prices=done.prices,
        wants_full_run=done.wants_full_run or standing.wants_full_run,
        erased=done.erased,
    )


def _forget_bytes(store: LiveStore, file: Path) -> None:
    """Once rows of erased persons were taken out, write the store anew, without the blocks that held them."""
    with store.open(file) as connection:
        is_to_be = erasing.is_to_be_written_anew(connection)
    if is_to_be:
        with store.rewritten(file) as fresh, store.open(fresh) as connection:
            erasing.mark_written_anew(connection)


def _has_new_files(connection: duckdb.DuckDBPyConnection, standing: Standing, folder: Files | None) -> bool:
    """Whether the folder is another one than at the last tick, and a tick may take it in."""
    return folder is not None and not standing.wants_full_run and files.has_changed(connection, folder)


def _since(loop: Loop, cursor: int) -> Recorded:
    """What was recorded since a cursor; everything where the database was set back to before it.

    After a restore of its files a database gives out again numbers of transactions that the cursor has
    passed. Rows replace themselves by key, so that reading all of them again loses and doubles nothing.
    """
    tenant_id = loop.settings.tenant
    recorded = read(loop.url, cursor, tenant_id=tenant_id)
    return read(loop.url, 0, tenant_id=tenant_id) if recorded.is_set_back else recorded


def _should_say_that_all_is_right(pointer: LivePointer | None, as_of: datetime) -> bool:
    """Whether readers would soon take values for expired that are right: nothing has changed them."""
    if pointer is None:
        return False
    told_as_of = min(pointer.as_of.values(), default=as_of)
    return as_of - told_as_of >= _TELLS_AGAIN


def _moment(loop: Loop, recorded: Recorded, at_least: datetime) -> datetime:
    """Business time of a tick: never before the last; where it stands still, what was recorded moves it."""
    moments = [loop.clock.now(), at_least]
    if loop.settings.as_of is None and loop.settings.embedded:
        # What ticks published themselves is no news of the shop's day.
        news = (rows for table, rows in recorded.rows.items() if not contract_table(table).is_own_output)
        times = (newest_time(frame) for frame in news)
        moments += [time for time in times if time is not None]
    return max(moments)


def _surroundings(loop: Loop, file: Path) -> Surroundings:
    return Surroundings(
        compiled=read_compiled(compiled_beside(file)),
        lake=loop.lake.root,
        time_zone=loop.settings.zone,
        pricing=loop.models.champion_dir(PRICING),
        folder=_folder(loop),
    )


def _folder(loop: Loop) -> Files | None:
    """The user's folder as it is now; None on the embedded panel."""
    source = loop.sources.open() if loop.settings.data is not None else None
    return source if isinstance(source, Files) else None


def _standing(store: LiveStore, file: Path | None) -> Standing | None:
    """Where a generation stands; None where there is none that can be read."""
    if file is None:
        return None
    try:
        with store.open(file) as connection:
            return standing_of(connection)
    except duckdb.Error:
        return None


def _lag_s(loop: Loop, done: Tick) -> float | None:
    """The longest that a row of this tick can have waited: since the tick before it began."""
    before = TickLog(loop.settings.live_dir).last()
    if before is None or not done.rows:
        return None
    return round((datetime.now(UTC) - before.began_at).total_seconds(), 1)
