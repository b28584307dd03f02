"""Checking tags that were worked out by hand."""

from __future__ import annotations

from typing import Any

from benchmarks.tags.tag_oracle.compare import differences, row_of
from benchmarks.tags.tag_oracle.world import NOW, ZONE, World
from feature_store.offline import build_tags


def tags_of(world: World, consumer: str, names: list[str] | None = None) -> dict[str, Any]:
    """A consumer's tags at NOW."""
    return row_of(build_tags(world.connect(), NOW, names, time_zone=ZONE), consumer)


def check(world: World, consumer: str, expected: dict[str, Any]) -> None:
    """The tags of a consumer are as expected."""
    found = differences(tags_of(world, consumer, list(expected)), expected)
    assert found == {}
