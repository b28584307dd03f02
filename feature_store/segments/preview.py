"""What a segment would be, before anybody publishes it: size, overlaps, who would enter and leave."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import polars as pl

from feature_store.registry import Registry
from feature_store.segments.definitions import Segment
from feature_store.segments.members import members, overlaps


@dataclass(frozen=True)
class Overlap:
    """What a segment has in common with another one.

    Attributes:
        other: Name of the other segment.
        common: Members of both.
        share: Part of this segment that they are, 0 to 1.
        share_of_other: Part of the other one that they are.
    """

    other: str
    common: int
    share: float
    share_of_other: float


@dataclass(frozen=True)
class Preview:
    """A segment over a tag table.

    Attributes:
        segment: The segment.
        consumers: Consumers in the table.
        members: Ids of its members, sorted.
        entered: Members who are not in the published one of this name; None where there is none.
        left: Members of the published one who are in it no more; None where there is none.
        overlaps: Other segments with common members, the largest overlap first.
    """

    segment: Segment
    consumers: int
    members: tuple[str, ...]
    entered: tuple[str, ...] | None
    left: tuple[str, ...] | None
    overlaps: tuple[Overlap, ...]

    @property
    def share(self) -> float:
        """Members over consumers, 0 to 1."""
        return len(self.members) / self.consumers if self.consumers else 0.0


def preview(
    tags: pl.DataFrame,
    registry: Registry,
    segments: Sequence[Segment],
    *,
    others: Sequence[Segment] = (),
    published: pl.DataFrame | None = None,
    published_names: Collection[str] = (),
    time_zone: str = "UTC",
) -> list[Preview]:
    """What some segments would be.

    Args:
        tags: The tag table of consumers.
        registry: The registry of consumers.
        segments: What to look at.
        others: Segments to overlap with; one of the same name is left out.
        published: `segment`, `consumer_id` of the published members.
        published_names: Segments that the published version knows, also those without a member.
        time_zone: IANA zone of local times.

    Raises:
        SegmentError: A condition cannot be computed over these values.
    """
    names = {segment.name for segment in segments}
    existing = [other for other in others if other.name not in names]
    now = members(tags, registry, [*segments, *existing], time_zone=time_zone)
    shared = overlaps(now)
    return [
        _one(segment, tags.height, now, shared, published if segment.name in published_names else None)
        for segment in segments
    ]


def _one(
    segment: Segment, consumers: int, now: pl.DataFrame, shared: pl.DataFrame, published: pl.DataFrame | None
) -> Preview:
    inside = _ids(now, segment.name)
    before = None if published is None else set(_ids(published, segment.name))
    common = shared.filter(segment=segment.name).sort(["common", "other"], descending=[True, False])
    of_other = {row["segment"]: row["share"] for row in shared.filter(other=segment.name).rows(named=True)}
    return Preview(
        segment=segment,
        consumers=consumers,
        members=tuple(inside),
        entered=None if before is None else tuple(one for one in inside if one not in before),
        left=None if before is None else tuple(sorted(before - set(inside))),
        overlaps=tuple(
            Overlap(row["other"], row["common"], row["share"], of_other[row["other"]])
            for row in common.rows(named=True)
        ),
    )


def _ids(members_of: pl.DataFrame, name: str) -> list[str]:
    return sorted(members_of.filter(pl.col("segment") == name)["consumer_id"].to_list())
