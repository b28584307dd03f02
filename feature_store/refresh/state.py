"""The tables of the tag state, and how newly computed values enter them.

Schema `tags`, one set of tables for all entities:

- `<entity>_<class>`: `entity_id`, one column a tag, `due_at` (naive UTC: when a tag may change without a new
  row; null: never) and `revision` (the refresh that last changed a value of the row, 0 after a build);
- `<entity>_<class>_waiting`: entities that are to come, with `due_at`;
- `refreshed`: per entity and class the moment, the revision, the sources that had reported by then, and which
  definitions the state was computed by;
- `removed`: entities that left, with the revision that removed them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb

from feature_store.contracts import RefreshClass

SCHEMA = "tags"
FRESH = "tags_fresh"


@dataclass(frozen=True)
class Standing:
    """What a state was last computed at.

    Attributes:
        as_of: The moment, naive UTC.
        revision: The refresh's number; 0 after a build.
        seen: Names of the sources that had reported by then, sorted.
        definitions: Which definitions computed it.
    """

    as_of: datetime
    revision: int
    seen: tuple[str, ...]
    definitions: str


@dataclass(frozen=True)
class StateTable:
    """The names of one entity's state of one class, or of several classes together."""

    entity: str
    refresh_class: str

    @classmethod
    def of(cls, entity: str, classes: Collection[RefreshClass]) -> StateTable:
        """The state of some refresh classes: `15m`, or `15m_1h` for two."""
        return cls(entity, "_".join(name.value for name in RefreshClass if name in classes))

    @property
    def name(self) -> str:
        """The qualified table name."""
        return f"{SCHEMA}.{self.entity}_{self.refresh_class}"

    @property
    def waiting(self) -> str:
        """The qualified name of the table of entities to come."""
        return f"{self.name}_waiting"


def create(connection: duckdb.DuckDBPyConnection, table: StateTable, tags: Mapping[str, str]) -> None:
    """Creates the tables of a state anew, empty; nothing of an older one is left."""
    columns = ", ".join(f"{name} {kind}" for name, kind in tags.items())
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    connection.execute(
        f"CREATE OR REPLACE TABLE {table.name} "
        f"(entity_id VARCHAR, {columns}, due_at TIMESTAMP, revision BIGINT)"
    )
    connection.execute(f"CREATE OR REPLACE TABLE {table.waiting} (entity_id VARCHAR, due_at TIMESTAMP)")
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {SCHEMA}.refreshed (entity VARCHAR, refresh_class VARCHAR, "
        "as_of TIMESTAMP, revision BIGINT, seen VARCHAR[], definitions VARCHAR)"
    )
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {SCHEMA}.removed (entity VARCHAR, entity_id VARCHAR, revision BIGINT)"
    )


def standing(connection: duckdb.DuckDBPyConnection, table: StateTable) -> Standing | None:
    """What a state was last computed at; None when it was never built."""
    exists = connection.execute(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = 'refreshed'",
        [SCHEMA],
    ).fetchone()
    if exists is None:
        return None
    row = connection.execute(
        f"SELECT as_of, revision, seen, definitions FROM {SCHEMA}.refreshed "
        "WHERE entity = ? AND refresh_class = ?",
        [table.entity, table.refresh_class],
    ).fetchone()
    return None if row is None else Standing(row[0], row[1], tuple(row[2]), row[3])


def note(connection: duckdb.DuckDBPyConnection, table: StateTable, now: Standing) -> None:
    """Writes down what the state is computed at now."""
    key = [table.entity, table.refresh_class]
    connection.execute(f"DELETE FROM {SCHEMA}.refreshed WHERE entity = ? AND refresh_class = ?", key)
    connection.execute(
        f"INSERT INTO {SCHEMA}.refreshed VALUES (?, ?, ?, ?, ?, ?)",
        [*key, now.as_of, now.revision, list(now.seen), now.definitions],
    )


def fill(connection: duckdb.DuckDBPyConnection, table: StateTable, tags: Mapping[str, str]) -> int:
    """Puts all newly computed rows into an empty state; returns how many there are."""
    columns = ", ".join(["entity_id", *tags, "due_at"])
    connection.execute(f"INSERT INTO {table.name} SELECT {columns}, 0 FROM {FRESH}")
    connection.execute(f"DELETE FROM {SCHEMA}.removed WHERE entity = ?", [table.entity])
    return _count(connection, FRESH)


def merge(
    connection: duckdb.DuckDBPyConnection,
    table: StateTable,
    tags: Mapping[str, str],
    asked: str,
    revision: int,
) -> tuple[int, int]:
    """Replaces the rows of the entities asked for by the newly computed ones.

    A row whose values are what they were keeps its revision. Entities without a new row are removed.

    Args:
        connection: In the caller's transaction.
        table: The state.
        tags: Tag columns.
        asked: Relation with the `entity_id` of everybody who was looked at.
        revision: The refresh's number.

    Returns:
        Rows whose values changed, and entities removed.
    """
    differs = " OR ".join(f"f.{name} IS DISTINCT FROM s.{name}" for name in tags) or "FALSE"
    columns = ", ".join(f"f.{name}" for name in tags)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE tags_next AS SELECT f.entity_id, {columns}, f.due_at, "
        f"CASE WHEN s.entity_id IS NULL OR {differs} THEN {revision} ELSE s.revision END AS revision, "
        f"s.entity_id IS NULL OR {differs} AS is_changed "
        f"FROM {FRESH} AS f LEFT JOIN {table.name} AS s USING (entity_id)"
    )
    gone = (
        f"SELECT s.entity_id FROM {table.name} AS s SEMI JOIN {asked} USING (entity_id) "
        f"ANTI JOIN {FRESH} USING (entity_id)"
    )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE tags_gone AS {gone}")
    connection.execute(
        f"DELETE FROM {SCHEMA}.removed WHERE entity = ? AND (entity_id IN (SELECT entity_id FROM tags_gone) "
        "OR entity_id IN (SELECT entity_id FROM tags_next))",
        [table.entity],
    )
    connection.execute(
        f"INSERT INTO {SCHEMA}.removed SELECT ?, entity_id, {revision} FROM tags_gone", [table.entity]
    )
    connection.execute(
        f"DELETE FROM {table.name} USING {asked} AS a WHERE {table.name}.entity_id = a.entity_id"
    )
    names = ", ".join(["entity_id", *tags, "due_at", "revision"])
    connection.execute(f"INSERT INTO {table.name} ({names}) SELECT {names} FROM tags_next")
    counted = connection.execute("SELECT COUNT(*) FILTER (WHERE is_changed) FROM tags_next").fetchone()
    changed = counted[0] if counted is not None else 0
    removed = _count(connection, "tags_gone")
    connection.execute("DROP TABLE tags_next; DROP TABLE tags_gone")
    return changed, removed


def _count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    row = connection.execute(f"SELECT COUNT(*) FROM {relation}").fetchone()
    return int(row[0]) if row is not None else 0
