"""Tags to SQL: one statement for any set of tags and any relation of (row, entity, moment).

The statement reads a relation `entities(row_id BIGINT, <entity>_id VARCHAR, as_of TIMESTAMP in UTC)`. Each
source is scanned once, joined to the entities under the point-in-time rule, and aggregated once with a FILTER
a tag; rollups of a source are grouped once each. The batch table and the training set are the same statement
over other entities, which is why they cannot disagree. Nothing is executed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from sqlglot import exp

from feature_store.contracts import TagType
from feature_store.due.plan import has_age, row_condition
from feature_store.language import expressions
from feature_store.language.definitions import Layer, Rollup, Source, Tag, duration_us
from feature_store.registry import Registry

ENTITIES = "entities"
SQL_TYPES: dict[TagType, str] = {
    TagType.INT: "BIGINT",
    TagType.DECIMAL: "DOUBLE",
    TagType.BOOL: "BOOLEAN",
    TagType.ENUM: "VARCHAR",
    TagType.TEXT: "VARCHAR",
    TagType.DATE: "DATE",
}
JOINED = 8
"""So many sources and rollups are joined to the entities at a time."""

NULL_VALUES = {"zero": "0", "false": "FALSE", "unknown": "'unknown'"}


@dataclass(frozen=True)
class CompiledTags:
    """A compiled statement.

    Attributes:
        sql: DuckDB SQL reading the relation `entities`; one row an entity row, ordered by `row_id`.
        tags: Names of the tag columns, after `row_id`, the entity's id, `as_of`.
        sources: The sources scanned.
    """

    sql: str
    tags: tuple[str, ...]
    sources: tuple[Source, ...]


def compile_tags(
    registry: Registry, names: Iterable[str] | None = None, *, time_zone: str = "UTC"
) -> CompiledTags:
    """The statement that computes the tags.

    Args:
        registry: The checked registry.
        names: Tags to compute; all by default.
        time_zone: IANA zone of local hours and days.

    Raises:
        UnknownTagError: A name is not in the registry.
        ValueError: There is no such time zone.
    """
    wanted = tuple(tag.name for tag in registry.select(names))
    return _compiled(registry, wanted, time_zone)


@lru_cache(maxsize=64)
def _compiled(registry: Registry, names: tuple[str, ...], time_zone: str) -> CompiledTags:
    """Compiling a hundred tags takes half a second, and callers ask for the same set again and again."""
    builder = Statement(registry, registry.closure(registry.select(names)), time_zone)
    return CompiledTags(builder.build(list(names)), names, tuple(builder.sources()))


def population_sql(registry: Registry) -> str:
    """The entities known at `$as_of` (naive UTC), one row an entity, in the registry's id column."""
    return " UNION ".join(
        f"SELECT DISTINCT CAST({s.entity} AS VARCHAR) AS {registry.id_column} FROM {s.table} "
        f"WHERE {utc(s.time)} <= $as_of AND {utc(s.received or s.time)} <= $as_of "
        + (f"AND ({s.superseded} IS NULL OR {utc(s.superseded)} > $as_of) " if s.superseded else "")
        + f"AND {s.entity} IS NOT NULL"
        for s in registry.population_sources()
    )


def utc(column: str) -> str:
    """A time column as a naive UTC timestamp: comparisons then ignore the session's time zone.

    Through microseconds, because AT TIME ZONE costs half a microsecond a row.
    """
    return f"MAKE_TIMESTAMP(EPOCH_US({column}))"


