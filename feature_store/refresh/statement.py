"""The tag statement with due times: the same definitions, and when an entity's tags change without new rows.

Unlike the statement of `feature_store.compiler` it is for one moment, which stands in it as literals, so that
DuckDB skips the row groups of a time-ordered table that are too old. It reads two relations of the caller:
`entities(row_id, <entity>_id, as_of)`, all at that moment, and `seen`, one row with a column a source: any
time up to the moment when the source has reported by then, else null.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from sqlglot import exp

from feature_store.compiler import ENTITIES, SQL_TYPES, Statement
from feature_store.due.leaders import ROWS_WAIT
from feature_store.due.plan import due_plan
from feature_store.due.rules import CLOCK_CHANGE, MIDNIGHT, Wait
from feature_store.language import expressions
from feature_store.language.definitions import Layer, Rollup, Source, Tag
from feature_store.language.zones import fixed_offset_minutes, next_local_midnight
from feature_store.registry import Registry

SEEN = "seen"
DUE = "due_at"

_SLACK_US = expressions.DAY_US
"""Literals lie a day off: a naive time column is compared in the session's zone, which nobody knows here."""

_AGO = re.compile(r"__us_ago_(\d+)__")


@dataclass(frozen=True)
class RefreshStatement:
    """A compiled statement, moments left open.

    Attributes:
        template: The SQL with places for the moment.
        tags: Names and SQL types of the tag columns, after the entity's id and before `due_at`.
        sources: The sources scanned.
        time_zone: IANA zone of local times.
    """

    template: str
    tags: dict[str, str]
    sources: tuple[Source, ...]
    time_zone: str

    def at(self, as_of: datetime) -> str:
        """The SQL for a moment (naive UTC): `row_id`, the entity's id, `as_of`, tags, `due_at`."""

        def ago(match: re.Match[str]) -> str:
            return f"TIMESTAMPTZ '{(as_of - timedelta(microseconds=int(match[1]))).isoformat(' ')}+00'"

        midnight = next_local_midnight(as_of, self.time_zone) - as_of
        # Clocks are put forward by two hours at most.
        change = 0 if fixed_offset_minutes(self.time_zone) is not None else expressions.DAY_US // 12
        sql = self.template.replace(MIDNIGHT, str(midnight // timedelta(microseconds=1)))
        return _AGO.sub(ago, sql.replace(CLOCK_CHANGE, str(change)))


@lru_cache(maxsize=32)
def compile_refresh(registry: Registry, names: tuple[str, ...], time_zone: str) -> RefreshStatement:
    """The statement for some tags, none of which compares entities.

    Args:
        registry: The registry.
        names: Tags to compute.
        time_zone: IANA zone of local hours and days.

    Raises:
        UnknownTagError: A name is not in the registry.
        ValueError: There is no such time zone.
    """
    tags = registry.select(names)
    builder = _DueStatement(registry, registry.closure(tags), time_zone)
    types = {tag.name: SQL_TYPES[tag.type] for tag in tags}
    return RefreshStatement(builder.build(list(types)), types, tuple(builder.sources()), time_zone)


class _DueStatement(Statement):
    """The parts of the statement, each with its waits: microseconds from the moment to the next change."""

    def __init__(self, registry: Registry, tags: list[Tag], time_zone: str) -> None:
        super().__init__(registry, tags, time_zone)
        self._plan = due_plan(registry, tags)
        self._waiting = [relation for relation, waits in self._plan.grouped.items() if waits]
        self._waiting += [rollup for rollup, _ in self._plan.layers]
        self._waiting += [source.name for source in self.sources() if source.superseded is not None]
        self._beside_tags: list[str] = []

    def _first_parts(self) -> list[str]:
        ahead = " UNION ALL ".join(self._later(source) for source in self.sources())
        return [f"later AS (SELECT row_id, MIN(wait_us) AS wait_us FROM ({ahead}) AS l GROUP BY row_id)"]

    def _grouped(self) -> list[str]:
        return list(dict.fromkeys([*self._aggregates, *self._waiting]))

    def _scanned_besides(self, source: Source) -> list[str]:
        return [] if source.superseded is None else ["r.replaced_at"]

    def _scan_bounds(self, source: Source) -> list[str]:
        limit = self._widest_window(source)
        return [] if limit is None else [f"s.{source.time} > __us_ago_{limit + _SLACK_US}__"]

    def _later(self, source: Source) -> str:
        """When each entity's next row becomes visible that is not yet: it lies ahead, or comes in later."""
        needed = {name for name in self._needed_columns(source) if source.where is not None}
        bound = f"__us_ago_{_SLACK_US}__"
        ahead = self._rows(source, needed, [f"s.{source.time} > {bound}"])
        if source.received is not None:
            coming = [f"s.{source.received} > {bound}", f"s.{source.time} <= {bound}"]
            ahead += f" UNION ALL {self._rows(source, needed, coming)}"
        visible = "GREATEST(EPOCH_US(r.event_at), EPOCH_US(r.known_at))"
        where = ["(r.event_at > e.as_of OR r.known_at > e.as_of)"]
        if source.superseded is not None:
            where.append(f"(r.replaced_at IS NULL OR EPOCH_US(r.replaced_at) > {visible})")
        if (limit := self._widest_window(source)) is not None:
            where.append(f"{visible} - EPOCH_US(r.event_at) < {limit}")
        if source.where is not None:
            where.append(f"({self._snippet(source.where)})")
        return (
            f"SELECT e.row_id, {visible} - EPOCH_US(e.as_of) AS wait_us FROM {ENTITIES} AS e "
            f"JOIN ({ahead}) AS r ON r.entity_key = e.{self._registry.id_column} "
            f"WHERE {' AND '.join(where)}"
        )

    def _measured_besides(self, rollup: Rollup) -> list[str]:
        waits = [self._sql(_grouped(wait)) for wait in self._plan.rows.get(rollup.name, [])]
        return [f"LEAST({', '.join(waits)}) AS {ROWS_WAIT}"] if waits else []

    def _layer(self, rollup: Rollup, number: int, layer: Layer) -> list[str]:
        columns = super()._layer(rollup, number, layer)
        for position, wait in enumerate(self._plan.layers.get((rollup.name, number), [])):
            tree = expressions.partitioned(_beside(wait), "row_id")
            columns.append(f"{self._sql(tree)} AS wait_{number}_{position}")
        return columns

    def _aggregated(self, relation: str) -> list[str]:
        columns = super()._aggregated(relation)
        waits = [self._sql(_grouped(wait)) for wait in self._plan.grouped.get(relation, [])]
        for (rollup, number), kept in self._plan.layers.items():
            if rollup == relation:
                waits += [f"MIN(wait_{number}_{position})" for position in range(len(kept))]
        source = self._registry.sources.get(relation)
        if source is not None and source.superseded is not None:
            waits.append("MIN(EPOCH_US(replaced_at) - EPOCH_US(as_of))")
        return [*columns, f"LEAST({', '.join(waits)}) AS wait_us"] if waits else columns

    def _joined_besides(self, batch: tuple[str, ...]) -> list[str]:
        waits = [f"agg_{relation}.wait_us" for relation in batch if relation in self._waiting]
        return [f"LEAST({', '.join(['NULL', *waits])}) AS wait_us"]

    def _base_joins(self) -> list[str]:
        return ["LEFT JOIN later ON later.row_id = e.row_id"]

    def _base_besides(self, batches: int) -> list[str]:
        waits = ["later.wait_us", *(f"joined_{number}.wait_us" for number in range(batches))]
        return [f"LEAST({', '.join(waits)}) AS wait_us"]

    def _derived(self, tag: Tag) -> list[str]:
        columns = super()._derived(tag)
        for position, wait in enumerate(self._plan.derived.get(tag.name, [])):
            name = f"wait_{tag.name}_{position}"
            columns.append(f"{self._sql(_beside(wait))} AS {name}")
            self._beside_tags.append(name)
        return columns

    def _last_columns(self) -> list[str]:
        wait = f"LEAST({', '.join(['wait_us', *self._beside_tags])})"
        return [f"MAKE_TIMESTAMP(EPOCH_US(as_of) + {wait}) AS {DUE}"]


def _beside(wait: Wait) -> exp.Expression:
    """A wait as a value of its own: null where its conditions do not hold."""
    if wait.condition is None:
        return wait.value.copy()
    return exp.Case().when(wait.condition, wait.value.copy())


def _grouped(wait: Wait) -> exp.Expression:
    """The earliest wait of an entity's rows, or the wait of its aggregates."""
    if wait.is_aggregate:
        return _beside(wait)
    earliest = exp.Min(this=wait.value.copy())
    if wait.condition is None:
        return earliest
    return exp.Filter(this=earliest, expression=exp.Where(this=wait.condition))
