"""The segments of the registry: reading and checking `segments.yaml`."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated, Any, Literal

import duckdb
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from feature_store.compiler import SQL_TYPES
from feature_store.errors import RegistryError
from feature_store.language import expressions
from feature_store.language.definitions import Name, RowExpression
from feature_store.registry import Registry

SEGMENTS_FILE = "segments.yaml"


class Segment(BaseModel):
    """A named group of consumers.

    Attributes:
        name: What readers call it.
        where: The condition over tags; who has no value for it is no member.
        purpose: What the group may be used for.
        description: What it means, for people.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    where: RowExpression
    purpose: Literal["service", "marketing", "profiling"]
    description: Annotated[str, Field(min_length=1)]


def load_segments(
    registry: Registry, text: str | None = None, *, file: str = SEGMENTS_FILE, time_zone: str = "UTC"
) -> list[Segment]:
    """The segments, each checked against the tags it reads.

    Args:
        registry: The tags of consumers.
        text: YAML instead of the packaged file.
        file: What the messages call it.
        time_zone: IANA zone of local times.

    Raises:
        RegistryError: The text is no YAML of segments, an entry is not valid, a name stands twice, or a
            condition reads what is no tag or is no condition.
    """
    if text is None:
        text = files("feature_store").joinpath("segments", SEGMENTS_FILE).read_text(encoding="utf-8")
    problems: list[str] = []
    segments: list[Segment] = []
    for position, entry in enumerate(_entries(text, file)):
        name = f"segments[{position}]"
        name = entry.get("name", name) if isinstance(entry, dict) else name
        try:
            segment = Segment.model_validate(entry)
        except ValidationError as error:
            problems += [
                f"{name}.{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors()
            ]
            continue
        found = _unknown(registry, segment) or _no_condition(registry, segment, time_zone)
        problems += [f"{name}.where: {problem}" for problem in found]
        if segment.name in {other.name for other in segments}:
            problems.append(f"{name}.name: defined twice")
        segments.append(segment)
    if problems:
        raise RegistryError(problems, of=file)
    return segments


def condition_sql(registry: Registry, segment: Segment, time_zone: str) -> str:
    """The condition in plain DuckDB SQL over columns named like the tags."""
    parameters = {name: p.value for name, p in registry.parameters.items()}
    tree = expressions.expanded(expressions.parse(segment.where), parameters, time_zone)
    return tree.sql(dialect="duckdb")


def _entries(text: str, file: str) -> list[Any]:
    try:
        document = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise RegistryError([f"not valid YAML: {error}"], of=file) from error
    entries = document.get("segments") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries:
        raise RegistryError(
            [
                "expected `segments:` with a list of entries, each with name, where, purpose and "
                "description; docs/features.md shows one"
            ],
            of=file,
        )
    return entries


def _unknown(registry: Registry, segment: Segment) -> list[str]:
    tree = expressions.parse(segment.where)
    unread = expressions.columns_of(tree) - registry.tags.keys()
    unset = expressions.placeholders_of(tree) - registry.parameters.keys()
    known = ", ".join(sorted(registry.parameters))
    return [
        f"unknown tag {name!r}{registry.nearest(name)}; docs/tags.md lists all" for name in sorted(unread)
    ] + [f"unknown parameter {name!r}; the parameters are {known}" for name in sorted(unset)]


def _no_condition(registry: Registry, segment: Segment, time_zone: str) -> list[str]:
    """What the engine says of a condition over one row without values: wrong types, no yes or no."""
    names = sorted(expressions.columns_of(expressions.parse(segment.where)))
    columns = ", ".join(f"CAST(NULL AS {SQL_TYPES[registry.tag(name).type]}) AS {name}" for name in names)
    tags = f"(SELECT {columns or 'NULL'})"
    types = ", ".join(f"{name} is {registry.tag(name).type.value}" for name in names)
    try:
        with duckdb.connect() as connection:
            condition = condition_sql(registry, segment, time_zone)
            told = connection.execute(
                f"SELECT TYPEOF(is_member), is_member FROM (SELECT {condition} AS is_member FROM {tags})"
            ).fetchone()
    except duckdb.Error as error:
        return [f"{segment.where!r} cannot be computed: {str(error).splitlines()[0]} ({types})"]
    kind = told[0] if told is not None else "nothing"
    return (
        [] if kind == "BOOLEAN" else [f"{segment.where!r} is {kind}, not a yes or no; compare it ({types})"]
    )
