"""Segments: conditions over tags, their members, and who entered and left."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from feature_store.errors import RegistryError, SegmentError
from feature_store.registry import Registry
from feature_store.segments.definitions import load_segments
from feature_store.segments.members import KEPT_DAYS, members, overlaps, sizes, with_edges
from feature_store.segments.preview import Overlap, preview

TODAY = date(2017, 12, 1)

TEXT = """
segments:
  - {name: buyers, where: orders_30d > 0, purpose: service, description: Bought lately.}
  - {name: rich, where: 'net_spend_365d > :high_value_minor', purpose: marketing, description: Spent a lot.}
  - {name: nobody, where: orders_30d > 99, purpose: service, description: None of them.}
"""

TAGS = pl.DataFrame(
    {
        "consumer_id": ["a", "b", "c", "d"],
        "orders_30d": [1, 2, 0, None],
        "net_spend_365d": [500_000, 500_001, 900_000, None],
    }
)


def test_members_sizes_and_overlaps(registry: Registry) -> None:
    segments = load_segments(registry, TEXT)
    now = members(TAGS, registry, segments)
    assert now.rows() == [("buyers", "a"), ("buyers", "b"), ("rich", "b"), ("rich", "c")]
    assert sizes(now, segments).select("segment", "member_count").rows() == [
        ("buyers", 2),
        ("nobody", 0),
        ("rich", 2),
    ]
    assert overlaps(now).rows() == [("buyers", "rich", 1, 0.5), ("rich", "buyers", 1, 0.5)]


def on(day: int) -> date:
    return TODAY + timedelta(days=day)


def group(*consumers: str) -> pl.DataFrame:
    rows = [("buyers", consumer) for consumer in consumers]
    return pl.DataFrame(rows, schema={"segment": pl.String, "consumer_id": pl.String}, orient="row")


def test_edges_are_told_for_a_while() -> None:
    first = with_edges(group("a", "b"), None, on(0))
    second = with_edges(group("b", "c"), first, on(1))
    assert second.rows() == [
        ("buyers", "a", on(0), on(1)),
        ("buyers", "b", on(0), None),
        ("buyers", "c", on(1), None),
    ]
    assert with_edges(group("b", "c"), second, on(1)).equals(second)
    back = with_edges(group("a", "b", "c"), second, on(2))
    assert back.rows()[0] == ("buyers", "a", on(2), None)
    assert with_edges(group("b", "c"), second, on(KEPT_DAYS))["consumer_id"].to_list() == ["a", "b", "c"]
    assert with_edges(group("b", "c"), second, on(KEPT_DAYS + 1))["consumer_id"].to_list() == ["b", "c"]
    assert with_edges(group(), second, on(1)).filter(pl.col("left_on").is_null()).is_empty()


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("{name: x, where: no_such_tag > 0, purpose: service, description: d}", "unknown tag 'no_such_tag'"),
        (
            "{name: x, where: 'orders_30d > :none', purpose: service, description: d}",
            "unknown parameter 'none'",
        ),
        ("{name: x, where: orders_30 > 0, purpose: service, description: d}", "nearest is 'orders_30d'"),
        ("{name: x, where: orders_30d + 1, purpose: service, description: d}", "BIGINT, not a yes or no"),
        ("{name: x, where: \"orders_30d > 'a'\", purpose: service, description: d}", "orders_30d is int"),
        ("{name: x, where: 'orders_30d >', purpose: service, description: d}", "not a SQL expression"),
        ("{name: x, where: 'SUM(orders_30d) > 0', purpose: service, description: d}", "without aggregates"),
        ("{name: x, where: orders_30d > 0, purpose: fun, description: d}", "purpose"),
        ("{name: buyers, where: orders_30d > 0, purpose: service, description: d}", "defined twice"),
    ],
)
def test_what_is_no_segment_is_refused(registry: Registry, entry: str, problem: str) -> None:
    with pytest.raises(RegistryError, match=problem):
        load_segments(registry, f"{TEXT}  - {entry}\n")


@pytest.mark.parametrize("text", ["", "segments: []", "segments: 3", "[1]", "segments: [", "other: [1]"])
def test_a_file_without_segments_is_told_so(registry: Registry, text: str) -> None:
    with pytest.raises(RegistryError, match=r"mine\.yaml has 1 problem"):
        load_segments(registry, text, file="mine.yaml")


def test_a_condition_that_fails_on_the_values_names_its_segment(registry: Registry) -> None:
    (segment,) = load_segments(
        registry,
        "segments: [{name: x, where: 'CAST(top_category_l1_90d AS INTEGER) > 1', purpose: service,"
        " description: d}]",
    )
    tags = pl.DataFrame({"consumer_id": ["a"], "top_category_l1_90d": ["bread"]})
    with pytest.raises(SegmentError, match="Segment 'x'"):
        members(tags, registry, [segment])


def test_a_preview_tells_size_overlaps_and_movement(registry: Registry) -> None:
    defined = load_segments(registry, TEXT)
    wider = load_segments(
        registry,
        "segments: [{name: rich, where: net_spend_365d >= 500000, purpose: service, description: d}]",
    )
    published = pl.DataFrame({"segment": ["rich", "rich"], "consumer_id": ["c", "z"]})
    (one,) = preview(
        TAGS, registry, wider, others=defined, published=published, published_names=["rich", "buyers"]
    )
    assert (one.members, one.consumers, one.share) == (("a", "b", "c"), 4, 0.75)
    assert (one.entered, one.left) == (("a", "b"), ("z",))
    assert one.overlaps == (Overlap("buyers", 2, 2 / 3, 1.0),)
    (new,) = preview(TAGS, registry, wider, others=defined, published=published, published_names=[])
    assert (new.entered, new.left) == (None, None)
    (empty,) = preview(TAGS, registry, [defined[2]], published=published, published_names=["nobody"])
    assert (empty.members, empty.entered, empty.left, empty.overlaps) == ((), (), (), ())


def test_the_packaged_segments_read_tags_that_exist(registry: Registry) -> None:
    assert len(load_segments(registry)) >= 5


def test_members_near_the_next_level_and_at_risk(registry: Registry) -> None:
    near_and_at_risk = [
        one for one in load_segments(registry) if one.name in ("near_next_level", "level_at_risk")
    ]
    tags = pl.DataFrame(
        {
            "consumer_id": ["near", "far", "there", "top", "nobody", "falling"],
            "growth_value": [450, 449, 500, 9_000, None, 100],
            "growth_to_next_level": [50, 51, 0, None, None, 400],
            "is_level_at_risk": [False, False, False, False, False, True],
        }
    )
    found = members(tags, registry, near_and_at_risk)
    assert found.rows() == [("level_at_risk", "falling"), ("near_next_level", "near")]
