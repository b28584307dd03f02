"""What readers are served about one entity: the answer of the API for consumers, the tag table for others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl

from feature_store.contracts import RefreshClass, TagStatus, is_withheld
from feature_store.online import ProfileReader, packaged_schema
from feature_store.registry import Registry
from pipelines.lake.tables import Lake, LakeError
from serving.consumers.consents import standing
from serving.consumers.erased import erased_among
from serving.db.pool import Pool
from serving.errors import ServingError
from serving.scores.connection import connection_to
from serving.scores.profile_tags import profile_document
from serving.scores.reader import ScoreReader
from serving.settings import Settings as ServingSettings

_TIMEOUT_S = 20.0


class ExplainError(ServingError):
    """There is nothing to explain; the message says why and what to do."""


@dataclass(frozen=True)
class ServedTag:
    """A tag as a reader gets it."""

    status: TagStatus
    value: Any


@dataclass(frozen=True)
class Served:
    """What is served about one entity.

    Attributes:
        origin: The publication of consumers, the tag table of other entities.
        revision: The newest delta over the publication; 0 when there is none.
        as_of: Refresh class to the moment that its values describe (UTC).
        live: Refresh classes that deltas keep up to date.
        tags: Tag to value and status; empty for an entity that is not served.
        consents: Purpose to what a consumer last said about it.
    """

    origin: str
    revision: int
    as_of: Mapping[RefreshClass, datetime]
    live: frozenset[RefreshClass] = frozenset()
    tags: Mapping[str, ServedTag] = field(default_factory=dict)
    consents: Mapping[str, bool] = field(default_factory=dict)

    @property
    def newest(self) -> datetime:
        """The latest moment that any value describes."""
        return max(self.as_of.values())

    def withheld(self, registry: Registry) -> frozenset[str]:
        """Tags that may not be told, by what the consumer said."""
        if not self.consents:
            return frozenset()
        fields = registry.profile_schema().fields
        return frozenset(one.name for one in fields if is_withheld(one, self.consents))


def served_consumer(url: str, settings: ServingSettings, consumer_id: str) -> Served:
    """What `GET /v1/profiles/{consumer_id}` answers.

    Args:
        url: The serving database.
        settings: Settings of serving: they say against which moment ages are judged.
        consumer_id: Who.

    Raises:
        ExplainError: The consumer was erased, nothing is published, or it was published under other tags.
        DatabaseUnavailableError: The database does not answer.
    """
    with connection_to(url) as connection:
        if erased_among(connection, settings.tenant, [consumer_id]):
            raise ExplainError(
                f"consumer {consumer_id!r} was erased: nothing about the person is shown, and no profile is "
                "served; what is left in the books stands under a pseudonym"
            )
        consents = standing(connection, settings.tenant, consumer_id)
    read = asyncio.run(_read(url, settings.tenant, consumer_id))
    if read is None:
        raise ExplainError("nothing was published yet; run `make run` once")
    shown, found = read
    live = frozenset(name for name in RefreshClass if name.value in shown.live_as_of)
    stored = found.get(consumer_id)
    base = stored.as_of if stored is not None else shown.as_of
    tags = {}
    if stored is not None:
        document = profile_document(
            ProfileReader(packaged_schema()),
            stored,
            consumer_id=consumer_id,
            live_as_of=shown.live_as_of,
            now=settings.business_now(shown.newest),
        )
        if not document.schema_matches:
            raise ExplainError(
                f"version {shown.version} was published under other tag definitions than these; run "
                "`make run` once"
            )
        tags = {name: ServedTag(TagStatus(tag.status), tag.value) for name, tag in document.tags.items()}
    return Served(
        origin=shown.version,
        revision=shown.revision,
        as_of={name: shown.live_as_of.get(name.value, base).astimezone(UTC) for name in RefreshClass},
        live=live,
        tags=tags,
        consents=consents,
    )


async def _read(url: str, tenant_id: str, consumer_id: str) -> Any:
    pool = Pool(url, size=1, timeout_s=_TIMEOUT_S)
    try:
        return await ScoreReader(pool, tenant_id).profiles([consumer_id], merchant_id=None)
    finally:
        await pool.close()


def served_other(lake: Lake, registry: Registry, entity_id: str) -> Served:
    """The row of an entity's tag table, which models and rules read.

    Args:
        lake: Holds the tag tables.
        registry: The registry of the entity, other than consumers.
        entity_id: Which one.

    Raises:
        ExplainError: The table was not built yet.
    """
    table = f"features/{registry.entity}_tags"
    try:
        frame = lake.get(table)
    except LakeError as error:
        raise ExplainError(f"the tags of {registry.entity}s were not built yet; run `make run`") from error
    rows = frame.filter(pl.col(registry.id_column) == entity_id)
    moment = frame["as_of"].max()
    if not isinstance(moment, datetime):
        raise ExplainError(f"the table {table} has no rows: no {registry.entity} was known when it was built")
    tags = {}
    if rows.height:
        values = rows.row(0, named=True)
        tags = {name: _told(values.get(name)) for name in registry.tags}
    return Served(table, 0, dict.fromkeys(RefreshClass, moment.astimezone(UTC)), tags=tags)


def _told(value: Any) -> ServedTag:
    return ServedTag(TagStatus.NULL if value is None else TagStatus.PRESENT, value)
