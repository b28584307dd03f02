"""Builds and refreshes the tag state of one entity and refresh class, inside the caller's transaction.

A refresh computes who was touched by new, changed or deleted rows, who fell due since the last one, and
nobody else: the statement itself says when an entity falls due (`feature_store.due.rules`). A refresh that
was skipped is made good by the next one, because due times stay due. It equals a build at the same moment,
to the bit.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb

from feature_store.compiler import ENTITIES, utc
from feature_store.contracts import RefreshClass
from feature_store.errors import RefreshError
from feature_store.language.definitions import Source
from feature_store.point_in_time import check_tables
from feature_store.refresh import state
from feature_store.refresh.members import ASKED, MEMBERS, find_members
from feature_store.refresh.state import FRESH, Standing, StateTable
from feature_store.refresh.statement import DUE, SEEN, RefreshStatement, compile_refresh
from feature_store.registry import Registry

MAX_JOINED_ROWS = 24_000_000
"""Entities are computed in chunks of about this many source rows: it bounds memory."""


@dataclass(frozen=True)
class Refreshed:
    """What a build or refresh did.

    Attributes:
        entity: Whose tags.
        refresh_class: Which class; several are joined by `_`.
        as_of: The moment of the values (UTC).
        dirty: Entities looked at: touched, fallen due, or all of them.
        recomputed: Those of them that belong to the population.
        changed: Rows with another value than before, or new.
        removed: Entities that left the population.
        seconds: Wall-clock time.
    """

    entity: str
    refresh_class: str
    as_of: datetime
    dirty: int
    recomputed: int
    changed: int
    removed: int
    seconds: float


def tags_of(registry: Registry, classes: Collection[RefreshClass]) -> tuple[str, ...]:
    """The tags of some refresh classes that compare nobody, in registry order."""
    return tuple(
        tag.name
        for tag in registry.tags.values()
        if tag.refresh in classes and not registry.is_population_relative(tag)
    )


def build(
    connection: duckdb.DuckDBPyConnection,
    registry: Registry,
    *,
    refresh_class: RefreshClass | Collection[RefreshClass],
    as_of: datetime,
    time_zone: str,
    max_joined_rows: int = MAX_JOINED_ROWS,
) -> Refreshed:
    """Computes the state of everybody anew; whatever state there was is replaced.

    Args:
        connection: Sees the source tables; in the caller's transaction.
        registry: The registry of the entity.
        refresh_class: Class of the tags; of several classes together, those that compare nobody.
        as_of: The moment, timezone-aware.
        time_zone: IANA zone of local hours and days.
        max_joined_rows: Size of a chunk, in source rows.

    Raises:
        RefreshError: `as_of` carries no time zone, or the class has no tags.
        SourceTableError: A source table is missing or lacks a column.
    """
    began = time.perf_counter()
    run = _Run(connection, registry, refresh_class, as_of, time_zone)
    state.create(connection, run.table, run.statement.tags)
    find_members(connection, registry, run.moment, everybody=True)
    run.compute(run.reported(), max_joined_rows)
    rows = state.fill(connection, run.table, run.statement.tags)
    run.keep_waiting()
    run.note(revision=0)
    looked_at = run.count(MEMBERS)
    run.clean()
    return run.result(began, dirty=looked_at, recomputed=rows, changed=rows, removed=0)


def refresh(
    connection: duckdb.DuckDBPyConnection,
    registry: Registry,
    *,
    refresh_class: RefreshClass | Collection[RefreshClass],
    as_of: datetime,
    time_zone: str,
    touched: str,
    revision: int,
    max_joined_rows: int = MAX_JOINED_ROWS,
) -> Refreshed:
    """Brings the state to a later moment.

    Args:
        connection: Sees the source tables with the new rows in them; in the caller's transaction.
        registry: The registry of the entity.
        refresh_class: As at the build.
        as_of: The moment, timezone-aware, not before the last one.
        time_zone: As at the build.
        touched: Relation with a column `entity_id`: whose rows came, changed or went since this class was
            last refreshed. Repeated, unknown and null ids do no harm.
        revision: Number of this refresh; rows whose values change carry it.
        max_joined_rows: Size of a chunk, in source rows.

    Raises:
        RefreshError: There is no state to refresh, it was computed by other definitions or lies later, or
            `as_of` carries no time zone.
        SourceTableError: A source table is missing or lacks a column.
    """
    began = time.perf_counter()
    run = _Run(connection, registry, refresh_class, as_of, time_zone)
    before = run.standing()
    seen = run.reported()
    run.ask(touched, everybody=tuple(seen) != before.seen)
    dirty = run.count(ASKED)
    recomputed = changed = removed = 0
    if dirty:
        find_members(connection, registry, run.moment, everybody=False)
        run.compute(seen, max_joined_rows)
        recomputed = run.count(FRESH)
        changed, removed = state.merge(connection, run.table, run.statement.tags, ASKED, revision)
        run.keep_waiting()
    run.note(revision=revision)
    run.clean()
    return run.result(began, dirty=dirty, recomputed=recomputed, changed=changed, removed=removed)


class _Run:
    """One build or refresh: what it works on, and its steps."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        registry: Registry,
        refresh_class: RefreshClass | Collection[RefreshClass],
        as_of: datetime,
        time_zone: str,
    ) -> None:
        if as_of.tzinfo is None:
            raise RefreshError(f"as_of must carry a time zone, got {as_of!r}.")
        classes = {refresh_class} if isinstance(refresh_class, RefreshClass) else set(refresh_class)
        self.table = StateTable.of(registry.entity, classes)
        names = tags_of(registry, classes)
        if not names:
            raise RefreshError(
                f"No tag of {registry.entity} of refresh class {self.table.refresh_class!r} is computed for "
                "one entity at a time; ask for another class."
            )
        self.statement: RefreshStatement = compile_refresh(registry, names, time_zone)
        self.moment = as_of.astimezone(UTC).replace(tzinfo=None)
        self._as_of = as_of.astimezone(UTC)
        self._connection = connection
        self._registry = registry
        self._seen: tuple[str, ...] = ()
        check_tables(connection, [*self.statement.sources, *registry.population_sources()])

    @property
    def definitions(self) -> str:
        """Changes whenever the same rows could give another value."""
        return hashlib.blake2b(self.statement.template.encode(), digest_size=16).hexdigest()

    def count(self, relation: str) -> int:
        """Rows of a relation."""
        row = self._connection.execute(f"SELECT COUNT(*) FROM {relation}").fetchone()
        return int(row[0]) if row is not None else 0

    def standing(self) -> Standing:
        """What the state was last computed at.

        Raises:
            RefreshError: It cannot be refreshed to this moment.
        """
        before = state.standing(self._connection, self.table)
        if before is None:
            raise RefreshError(f"There is no state {self.table.name}; build it first.")
        if before.definitions != self.definitions:
            raise RefreshError(
                f"The state {self.table.name} was computed by other definitions or for another time zone; "
                "build it again."
            )
        if before.as_of > self.moment:
            raise RefreshError(
                f"The state {self.table.name} is of {before.as_of} UTC, later than {self.moment} UTC; "
                "build it for an earlier moment."
            )
        return before

    def reported(self) -> tuple[str, ...]:
        """The sources that have reported something by the moment, by name."""
        self._seen = tuple(sorted(s.name for s in self.statement.sources if self._has_reported(s)))
        return self._seen

    def _has_reported(self, source: Source) -> bool:
        happened, received = utc(source.time), utc(source.received or source.time)
        visible = f"GREATEST({happened}, {received}) <= $as_of"
        found = self._connection.execute(
            f"SELECT 1 FROM {source.table} WHERE {visible} LIMIT 1", {"as_of": self.moment}
        )
        return found.fetchone() is not None

    def ask(self, touched: str, *, everybody: bool) -> None:
        """Fills `tags_asked` with who has to be looked at."""
        due = "" if everybody else " WHERE due_at <= $as_of"
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {ASKED} AS "
            f"SELECT CAST(entity_id AS VARCHAR) AS entity_id FROM {touched} WHERE entity_id IS NOT NULL "
            f"UNION SELECT entity_id FROM {self.table.name}{due} "
            f"UNION SELECT entity_id FROM {self.table.waiting} WHERE due_at <= $as_of",
            {"as_of": self.moment},
        )

    def compute(self, seen: tuple[str, ...], max_joined_rows: int) -> None:
        """Fills `tags_fresh` with the values and due times of the members."""
        self._seen_relation(seen)
        types = ", ".join(f"{name} {kind}" for name, kind in self.statement.tags.items())
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {FRESH} (entity_id VARCHAR, {types}, due_at TIMESTAMP)"
        )
        members = self.count(f"{MEMBERS} WHERE until IS NOT NULL")
        columns = ", ".join(self.statement.tags)
        sql = self.statement.at(self.moment)
        id_column = self._registry.id_column
        for start, size in self._chunks(members, max_joined_rows):
            self._connection.execute(
                f"CREATE OR REPLACE TEMP TABLE {ENTITIES} AS SELECT ROW_NUMBER() OVER () AS row_id, "
                f"entity_id AS {id_column}, CAST($as_of AS TIMESTAMP) AS as_of "
                f"FROM (SELECT entity_id FROM {MEMBERS} WHERE until IS NOT NULL ORDER BY entity_id "
                f"LIMIT {size} OFFSET {start})",
                {"as_of": self.moment},
            )
            self._connection.execute(
                f"INSERT INTO {FRESH} SELECT t.{id_column}, {columns}, "
                f"LEAST(t.{DUE}, NULLIF(m.until, 'infinity')) FROM ({sql}) AS t "
                f"JOIN {MEMBERS} AS m ON m.entity_id = t.{id_column}"
            )

    def _seen_relation(self, seen: tuple[str, ...]) -> None:
        columns = ", ".join(
            f"CAST({'$as_of' if s.name in seen else 'NULL'} AS TIMESTAMP) AS {s.name}"
            for s in self.statement.sources
        )
        parameters = {"as_of": self.moment} if seen else {}
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {SEEN} AS SELECT {columns}", parameters)

    def _chunks(self, members: int, max_joined_rows: int) -> list[tuple[int, int]]:
        """First row and height of each chunk, by the mean number of source rows a member has."""
        everybody = max(members, self.count(self.table.name), 1)
        rows = sum(self.count(table) for table in {s.table for s in self.statement.sources})
        size = max(1, int(max_joined_rows * everybody / max(rows, everybody)))
        return [(start, size) for start in range(0, members, size)]

    def keep_waiting(self) -> None:
        """Entities that are no members yet wait for their first row to become visible."""
        self._connection.execute(
            f"DELETE FROM {self.table.waiting} WHERE entity_id IN (SELECT entity_id FROM {MEMBERS})"
        )
        self._connection.execute(
            f"INSERT INTO {self.table.waiting} SELECT entity_id, arrives_at FROM {MEMBERS} "
            "WHERE until IS NULL AND arrives_at IS NOT NULL"
        )

    def note(self, *, revision: int) -> None:
        """Writes down what the state is computed at."""
        now = Standing(self.moment, revision, self._seen, self.definitions)
        state.note(self._connection, self.table, now)

    def clean(self) -> None:
        """Drops the working tables."""
        for name in (ENTITIES, SEEN, ASKED, MEMBERS, FRESH):
            self._connection.execute(f"DROP TABLE IF EXISTS temp.{name}")

    def result(self, began: float, *, dirty: int, recomputed: int, changed: int, removed: int) -> Refreshed:
        """The report of the run."""
        seconds = time.perf_counter() - began
        return Refreshed(
            self.table.entity,
            self.table.refresh_class,
            self._as_of,
            dirty,
            recomputed,
            changed,
            removed,
            seconds,
        )
