"""The batch side: the tag table at a moment, its validation, and the profile documents to publish."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb
import polars as pl

from feature_store.contracts import TagType
from feature_store.errors import EntityFrameError
from feature_store.language.definitions import Tag
from feature_store.point_in_time import check_tables, population_at, training_set
from feature_store.predicted import silent
from feature_store.registry import Registry, load_registry

_POLARS_TYPES: dict[TagType, pl.DataType] = {
    TagType.INT: pl.Int64(),
    TagType.DECIMAL: pl.Float64(),
    TagType.BOOL: pl.Boolean(),
    TagType.ENUM: pl.String(),
    TagType.TEXT: pl.String(),
    TagType.DATE: pl.Date(),
}

BUILD_JOINED_ROWS = 24_000_000
"""A whole table is computed in chunks of about this many source rows: each chunk scans the sources again."""


@dataclass(frozen=True)
class TagViolation:
    """A tag whose values break a rule of the registry.

    Attributes:
        tag: Name of the tag.
        rule: The rule in words, with its bound.
        rows: How many rows break it.
        entity_id: One of them (the smallest id), if the rule is about rows.
        value: That entity's value, as text.
    """

    tag: str
    rule: str
    rows: int
    entity_id: str | None = None
    value: str | None = None


def build_tags(
    con: duckdb.DuckDBPyConnection,
    as_of: datetime,
    tags: Iterable[str] | None = None,
    ids: Iterable[str] | None = None,
    *,
    time_zone: str = "UTC",
    registry: Registry | None = None,
) -> pl.DataFrame:
    """The tag table at a moment: one row an entity, sorted by its id.

    Tags that compare nobody are computed in chunks of entities, the others in one statement of their own.

    Args:
        con: A connection that sees the source tables (read-only is enough).
        as_of: The moment, timezone-aware.
        tags: Names of the tags; all by default.
        ids: Ids of entities; everybody known at `as_of` by default.
        time_zone: IANA zone of local hours and days.
        registry: The registry; the packaged one by default.

    Returns:
        The registry's id column, such as `consumer_id`, `as_of` (`Datetime('us', 'UTC')`) and one column a
        tag; money in minor units.

    Raises:
        EntityFrameError: `as_of` carries no time zone.
        SourceTableError: A source table is missing or lacks a column.
        UnknownTagError: A tag is not in the registry.
    """
    registry = registry or load_registry()
    if as_of.tzinfo is None:
        raise EntityFrameError(f"as_of must carry a time zone, got {as_of!r}.")
    moment = pl.Series([as_of]).dt.convert_time_zone("UTC").cast(pl.Datetime("us", "UTC"))
    if ids is None:
        check_tables(con, registry.population_sources())
        ids = population_at(con, registry, moment.dt.replace_time_zone(None)[0])
    return training_set(
        con,
        _entities(registry, sorted(set(ids)), moment),
        tags,
        time_zone=time_zone,
        registry=registry,
        max_joined_rows=BUILD_JOINED_ROWS,
    )


def _entities(registry: Registry, ids: list[str], moment: pl.Series) -> pl.DataFrame:
    name = registry.id_column
    return pl.DataFrame({name: ids}, schema={name: pl.String}).with_columns(
        pl.lit(moment[0], dtype=pl.Datetime("us", "UTC")).alias("as_of")
    )


def validate_tags(frame: pl.DataFrame, registry: Registry | None = None) -> list[TagViolation]:
    """What in a tag table breaks the registry's types, ranges, allowed values and null rules.

    Args:
        frame: A table of `build_tags` or `training_set`; tags that it lacks are not judged.
        registry: The registry; the packaged one by default.

    Returns:
        Violations in registry order; empty when the table is good.
    """
    registry = registry or load_registry()
    violations: list[TagViolation] = []
    for tag in registry.tags.values():
        if tag.name not in frame.columns:
            continue
        expected = _POLARS_TYPES[tag.type]
        if frame.schema[tag.name] != expected:
            rule = f"type must be {expected}, not {frame.schema[tag.name]}"
            violations.append(TagViolation(tag.name, rule, frame.height))
            continue
        for rule, broken in _rules(tag):
            bad = frame.filter(broken).sort(registry.id_column)
            if bad.height:
                value = bad[tag.name][0]
                text = None if value is None else str(value)
                violations.append(TagViolation(tag.name, rule, bad.height, bad[registry.id_column][0], text))
    return violations


def _rules(tag: Tag) -> list[tuple[str, pl.Expr]]:
    """Each rule in words with the expression that is true where it is broken."""
    value, valid = pl.col(tag.name), tag.valid
    rules: list[tuple[str, pl.Expr]] = []
    if tag.type is TagType.DECIMAL:
        rules.append(("must be finite", ~value.is_finite()))
    if valid.min is not None:
        rules.append((f"must be at least {valid.min:g}", value < valid.min))
    if valid.max is not None:
        rules.append((f"must be at most {valid.max:g}", value > valid.max))
    if valid.values is not None:
        rules.append((f"must be one of {', '.join(valid.values)}", ~value.is_in(list(valid.values))))
    if valid.pattern is not None:
        rules.append((f"must match {valid.pattern}", ~value.str.contains(f"^(?:{valid.pattern})$")))
    return rules


def tags_without_source(
    con: duckdb.DuckDBPyConnection, as_of: datetime, *, registry: Registry | None = None
) -> list[str]:
    """Tags of which some source had never reported anything by a moment: they say nothing about anybody.

    Args:
        con: A connection that sees the source tables.
        as_of: The moment, timezone-aware.
        registry: The registry; the packaged one by default.

    Returns:
        Names in registry order.
    """
    registry = registry or load_registry()
    silent: set[str] = set()
    for source in registry.sources.values():
        received = source.received or source.time
        reported = con.execute(
            f"SELECT 1 FROM {source.table}"
            f" WHERE GREATEST(EPOCH_US({source.time}), EPOCH_US({received})) <= ? LIMIT 1",
            [_microseconds(as_of)],
        ).fetchone()
        if reported is None:
            silent.add(source.name)
    return [
        tag.name
        for tag in registry.tags.values()
        if any(source.name in silent for source in registry.base_sources(tag))
    ]


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def profile_documents(
    frame: pl.DataFrame,
    registry: Registry | None = None,
    *,
    without_source: Iterable[str] = (),
    predicted: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The table of profiles to publish: one JSON document an entity.

    Args:
        frame: A table of `build_tags`, with any set of tags.
        registry: The registry; the packaged one by default.
        without_source: Tags of `tags_without_source`; they are left out of the documents, and a reader tells
            them as `no_source`.
        predicted: What models said of consumers (columns of `feature_store.predicted.SCHEMA`); whoever it
            lacks has nulls, and tags of a model that does not serve are told as `no_source`.

    Returns:
        The id column, `tags` (JSON text, tag name to value, nulls kept), `schema_fingerprint` (of exactly
        the tags in the frame and the predicted ones), `as_of`; sorted by id.

    Raises:
        UnknownTagError: A column is not a tag of the registry.
    """
    registry = registry or load_registry()
    silent_tags = set(without_source)
    if predicted is not None:
        frame = frame.join(predicted, on=registry.id_column, how="left")
        silent_tags |= set(silent(predicted))
    names = [name for name in frame.columns if name not in (registry.id_column, "as_of")]
    fingerprint = registry.profile_schema(names).fingerprint
    told = [name for name in names if name not in silent_tags]
    documents = (pl.struct(told).struct.json_encode() if told else pl.lit("{}")).alias("tags")
    return frame.sort(registry.id_column).select(
        registry.id_column,
        documents,
        pl.lit(fingerprint).alias("schema_fingerprint"),
        "as_of",
    )