class Statement:
    """Collects the parts of one statement; `feature_store.refresh.statement` adds due times to them.

    Args:
        registry: The registry.
        tags: Everything to compute, dependencies first.
        time_zone: IANA zone of local times.
    """

    def __init__(self, registry: Registry, tags: list[Tag], time_zone: str) -> None:
        self._registry = registry
        self._tags = tags
        self._time_zone = time_zone
        self._parameters = {name: p.value for name, p in registry.parameters.items()}
        self._aggregates: dict[str, list[Tag]] = {}
        for tag in tags:
            if tag.definition.source is not None:
                self._aggregates.setdefault(tag.definition.source, []).append(tag)

    def sources(self) -> list[Source]:
        """Every base source that is scanned, by first use."""
        used = (self._registry.lineage(relation)[0] for relation in self._aggregates)
        return list({source.name: source for source in used}.values())

    def build(self, output: list[str]) -> str:
        """The whole statement."""
        parts = self._first_parts()
        parts += [f"src_{s.name} AS MATERIALIZED ({self._scan(s)})" for s in self.sources()]
        for rollup in self._rollups():
            parts.append(f"roll_{rollup.name} AS MATERIALIZED ({self._rollup(rollup)})")
        for relation in self._grouped():
            parts.append(f"agg_{relation} AS ({self._aggregate(relation)})")
        levels = self._levels()
        parts.append(f"level_0 AS ({self._base_level()})")
        for depth, level in enumerate(levels, start=1):
            columns = ", ".join(column for tag in level for column in self._derived(tag))
            parts.append(f"level_{depth} AS (SELECT *, {columns} FROM level_{depth - 1})")
        select = ", ".join(["row_id", self._registry.id_column, "as_of", *output, *self._last_columns()])
        body = ",\n".join(parts)
        return f"WITH {body}\nSELECT {select} FROM level_{len(levels)} ORDER BY row_id"

    def _first_parts(self) -> list[str]:
        return [f"seen AS (SELECT {', '.join(self._first_seen(s) for s in self.sources())})"]

    def _last_columns(self) -> list[str]:
        return []

    def _grouped(self) -> list[str]:
        """The sources and rollups that are grouped by entity row."""
        return list(self._aggregates)

    def _sql(self, tree: exp.Expression) -> str:
        return expressions.expanded(tree, self._parameters, self._time_zone).sql(dialect="duckdb")

    def _snippet(self, text: str) -> str:
        return self._sql(expressions.parse(text))

    def _first_seen(self, source: Source) -> str:
        """When the source first reported anything: before that its tags are null, not zero."""
        known = source.received or source.time
        first = f"MIN(GREATEST(EPOCH_US({source.time}), EPOCH_US({known})))"
        return f"(SELECT MAKE_TIMESTAMP({first}) FROM {source.table}) AS {source.name}"

    def _rollups(self) -> list[Rollup]:
        """Every rollup that is needed, after the rollup it reads."""
        needed: dict[str, Rollup] = {}
        for relation in self._aggregates:
            for rollup in self._registry.lineage(relation)[1]:
                needed[rollup.name] = rollup
        return [rollup for name, rollup in self._registry.rollups.items() if name in needed]

    def _relation(self, name: str) -> str:
        return f"roll_{name}" if name in self._registry.rollups else f"src_{name}"

    def _scan(self, source: Source) -> str:
        """Source rows visible at each entity's moment, once a source."""
        outer = ["e.row_id", "e.as_of", "r.event_at"]
        outer.append("EPOCH_US(e.as_of) - EPOCH_US(r.event_at) AS age_us")
        needed = self._needed_columns(source)
        outer += [f"r.{name}" for name in self._all_columns(source) if name in needed]
        outer += self._scanned_besides(source)
        where = ["r.event_at <= e.as_of", "r.known_at <= e.as_of"]
        if source.superseded is not None:
            where.append("(r.replaced_at IS NULL OR r.replaced_at > e.as_of)")
        if (limit := self._widest_window(source)) is not None:
            where.append(f"EPOCH_US(e.as_of) - EPOCH_US(r.event_at) < {limit}")
        if source.where is not None:
            where.append(f"({self._snippet(source.where)})")
        rows = self._rows(source, needed, self._scan_bounds(source))
        return (
            f"SELECT {', '.join(outer)} FROM {ENTITIES} AS e JOIN ({rows}) AS r "
            f"ON r.entity_key = e.{self._registry.id_column} WHERE {' AND '.join(where)}"
        )

    def _scanned_besides(self, source: Source) -> list[str]:
        """Further columns of a scan."""
        return []

    def _scan_bounds(self, source: Source) -> list[str]:
        """Conditions on the table's own columns that drop no row that counts."""
        return []

    def _rows(self, source: Source, needed: set[str], conditions: list[str]) -> str:
        """The rows of a source's table with its joins, times as naive UTC, before the point-in-time rule."""
        columns = [f"s.{source.entity} AS entity_key", f"{utc('s.' + source.time)} AS event_at"]
        columns.append(f"{utc('s.' + (source.received or source.time))} AS known_at")
        if source.superseded is not None:
            columns.append(f"{utc('s.' + source.superseded)} AS replaced_at")
        columns += [self._column("s", n, t) for n, t in source.columns.items() if n in needed]
        joins = ""
        for position, join in enumerate(source.joins):
            attributes = {n: t for n, t in join.columns.items() if n in needed}
            if attributes:
                alias = f"j{position}"
                columns += [self._column(alias, n, t) for n, t in attributes.items()]
                joins += f" LEFT JOIN {join.table} AS {alias} ON {alias}.{join.key} = s.{join.key}"
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT {', '.join(columns)} FROM {source.table} AS s{joins}{where}"

    @staticmethod
    def _column(alias: str, name: str, kind: str) -> str:
        value = utc(f"{alias}.{name}") if kind == "TIMESTAMPTZ" else f"{alias}.{name}"
        return f"{value} AS {name}"

    @staticmethod
    def _all_columns(source: Source) -> list[str]:
        return [*source.columns, *(name for join in source.joins for name in join.columns)]

    def _needed_columns(self, source: Source) -> set[str]:
        """Columns that any tag, rollup or the source's own filter reads."""
        texts: list[str | None] = [source.where]
        names: set[str] = set()
        for rollup in self._rollups():
            texts += [rollup.where, *rollup.compute.values()]
            texts += [m.value for m in rollup.measures.values()]
            texts += [text for layer in rollup.layers for text in layer.columns.values()]
            names |= set(rollup.group_by)
        for tags in self._aggregates.values():
            for tag in tags:
                texts += [tag.definition.value, tag.definition.where]
        for text in texts:
            if text is not None:
                names |= expressions.columns_of(expressions.parse(text))
        return names & set(self._all_columns(source))

    def _widest_window(self, source: Source) -> int | None:
        """The longest window over a source's rows; None when something reads its whole history."""
        widths: list[int | None] = [
            duration_us(rollup.window) for rollup in self._rollups() if rollup.source == source.name
        ]
        widths += [duration_us(tag.window) for tag in self._aggregates.get(source.name, [])]
        bounded = [width for width in widths if width is not None]
        return max(bounded) if bounded and len(bounded) == len(widths) else None

    def _rollup(self, rollup: Rollup) -> str:
        """A source regrouped: explode, compute, filter, group, then layers."""
        rows = f"{self._relation(rollup.source)} AS s"
        for name, values in rollup.explode.items():
            listed = ", ".join(f"({value})" for value in values)
            rows += f" CROSS JOIN (VALUES {listed}) AS x({name})"
        computed = "".join(f", {self._snippet(t)} AS {name}" for name, t in rollup.compute.items())
        conditions = []
        if (us := duration_us(rollup.window)) is not None:
            conditions.append(f"age_us < {us}")
        if rollup.where is not None:
            conditions.append(f"({self._snippet(rollup.where)})")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        sql = f"SELECT *{computed} FROM {rows}{where}"
        if rollup.measures:
            keys = ", ".join(["row_id", "as_of", *rollup.group_by])
            measures = ", ".join(
                f"{self._measure(measure.value, None, measure.within)} AS {name}"
                for name, measure in rollup.measures.items()
            )
            measures = ", ".join([measures, *self._measured_besides(rollup)])
            sql = f"SELECT {keys}, {measures} FROM ({sql}) AS g GROUP BY {keys}"
        for number, layer in enumerate(rollup.layers):
            columns = ", ".join(self._layer(rollup, number, layer))
            sql = f"SELECT *, {columns} FROM ({sql}) AS l"
        return sql

    def _measured_besides(self, rollup: Rollup) -> list[str]:
        """Further columns of a rollup's groups."""
        return []

    def _layer(self, rollup: Rollup, number: int, layer: Layer) -> list[str]:
        """The columns that a layer adds."""
        key = "as_of" if layer.scope == "population" else "row_id"
        return [
            f"{self._sql(expressions.partitioned(expressions.parse(text), key))} AS {name}"
            for name, text in layer.columns.items()
        ]

    def _measure(self, value: str, where: str | None, window: str | None) -> str:
        """An aggregate with its window and condition as FILTER."""
        return self._sql(expressions.filtered(expressions.parse(value), row_condition(window, where)))

    def _aggregate(self, relation: str) -> str:
        """All tags of one source or rollup in one grouped scan."""
        columns = ", ".join(["row_id", *self._aggregated(relation)])
        return f"SELECT {columns} FROM {self._relation(relation)} GROUP BY row_id, as_of"

    def _aggregated(self, relation: str) -> list[str]:
        """The columns read from a source or rollup, one a tag."""
        columns = []
        for tag in self._aggregates.get(relation, []):
            window = tag.window if has_age(self._registry, relation) else None
            sql = self._measure(tag.definition.value or "", tag.definition.where, window)
            columns.append(f"{sql} AS {tag.name}")
        return columns

    def _joined(self, batch: tuple[str, ...]) -> str:
        """What some sources and rollups give each entity row."""
        columns = ["e.row_id", *(f"agg_{r}.{tag.name}" for r in batch for tag in self._aggregates.get(r, []))]
        columns += self._joined_besides(batch)
        joins = " ".join(f"LEFT JOIN agg_{r} ON agg_{r}.row_id = e.row_id" for r in batch)
        return f"SELECT {', '.join(columns)} FROM {ENTITIES} AS e {joins}"

    def _joined_besides(self, batch: tuple[str, ...]) -> list[str]:
        """Further columns of these sources and rollups."""
        return []

    def _base_level(self) -> str:
        """All tags that read a source or rollup.

        Joined in batches: every join hands on all columns before it, so that one long chain of narrow parts
        would cost the square of their number, most of it for entities that have hardly a row.
        """
        narrow_first = sorted(self._grouped(), key=lambda name: len(self._aggregates.get(name, [])))
        batches = [tuple(narrow_first[i : i + JOINED]) for i in range(0, len(narrow_first), JOINED)]
        columns = ["e.row_id", f"e.{self._registry.id_column}", "e.as_of"]
        number_of = {relation: number for number, batch in enumerate(batches) for relation in batch}
        for relation, tags in self._aggregates.items():
            joined = f"joined_{number_of[relation]}"  # a source may be called like a tag
            columns += [self._finished(tag, f"{joined}.{tag.name}", "e.as_of") for tag in tags]
        columns += [f"seen.{source.name} AS seen_{source.name}" for source in self.sources()]
        columns += self._base_besides(len(batches))
        joins = " ".join(self._base_joins()) + "".join(
            f" LEFT JOIN ({self._joined(batch)}) AS joined_{number} ON joined_{number}.row_id = e.row_id"
            for number, batch in enumerate(batches)
        )
        return f"SELECT {', '.join(columns)} FROM {ENTITIES} AS e CROSS JOIN seen {joins}"

    def _base_besides(self, batches: int) -> list[str]:
        """Further columns of the joined row, of so many batches."""
        return []

    def _base_joins(self) -> list[str]:
        """Further parts joined to the row."""
        return []

    def _derived(self, tag: Tag) -> list[str]:
        """The columns of a derived tag."""
        text = tag.definition.derived or tag.definition.population or ""
        tree = expressions.parse(text)
        if tag.definition.population is not None:
            tree = expressions.partitioned(tree, "as_of")
        return [self._finished(tag, self._sql(tree), "as_of", prefix="seen_")]

    def _finished(self, tag: Tag, value: str, as_of: str, prefix: str = "seen.") -> str:
        """A value with its null rule and type; null as long as a source of it has not reported."""
        if tag.null_rule != "null":
            value = f"COALESCE({value}, {NULL_VALUES[tag.null_rule]})"
        reported = " AND ".join(f"{prefix}{s.name} <= {as_of}" for s in self._registry.base_sources(tag))
        return f"CASE WHEN {reported} THEN CAST({value} AS {SQL_TYPES[tag.type]}) END AS {tag.name}"

    def _levels(self) -> list[list[Tag]]:
        """Derived tags in layers: each layer reads earlier ones only."""
        done = {tag.name for tag in self._tags if tag.definition.source is not None}
        waiting = [tag for tag in self._tags if tag.name not in done]
        known: Mapping[str, Tag] = self._registry.tags
        levels: list[list[Tag]] = []
        while waiting:
            ready = [tag for tag in waiting if (tag.inputs & known.keys()) <= done]
            levels.append(ready)
            done |= {tag.name for tag in ready}
            waiting = [tag for tag in waiting if tag.name not in done]
        return levels
