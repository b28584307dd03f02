"""The segments of the registry: reading and checking `segments.yaml`."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from feature_store import expressions
from feature_store.definitions import Name, RowExpression
from feature_store.errors import RegistryError
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


def load_segments(registry: Registry, text: str | None = None) -> list[Segment]:
    """The segments, each checked against the tags it reads.

    Args:
        registry: The tags of consumers.
        text: YAML instead of the packaged file.

    Raises:
        RegistryError: An entry is not valid, a name stands twice, or a condition reads what is no tag.
    """
    if text is None:
        text = files("feature_store").joinpath("segments", SEGMENTS_FILE).read_text(encoding="utf-8")
    problems: list[str] = []
    segments: list[Segment] = []
    for position, entry in enumerate((yaml.safe_load(text) or {}).get("segments") or []):
        name = (
            entry.get("name", f"segments[{position}]") if isinstance(entry, dict) else f"segments[{position}]"
        )
        try:
            segment = Segment.model_validate(entry)
        except ValidationError as error:
            problems += [
                f"{SEGMENTS_FILE}: {name}.{'.'.join(map(str, detail['loc']))}: {detail['msg']}"
                for detail in error.errors()
            ]
            continue
        problems += [f"{SEGMENTS_FILE}: {name}.where: {problem}" for problem in _unknown(registry, segment)]
        if segment.name in {other.name for other in segments}:
            problems.append(f"{SEGMENTS_FILE}: {name}.name: defined twice")
        segments.append(segment)
    if problems:
        raise RegistryError(problems)
    return segments


def _unknown(registry: Registry, segment: Segment) -> list[str]:
    tree = expressions.parse(segment.where)
    unread = expressions.columns_of(tree) - registry.tags.keys()
    unset = expressions.placeholders_of(tree) - registry.parameters.keys()
    return [f"unknown tag {name!r}" for name in sorted(unread)] + [
        f"unknown parameter {name!r}" for name in sorted(unset)
    ]
