"""The rows that a tag of one entity was made of, by the statement parts that compute the tag.

Each source is laid out once for the entity, with the point-in-time rule of the compiler; a tag's window and
condition then choose from it. What counts is therefore decided by the same code as the value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import duckdb
from sqlglot import exp

from feature_store.compiler import ENTITIES, Statement
from feature_store.due.plan import has_age, row_condition
from feature_store.language import expressions
from feature_store.language.definitions import Rollup, Source, Tag
from feature_store.registry import Registry

EVENT_AT = "event_at"
KNOWN_AT = "known_at"


@dataclass(frozen=True)
class CountedRows:
    """Rows of one relation that aggregated tags read.

    Attributes:
        tags: The tags that aggregate them: the one asked for, or some that it is derived from.
        relation: Name of the source or rollup.
        kind: `rows` of a source; `groups` of a rollup, which are made of the rows listed before them.
        table: The warehouse table behind a source; empty for groups.
        columns: Names of the columns; rows of a source begin with `event_at` and `known_at`, naive UTC.
        rows: The newest of them.
        count: How many there are.
    """

    tags: tuple[str, ...]
    relation: str
    kind: Literal["rows", "groups"]
    table: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    count: int

    @property
    def left_out(self) -> int:
        """How many are not listed."""
        return self.count - len(self.rows)


def merged(parts: Iterable[CountedRows]) -> tuple[CountedRows, ...]:
    """The parts without repetition: tags that read the same rows are named together."""
    by_rows: dict[CountedRows, CountedRows] = {}
    for part in parts:
        key = replace(part, tags=())
        known = by_rows.get(key)
        by_rows[key] = part if known is None else replace(known, tags=(*known.tags, *part.tags))
    return tuple(by_rows.values())


class RowsOfEntity:
    """The visible rows of one entity at a moment; a context manager that keeps them in temporary tables.

    Args:
        connection: Sees the source tables; read-only is enough.
        registry: The registry of the entity.
        tags: Tags that will be asked for.
        entity_id: Whose rows.
        as_of: The moment, naive UTC.
        time_zone: IANA zone of local hours and days.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        registry: Registry,
        tags: Iterable[Tag],
        *,
        entity_id: str,
        as_of: datetime,
        time_zone: str,
    ) -> None:
        self._connection = connection
        self._registry = registry
        self._parts = _Parts(registry, registry.closure(tags), time_zone)
        self._entity = (entity_id, as_of)
        self._laid: list[str] = []

    def __enter__(self) -> RowsOfEntity:
        entity_id, as_of = self._entity
        self._lay(
            ENTITIES,
            f"SELECT 0 AS row_id, CAST($id AS VARCHAR) AS {self._registry.id_column}, "
            "CAST($as_of AS TIMESTAMP) AS as_of",
            {"id": entity_id, "as_of": as_of},
        )
        for name, sql in self._parts.relations():
            self._lay(name, sql)
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._laid:
            self._connection.execute(f"DROP TABLE temp.{name}")

    def _lay(self, name: str, sql: str, values: dict[str, Any] | None = None) -> None:
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {sql}", values)
        self._laid.append(name)

    def counted(self, tag: Tag, limit: int | None) -> list[CountedRows]:
        """What an aggregated tag was made of; empty for a tag that is derived from others.

        Args:
            tag: One of the tags, or one that they are derived from.
            limit: Most rows listed of each relation; None lists all.
        """
        if tag.definition.source is None:
            return []
        source, chain = self._registry.lineage(tag.definition.source)
        return [self._listed(tag, *part, limit) for part in self._parts.chosen(tag, source, chain)]

    def _listed(
        self, tag: Tag, relation: Source | Rollup, columns: list[str], condition: str, limit: int | None
    ) -> CountedRows:
        is_source = isinstance(relation, Source)
        if is_source:
            columns = [EVENT_AT, KNOWN_AT, *columns]
        name = f"src_{relation.name}" if is_source else f"roll_{relation.name}"
        order = ", ".join([*(f"{column} DESC" for column in columns[:2]), *columns[2:]])
        where = f" FROM {name} WHERE {condition}"
        bound = "" if limit is None else f" LIMIT {int(limit)}"
        rows = self._connection.execute(
            f"SELECT {', '.join(columns)}{where} ORDER BY {order}{bound}"
        ).fetchall()
        counted = self._connection.execute(f"SELECT COUNT(*){where}").fetchone()
        return CountedRows(
            tags=(tag.name,),
            relation=relation.name,
            kind="rows" if is_source else "groups",
            table=relation.table if isinstance(relation, Source) else "",
            columns=tuple(columns),
            rows=tuple(rows),
            count=counted[0] if counted else 0,
        )


