"""A tag's definition in the words of the registry: expression, source, window, null rule."""

from __future__ import annotations

from dataclasses import dataclass

from feature_store.language.definitions import Tag
from feature_store.registry import Registry


@dataclass(frozen=True)
class DefinitionText:
    """How a tag is computed.

    Attributes:
        expression: The aggregate, or the expression over other tags.
        over: The source or rollup that is aggregated; empty for a derived tag.
        where: Which rows count; empty when all do.
        tables: Warehouse tables that are finally read.
        inputs: Tags that it is derived from.
        compares: Whether its value also depends on other entities.
    """

    expression: str
    over: str
    where: str
    tables: tuple[str, ...]
    inputs: tuple[str, ...]
    compares: bool


def definition_of(registry: Registry, tag: Tag) -> DefinitionText:
    """The definition of a tag as text."""
    definition = tag.definition
    return DefinitionText(
        expression=definition.value or definition.derived or definition.population or "",
        over=definition.source or "",
        where=definition.where or "",
        tables=tuple(dict.fromkeys(source.table for source in registry.base_sources(tag))),
        inputs=tuple(sorted(tag.inputs & registry.tags.keys())),
        compares=registry.is_population_relative(tag),
    )
