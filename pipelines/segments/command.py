"""`muyun segments preview`: what a segment would be over the tags of today; nothing is published."""

from __future__ import annotations

import difflib
import json as json_text
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from feature_store.registry import Registry, load_registry
from feature_store.segments.definitions import Segment, load_segments
from feature_store.segments.preview import Preview, preview
from pipelines.lake.tables import Lake, LakeError
from pipelines.messages import Texts
from pipelines.settings import Settings
from serving.consumers.erased import consumer_digest, erased_digests
from serving.db.connect import database_url
from serving.errors import ServingError
from serving.scores import loader
from serving.scores.connection import connection_to
from serving.settings import Settings as ServingSettings

SHOWN = 20
"""Ids that are printed; the JSON document has all of them."""


class PreviewError(ServingError):
    """There is nothing to preview; the message says why and what to do."""


@dataclass(frozen=True)
class Previewed:
    """Previews and what they rest on.

    Attributes:
        previews: One a segment.
        as_of: The moment of the tags (UTC).
        version: The publication they are compared with; empty when there is none.
        withdrawn: Consumers who withdrew a consent: counted, not named.
    """

    previews: tuple[Preview, ...]
    as_of: datetime
    version: str
    withdrawn: frozenset[str]


def preview_segments(settings: Settings, what: str, *, json: bool) -> str:
    """The preview as text or JSON; the database runs. See `previewed`."""
    found = previewed(settings, what, database_url(ServingSettings()))
    return as_json(found) if json else as_text(found, Texts(settings.lang))


def previewed(settings: Settings, what: str, url: str) -> Previewed:
    """Segments of a file, or one by its name, over the tags of the last build.

    Args:
        settings: The installation's settings.
        what: A YAML file of segments, or the name of a shipped segment.
        url: The serving database.

    Raises:
        PreviewError: There is no such file or segment, or tags were not built yet.
        RegistryError: A segment reads what is no tag, or its condition is none.
        SegmentError: A condition cannot be computed over the values.
        DatabaseUnavailableError: The database does not answer.
    """
    registry = load_registry()
    existing = load_segments(registry, time_zone=settings.zone)
    asked = _asked(registry, existing, what, settings.zone)
    lake = Lake(settings.lake_dir)
    try:
        tags = lake.get("features/consumer_tags")
    except LakeError as error:
        raise PreviewError("the tags of consumers were not built yet; run `make run` once") from error
    moment = tags["as_of"].max()
    if not isinstance(moment, datetime):
        raise PreviewError("the table of tags has no consumer; run `make run` on data with consumers")
    erased, withdrawn = _decisions(url, settings.tenant)
    version = loader.current(url, tenant_id=settings.tenant)
    published, names = _published(lake, version.version) if version is not None else (None, frozenset())
    found = preview(
        _without(tags, erased, settings.tenant),
        registry,
        asked,
        others=existing,
        published=None if published is None else _without(published, erased, settings.tenant),
        published_names=names,
        time_zone=settings.zone,
    )
    return Previewed(
        tuple(found), moment.astimezone(UTC), version.version if version is not None else "", withdrawn
    )


def _asked(registry: Registry, existing: list[Segment], what: str, time_zone: str) -> list[Segment]:
    file = Path(what)
    if file.suffix in (".yaml", ".yml") or file.is_file():
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PreviewError(f"{what} cannot be read: {error}") from error
        return load_segments(registry, text, file=file.name, time_zone=time_zone)
    named = {segment.name: segment for segment in existing}
    if what not in named:
        near = difflib.get_close_matches(what, named, n=1, cutoff=0.0)
        raise PreviewError(
            f"there is no segment {what!r}; the nearest is {near[0]!r}. Name one of {', '.join(named)}, or a "
            "YAML file of segments"
        )
    return [named[what]]


def _decisions(url: str, tenant_id: str) -> tuple[frozenset[str], frozenset[str]]:
    """Digests of erased people, and consumers who withdrew a consent that contact needs."""
    with connection_to(url) as connection:
        rows = connection.execute(
            "select distinct consumer_id from consumers.standing_consent"
            " where tenant_id = %s and purpose in ('marketing', 'profiling') and not granted",
            (tenant_id,),
        ).fetchall()
        return erased_digests(connection, tenant_id), frozenset(row[0] for row in rows)