class _Parts(Statement):
    """The scans and rollups of the tag statement, one by one."""

    def relations(self) -> list[tuple[str, str]]:
        """Name and SQL of each source and of each rollup that compares nobody, in the order of reading."""
        scans = [(f"src_{source.name}", self._scan(source)) for source in self.sources()]
        return scans + [(f"roll_{r.name}", self._rollup(r)) for r in self._rollups() if self._is_alone(r)]

    def chosen(
        self, tag: Tag, source: Source, chain: list[Rollup]
    ) -> list[tuple[Source | Rollup, list[str], str]]:
        """The relations that a tag read, each with the columns used and the condition of what counts."""
        window = tag.window if has_age(self._registry, chain[-1].name if chain else source.name) else None
        condition = _all_of(row_condition(window, tag.definition.where), _own_filter(tag))
        read = _names(tag.definition.value, tag.definition.where)
        if not chain:
            return [(source, self._used(source, read), self._condition(condition))]
        first = chain[0]
        taken = row_condition(first.window, first.where)
        of_rows = read.union(*(_read_by(rollup) for rollup in chain))
        chosen: list[tuple[Source | Rollup, list[str], str]] = [
            (source, self._used(source, of_rows), self._condition(taken))
        ]
        if self._is_alone(chain[-1]):
            offered = _offered(chain[-1], self._all_columns(source))
            columns = [name for name in offered if name in read or name in chain[-1].group_by]
            chosen.append((chain[-1], columns or offered, self._condition(condition)))
        return chosen

    def _is_alone(self, rollup: Rollup) -> bool:
        """Whether neither the rollup nor one that it reads compares entities."""
        _, chain = self._registry.lineage(rollup.name)
        return all(layer.scope == "entity" for part in chain for layer in part.layers)

    def _condition(self, tree: exp.Expression | None) -> str:
        return "TRUE" if tree is None else self._sql(tree)

    def _used(self, source: Source, read: set[str]) -> list[str]:
        """Columns that were read, after those by which a person knows the row again."""
        named = [name for name in source.columns if name.endswith("_id")]
        return [
            *named,
            *(name for name in self._all_columns(source) if name in read and name not in named),
        ]

    def _scanned_besides(self, source: Source) -> list[str]:
        return [f"r.{KNOWN_AT}"]

    def _needed_columns(self, source: Source) -> set[str]:
        return set(self._all_columns(source))


def _names(*snippets: str | None) -> set[str]:
    trees = [expressions.parse(text) for text in snippets if text is not None]
    return {name for tree in trees for name in expressions.columns_of(tree)}


def _read_by(rollup: Rollup) -> set[str]:
    """Columns that a rollup reads."""
    texts = [rollup.where, *rollup.compute.values(), *(m.value for m in rollup.measures.values())]
    texts += [text for layer in rollup.layers for text in layer.columns.values()]
    return _names(*texts) | set(rollup.group_by)


def _offered(rollup: Rollup, source_columns: list[str]) -> list[str]:
    """Columns of a rollup, in order; one that keeps its rows has those of the source as well."""
    own = [*rollup.group_by, *rollup.measures] if rollup.measures else [EVENT_AT, *source_columns]
    computed = [] if rollup.measures else list(rollup.compute)
    return [*own, *computed, *(name for layer in rollup.layers for name in layer.columns)]


def _own_filter(tag: Tag) -> exp.Expression | None:
    """What a row must fulfil to be read by any aggregate of the value; None when one reads all rows."""
    tree = expressions.parse(tag.definition.value or "")
    filters = []
    for node in tree.find_all(exp.AggFunc):
        if not isinstance(node.parent, exp.Filter):
            return None
        filters.append(node.parent.expression.this.copy())
    return exp.or_(*filters) if filters else None


def _all_of(*conditions: exp.Expression | None) -> exp.Expression | None:
    given = [condition for condition in conditions if condition is not None]
    return exp.and_(*given) if given else None
