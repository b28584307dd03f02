"""Who is in which segment: members at a moment, edges since the last time, overlaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

import duckdb
import polars as pl

from feature_store.errors import SegmentError
from feature_store.registry import Registry
from feature_store.segments.definitions import Segment, condition_sql

KEPT_DAYS = 28
"""For how many days those who left are told."""

MEMBERS = {"segment": pl.String, "consumer_id": pl.String, "entered_on": pl.Date, "left_on": pl.Date}


def members(
    tags: pl.DataFrame, registry: Registry, segments: Iterable[Segment], *, time_zone: str = "UTC"
) -> pl.DataFrame:
    """The members of each segment: `segment`, `consumer_id`, sorted.

    Args:
        tags: A tag table of consumers with the tags that the conditions read.
        registry: The registry of the tags; its parameters may stand in conditions.
        segments: The segments.
        time_zone: IANA zone of local times.

    Raises:
        SegmentError: A condition cannot be computed over these values.
    """
    found = [pl.DataFrame(schema={"segment": pl.String, "consumer_id": pl.String})]
    with duckdb.connect() as connection:
        connection.register("tags", tags)
        for segment in segments:
            condition = condition_sql(registry, segment, time_zone)
            try:
                rows = connection.execute(
                    f"SELECT ? AS segment, consumer_id FROM tags WHERE {condition}", [segment.name]
                ).pl()
            except duckdb.Error as error:
                raise SegmentError(
                    f"Segment {segment.name!r}: {segment.where!r} cannot be computed: "
                    f"{str(error).splitlines()[0]}. Compare a tag with values of its own type (docs/tags.md)."
                ) from error
            found.append(rows.cast({"segment": pl.String, "consumer_id": pl.String}))
    return pl.concat(found).sort("segment", "consumer_id")


def with_edges(now: pl.DataFrame, before: pl.DataFrame | None, today: date) -> pl.DataFrame:
    """Members with the day they entered, and those who left within `KEPT_DAYS` days.

    A consumer who stays keeps the day of entry; one who comes back enters anew. The same members on the same
    day give the same rows.

    Args:
        now: `segment`, `consumer_id` of today.
        before: What this function gave the last time; None the first time.
        today: The local day.

    Returns:
        `segment`, `consumer_id`, `entered_on`, `left_on` (null for members), sorted by the first two.
    """
    key = ["segment", "consumer_id"]
    before = pl.DataFrame(schema=MEMBERS) if before is None else before.select(*MEMBERS)
    stayed = before.filter(pl.col("left_on").is_null()).select(*key, "entered_on")
    inside = now.join(stayed, on=key, how="left").with_columns(
        pl.col("entered_on").fill_null(today), pl.lit(None, dtype=pl.Date).alias("left_on")
    )
    outside = (
        before.join(now, on=key, how="anti")
        .with_columns(pl.col("left_on").fill_null(today))
        .filter(pl.col("left_on") > today - timedelta(days=KEPT_DAYS))
    )
    return pl.concat([inside.select(*MEMBERS), outside.select(*MEMBERS)]).sort(key)


def sizes(now: pl.DataFrame, segments: Sequence[Segment]) -> pl.DataFrame:
    """`segment`, `description`, `member_count` of every segment, also of empty ones, by name."""
    counted = now.group_by("segment").agg(pl.len().cast(pl.Int64).alias("member_count"))
    named = pl.DataFrame(
        [(segment.name, segment.description) for segment in segments],
        schema={"segment": pl.String, "description": pl.String},
        orient="row",
    )
    joined = named.join(counted, on="segment", how="left")
    return joined.with_columns(pl.col("member_count").fill_null(0)).sort("segment")


def overlaps(now: pl.DataFrame) -> pl.DataFrame:
    """Pairs with common members: `segment`, `other`, `common`, and the `share` of `segment` that they are."""
    pairs = now.join(now.rename({"segment": "other"}), on="consumer_id")
    common = pairs.group_by("segment", "other").agg(pl.len().alias("common"))
    total = now.group_by("segment").agg(pl.len().alias("members"))
    return (
        common.filter(pl.col("segment") != pl.col("other"))
        .join(total, on="segment")
        .select("segment", "other", "common", (pl.col("common") / pl.col("members")).alias("share"))
        .sort("segment", "other")
    )
