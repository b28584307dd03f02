"""What a missing table costs: tags without values, publications without rows, and what else is weaker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

from feature_store.registry import load_registry
from pipelines.messages import Texts


@dataclass(frozen=True)
class Cost:
    """What one missing table costs.

    Attributes:
        table: Contract table that is not there.
        tags: Tags that stay null.
        publications: Published tables that stay without rows.
        says: What else is weaker, in the language asked for; empty if nothing.
    """

    table: str
    tags: tuple[str, ...]
    publications: tuple[str, ...]
    says: str


def price_list() -> dict[str, dict[str, Any]]:
    """The list of costs by table, as it is shipped."""
    text = files("pipelines.check_data").joinpath("costs.yaml").read_text(encoding="utf-8")
    content: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return content


def costs_of(missing: Iterable[str], texts: Texts) -> tuple[Cost, ...]:
    """The costs of some missing tables; a table that costs nothing is left out.

    Args:
        missing: Contract tables.
        texts: The language of what has no name in the registry (group `missing` of the messages).
    """
    registry = load_registry()
    listed = price_list()
    says = texts.group("missing")
    found = []
    for table in missing:
        if table not in listed:
            continue
        said = listed[table] or {}
        sources = set(said.get("sources", ()))
        tags = tuple(
            tag.name
            for tag in registry.tags.values()
            if sources & {source.name for source in registry.base_sources(tag)}
        )
        found.append(Cost(table, tags, tuple(said.get("publications", ())), says.get(table, "")))
    return tuple(found)
