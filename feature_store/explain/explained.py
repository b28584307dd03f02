"""Values of one entity at a moment with the rows that made them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb
import polars as pl

from feature_store.compiler import population_sql
from feature_store.explain.rows import CountedRows, RowsOfEntity, merged
from feature_store.language.definitions import Tag
from feature_store.offline import tags_without_source
from feature_store.point_in_time import check_tables, training_set
from feature_store.registry import Registry


@dataclass(frozen=True)
class Computed:
    """A tag computed from the rows of the store.

    Attributes:
        is_known: False when it compares entities and was not computed, because that takes everybody's rows.
        value: The value; None where there is none.
        has_source: Whether every source of it has reported something by the moment.
        inputs: Values of the tags that it is derived from, as far as they were computed.
        parts: The rows that it, or the tags below it, were made of.
    """

    is_known: bool
    value: Any
    has_source: bool
    inputs: dict[str, Any]
    parts: tuple[CountedRows, ...]


def is_member(
    connection: duckdb.DuckDBPyConnection, registry: Registry, entity_id: str, as_of: datetime
) -> bool:
    """Whether an entity belongs to the population at a moment.

    Args:
        connection: Sees the source tables.
        registry: The registry of the entity.
        entity_id: Whom to look for; ids are compared exactly.
        as_of: The moment, timezone-aware.
    """
    check_tables(connection, registry.population_sources())
    found = connection.execute(
        f"SELECT 1 FROM ({population_sql(registry)}) WHERE {registry.id_column} = $id LIMIT 1",
        {"id": entity_id, "as_of": _naive(as_of)},
    )
    return found.fetchone() is not None


def compute(
    connection: duckdb.DuckDBPyConnection,
    registry: Registry,
    tags: Sequence[Tag],
    *,
    entity_id: str,
    as_of: datetime,
    time_zone: str,
    rows: int | None,
    compare: bool,
    hidden: Collection[str] = (),
) -> dict[str, Computed]:
    """Tags of one entity at a moment, each with the rows behind it.

    Args:
        connection: Sees the source tables; read-only is enough.
        registry: The registry of the entity.
        tags: The tags.
        entity_id: Whose tags.
        as_of: The moment, timezone-aware.
        time_zone: IANA zone of local hours and days.
        rows: Most rows listed of each relation; None lists all.
        compare: Also compute tags that compare entities, which takes the rows of all of them.
        hidden: Tags of which neither value nor rows may be told, also where another is derived from them.

    Returns:
        By name, in the order asked.

    Raises:
        SourceTableError: A source table is missing or lacks a column.
    """
    check_tables(connection, list(registry.sources.values()))
    closure = [tag for tag in registry.closure(tags) if tag.name not in hidden]
    asked = [tag for tag in closure if compare or not registry.is_population_relative(tag)]
    values = _values(connection, registry, asked, entity_id, as_of, time_zone)
    silent = set(tags_without_source(connection, as_of, registry=registry))
    computed = {}
    with RowsOfEntity(
        connection, registry, closure, entity_id=entity_id, as_of=_naive(as_of), time_zone=time_zone
    ) as of_entity:
        for tag in (tag for tag in tags if tag.name not in hidden):
            below = [part for part in registry.closure([tag]) if part.name not in hidden]
            computed[tag.name] = Computed(
                is_known=tag.name in values,
                value=values.get(tag.name),
                has_source=tag.name not in silent,
                inputs={name: values[name] for name in sorted(tag.inputs) if name in values},
                parts=merged(part for one in below for part in of_entity.counted(one, rows)),
            )
    return computed


def _values(
    connection: duckdb.DuckDBPyConnection,
    registry: Registry,
    tags: Iterable[Tag],
    entity_id: str,
    as_of: datetime,
    time_zone: str,
) -> dict[str, Any]:
    names = [tag.name for tag in tags]
    if not names:
        return {}
    row = pl.DataFrame(
        {registry.id_column: [entity_id], "as_of": [as_of.astimezone(UTC)]},
        schema={registry.id_column: pl.String, "as_of": pl.Datetime("us", "UTC")},
    )
    frame = training_set(connection, row, names, time_zone=time_zone, registry=registry)
    return frame.select(names).row(0, named=True)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
