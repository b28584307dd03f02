"""Who was erased, as the files know it: digests, the names that money rows have since, and no id.

The database is where persons are erased (`serving.consumers`); the lake keeps a copy of its tombstones, so
that a load needs no database, and so that a step can tell whether there are new ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import psycopg

from pipelines.lake.files import atomic_path
from serving.consumers.erased import all_tombstones, consumer_digest
from serving.db.urls import libpq_url
from serving.identity.erased import erased_visitors
from serving.settings import DEFAULT_TENANT

FILE = "erasures.json"
"""Below the lake."""


@dataclass(frozen=True)
class Tombstones:
    """Everybody who was erased.

    Attributes:
        people: Digest of a consumer's id to the pseudonym.
        visitors: Digest of an anonymous visitor to the moment up to which its events are erased (UTC).
        tenant_id: Whose consumers and visitors they are; digests are made with it.
    """

    people: Mapping[str, str] = field(default_factory=dict)
    visitors: Mapping[str, datetime] = field(default_factory=dict)
    tenant_id: str = field(default=DEFAULT_TENANT, compare=False)
    _known: dict[str, str | None] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_empty(self) -> bool:
        """Whether nobody was erased."""
        return not self.people

    def pseudonym(self, consumer_id: str) -> str | None:
        """The pseudonym of an erased person; None for everybody else."""
        if consumer_id not in self._known:
            self._known[consumer_id] = self.people.get(consumer_digest(self.tenant_id, consumer_id))
        return self._known[consumer_id]

    def pseudonyms(self, ids: pl.Series) -> pl.Series:
        """The pseudonym of each id that is an erased person's, null for others; String, as long as `ids`."""
        found = self.among(ids)
        return ids.replace_strict(
            list(found), list(found.values()), default=None, return_dtype=pl.String
        ).alias("pseudonym")

    def among(self, ids: pl.Series) -> dict[str, str]:
        """Erased persons among ids, each with the pseudonym."""
        if self.is_empty:
            return {}
        unique = (str(one) for one in ids.drop_nulls().unique())
        return {one: name for one in unique if (name := self.pseudonym(one)) is not None}

    def erased_until(self, visitors: pl.Series) -> pl.Series:
        """For each visitor the moment up to which its events are erased, null for others (UTC)."""
        dtype = pl.Datetime("us", "UTC")
        if not self.visitors:
            return pl.Series([None], dtype=dtype).new_from_index(0, len(visitors))
        unique = visitors.drop_nulls().unique()
        digests = ((one, consumer_digest(self.tenant_id, str(one))) for one in unique)
        found = {one: self.visitors[digest] for one, digest in digests if digest in self.visitors}
        return visitors.replace_strict(list(found), list(found.values()), default=None, return_dtype=dtype)

    def without(self, digests: Iterable[str]) -> Tombstones:
        """The same without persons whose digests are given; visitors stay."""
        gone = set(digests)
        left = {digest: name for digest, name in self.people.items() if digest not in gone}
        return Tombstones(left, self.visitors, self.tenant_id)

    def to_json(self) -> dict[str, Any]:
        """As kept in the lake."""
        return {
            "tenant": self.tenant_id,
            "people": dict(self.people),
            "visitors": {digest: moment.isoformat() for digest, moment in self.visitors.items()},
        }


def recorded_tombstones(url: str, tenant_id: str) -> Tombstones:
    """The tombstones of the serving database.

    Args:
        url: Address of the migrated database.
        tenant_id: Whose.

    Raises:
        psycopg.Error: It cannot be read.
    """
    with psycopg.connect(libpq_url(url)) as connection:
        return tombstones_of(connection, tenant_id)


def tombstones_of(connection: psycopg.Connection[Any], tenant_id: str) -> Tombstones:
    """The tombstones of a tenant on an open connection."""
    people = {one.digest: one.pseudonym for one in all_tombstones(connection, tenant_id)}
    visitors = erased_visitors(connection, tenant_id)
    moments = {name: moment.astimezone(UTC) for name, moment in visitors.items()}
    return Tombstones(people, moments, tenant_id)


def kept_tombstones(lake_root: Path) -> Tombstones:
    """The tombstones that the lake has been cleared of; none before the first erasure."""
    file = lake_root / FILE
    if not file.exists():
        return Tombstones()
    found = json.loads(file.read_text(encoding="utf-8"))
    visitors = {name: datetime.fromisoformat(moment) for name, moment in found["visitors"].items()}
    return Tombstones(found["people"], visitors, found.get("tenant", DEFAULT_TENANT))


def keep_tombstones(lake_root: Path, tombstones: Tombstones) -> Path:
    """Write down what the lake was cleared of, last of all."""
    file = lake_root / FILE
    with atomic_path(file) as temporary:
        temporary.write_text(json.dumps(tombstones.to_json(), indent=1, sort_keys=True), encoding="utf-8")
    return file


def has_new_erasures(lake_root: Path, url: str, tenant_id: str) -> bool:
    """Whether somebody was erased of whom the files were not cleared yet."""
    return recorded_tombstones(url, tenant_id) != kept_tombstones(lake_root)