def _without(rows: pl.DataFrame, erased: frozenset[str], tenant_id: str) -> pl.DataFrame:
    """Rows with a `consumer_id` without those of erased people."""
    if not erased:
        return rows
    gone = [one for one in rows["consumer_id"].unique() if consumer_digest(tenant_id, one) in erased]
    return rows.filter(~pl.col("consumer_id").is_in(gone))


def _published(lake: Lake, version: str) -> tuple[pl.DataFrame | None, frozenset[str]]:
    """Members and names of the segments of a version; neither when it has no segments."""
    members, names = (lake.published_path(version, table) for table in ("segment_members", "segments"))
    if not members.exists() or not names.exists():
        return None, frozenset()
    inside = pl.read_parquet(members).filter(pl.col("left_on").is_null())
    return inside, frozenset(pl.read_parquet(names)["segment"].to_list())


def as_text(found: Previewed, text: Texts) -> str:
    """What a person reads."""
    lines: list[str] = []
    for one in found.previews:
        lines += ["", *_lines(one, found, text)]
    return "\n".join([*lines[1:], "", text("segments.not_published")])


def _lines(one: Preview, found: Previewed, text: Texts) -> list[str]:
    segment = one.segment
    lines = [
        text(
            "segments.size",
            name=segment.name,
            members=len(one.members),
            consumers=one.consumers,
            share=100 * one.share,
        ),
        f"  {segment.description}",
        text("segments.where", condition=segment.where, purpose=segment.purpose),
        text("segments.as_of", moment=f"{found.as_of:%Y-%m-%d %H:%M:%S}Z"),
    ]
    if one.entered is None or one.left is None:
        key = "segments.new" if found.version else "segments.first"
        lines.append(text(key, version=found.version))
    else:
        lines.append(
            text("segments.moved", version=found.version, entered=len(one.entered), left=len(one.left))
        )
        lines += _ids(one.entered, found, text, "segments.entered")
        lines += _ids(one.left, found, text, "segments.left")
    for other in one.overlaps:
        lines.append(
            text(
                "segments.overlap",
                other=other.other,
                common=other.common,
                share=100 * other.share,
                of_other=100 * other.share_of_other,
            )
        )
    return lines + _ids(one.members, found, text, "segments.members")


def _ids(ids: Iterable[str], found: Previewed, text: Texts, key: str) -> list[str]:
    listed = list(ids)
    named = [one for one in listed if one not in found.withdrawn]
    if not listed:
        return []
    lines = [text(key, ids=", ".join(named[:SHOWN]) or "-")]
    if len(named) > SHOWN:
        lines.append(text("segments.more", count=len(named) - SHOWN))
    if len(named) < len(listed):
        lines.append(text("segments.withdrawn", count=len(listed) - len(named)))
    return lines


def as_json(found: Previewed) -> str:
    """The same for machines, with the ids of everybody who did not withdraw a consent."""

    def named(ids: Iterable[str] | None) -> list[str] | None:
        return None if ids is None else [one for one in ids if one not in found.withdrawn]

    document: dict[str, object] = {
        "as_of": f"{found.as_of.replace(tzinfo=None).isoformat()}Z",
        "publication_version": found.version or None,
        "segments": [
            {
                "segment": one.segment.name,
                "description": one.segment.description,
                "where": one.segment.where,
                "purpose": one.segment.purpose,
                "member_count": len(one.members),
                "consumers": one.consumers,
                "share": one.share,
                "entered_count": None if one.entered is None else len(one.entered),
                "left_count": None if one.left is None else len(one.left),
                "withdrawn_count": sum(member in found.withdrawn for member in one.members),
                "overlaps": [
                    {
                        "segment": other.other,
                        "common": other.common,
                        "share": other.share,
                        "share_of_other": other.share_of_other,
                    }
                    for other in one.overlaps
                ],
                "members": named(one.members),
                "entered": named(one.entered),
                "left": named(one.left),
            }
            for one in found.previews
        ],
    }
    return json_text.dumps(document, ensure_ascii=False, indent=1)
