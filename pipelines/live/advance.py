"""What a tick does to the live store, in one transaction: rows, facts, tags, prices, and where it stands."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from feature_store.contracts import RefreshClass
from feature_store.refresh.engine import refresh
from feature_store.registry import load_registry
from pipelines.erasure.intake import ErasureFilter
from pipelines.lake.tables import Lake
from pipelines.live import erasing, facts, files, intake, prices, waiting
from pipelines.live.files import FileNews
from pipelines.live.recorded import Recorded
from pipelines.live.store import Standing, move_on
from pipelines.sources.contract import contract_table
from pipelines.sources.files.folder import Files
from pipelines.stores.brake import held_back
from pipelines.warehouse.compiled import Compiled

CLASSES = (RefreshClass.QUARTER_HOUR, RefreshClass.HOUR)
"""Refresh classes that ticks keep up to date; the others are the nightly build's."""


class Stages:
    """Seconds by stage of a tick."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Measure a stage; a stage that comes twice counts twice."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = self.seconds.get(name, 0.0) + time.perf_counter() - start
            self.seconds[name] = round(spent, 4)


@dataclass(frozen=True)
class Surroundings:
    """What a tick reads besides the store and the rows that came.

    Attributes:
        compiled: The models that built the store's warehouse.
        lake: Root of the lake.
        time_zone: IANA zone of the shops.
        pricing: Folder of the champion that prices; None means cost plus.
        folder: The user's folder; None on the embedded panel.
    """

    compiled: Compiled
    lake: Path
    time_zone: str
    pricing: Path | None
    folder: Files | None = None


@dataclass(frozen=True)
class Advanced:
    """What a tick did to the store.

    Attributes:
        rows: Rows that were tried, by contract table.
        waiting: Rows that wait.
        reasons: Why rows that were tried are not in the facts, by table, with how many.
        facts: Rows taken out or put in, by model.
        dirty: Entities looked at, by refresh class.
        changed: Entities whose tags changed, by refresh class.
        removed: Entities that left.
        prices: Prices that changed.
        wants_full_run: Why the files of the folder need a full run; empty when they do not.
        erased: Persons of whom the store was cleared.
    """

    rows: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    reasons: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    facts: Mapping[str, int] = field(default_factory=dict)
    dirty: Mapping[str, int] = field(default_factory=dict)
    changed: Mapping[str, int] = field(default_factory=dict)
    removed: int = 0
    prices: int = 0
    wants_full_run: str = ""
    erased: int = 0


def is_due(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> bool:
    """Whether time alone changes something: a tag, or a row whose time has come."""
    moment = as_of.replace(tzinfo=None)
    tests = [
        f"exists (select 1 from tags.consumer_{refresh_class.value}{kind} where due_at <= $moment)"
        for refresh_class in CLASSES
        for kind in ("", "_waiting")
    ]
    row = connection.execute(f"select {' or '.join(tests)}", {"moment": moment}).fetchone()
    return bool(row and row[0]) or bool(waiting.due(connection, set(), as_of))


def advance(
    connection: duckdb.DuckDBPyConnection,
    standing: Standing,
    recorded: Recorded,
    as_of: datetime,
    around: Surroundings,
    stages: Stages,
) -> Advanced:
    """Bring the store to a moment; all of it or nothing.

    Args:
        connection: The live store, not in a transaction.
        standing: Where it stands.
        recorded: What came since its cursor.
        as_of: Business time (UTC), not before the last tick.
        around: What else is read.
        stages: Gets the seconds.
    """
    tick = standing.tick + 1
    connection.execute("begin transaction")
    try:
        with stages("files"):
            news = FileNews(wants_full_run=standing.wants_full_run)
            if around.folder is not None and not standing.wants_full_run:
                news = files.look(connection, around.folder, as_of=as_of)
        with stages("erase"):
            erased = erasing.begin(connection, recorded.erased, around.lake)
            kept_out = ErasureFilter(recorded.erased)
            came = {
                table: kept_out.rows(table, rows)
                for table, rows in _together(news.rows, recorded.rows).items()
            }
        with stages("accept"):
            taken = intake.take_in(connection, _together(erased.rows, came), as_of=as_of)
        with stages("facts"):
            applied = facts.apply(
                connection,
                erased.into(taken.accepted),
                as_of=as_of,
                since=standing.as_of,
                compiled=around.compiled,
                lake=around.lake,
            )
        with stages("tags"):
            refreshed = [
                refresh(
                    connection,
                    load_registry(),
                    refresh_class=refresh_class,
                    as_of=as_of,
                    time_zone=around.time_zone,
                    touched="(SELECT entity_id FROM live.touched WHERE entity = 'consumer')",
                    revision=tick,
                )
                for refresh_class in CLASSES
            ]
        with stages("prices"):
            all_again = prices.is_hour_begun(standing.as_of, as_of)
            skus = None if all_again else prices.touched_skus(connection)
            priced = prices.reprice(
                connection, as_of, around.pricing, skus, tick, held_back(Lake(around.lake))
            )
        erasing.finish(connection, erased)
        move_on(connection, as_of=as_of, recorded_cursor=recorded.cursor, tick=tick)
        with stages("commit"):
            connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise
    return Advanced(
        rows=dict(taken.received),
        waiting=taken.waiting,
        reasons=taken.reasons,
        facts=dict(applied.changed),
        dirty={done.refresh_class: done.dirty for done in refreshed},
        changed={done.refresh_class: done.changed for done in refreshed},
        removed=max(done.removed for done in refreshed),
        prices=priced,
        wants_full_run=news.wants_full_run,
        erased=len(erased.tombstones.people),
    )


def _together(
    filed: Mapping[str, pl.DataFrame], recorded: Mapping[str, pl.DataFrame]
) -> dict[str, pl.DataFrame]:
    """Rows of files and recorded ones; of a key that both have, what was recorded wins."""
    both = {**filed, **recorded}
    for table in filed.keys() & recorded.keys():
        rows = pl.concat([filed[table], recorded[table]], how="diagonal")
        both[table] = rows.unique(contract_table(table).key, keep="last", maintain_order=True)
    return both
