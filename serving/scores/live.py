"""Bring a published version up to date between two publications: small deltas, one transaction each.

A delta lies over the *snapshots* of its base version, so versions that carry the same table show it too and
no other version ever does; it goes when retention drops the snapshot. There is one row per consumer or
listing, replaced in place. Readers merge base and overlay in one statement (`serving.scores.queries`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import Any, TypeAlias

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from feature_store.contracts import RefreshClass
from models.contracts import PUBLISHED_TABLES
from serving.consumers.erased import hold_erasures
from serving.db import locks
from serving.errors import BaseVersionGoneError, PublicationRejectedError
from serving.scores.connection import connection_to
from serving.scores.erased import ErasureFilter, tombstones
from serving.scores.in_force import record_delta
from serving.scores.rows import Row, database_rows
from serving.settings import DEFAULT_TENANT

_BATCH_ROWS = 5_000
_PRICES = PUBLISHED_TABLES["prices"]
PRICES_AS_OF = "prices"
"""Key of the instant of the prices in the pointer of their snapshot."""

Tags: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Delta:
    """What changed since the base version was loaded, or since the delta before.

    Attributes:
        base_version: The publication version that it refines.
        revision: Number of the delta, from 1; rises over the life of the base's snapshots.
        as_of: Refresh class to the moment up to which its tags are right for *every* consumer, those without
            a row included. Classes that are not named keep theirs.
        profiles: Consumer and the tags that changed; tags of earlier deltas that are not named stay.
        removed: Consumers who have no profile any more.
        prices: Changed prices, in the column order of `PUBLISHED_TABLES["prices"]`.
        prices_as_of: The moment up to which all prices are right. None: the newest of `as_of` when prices
            come, else the prices stay at the revision that they have.
        schema_fingerprint: The tag schema of the profiles; None takes the base's.
        replaces: Whether what earlier deltas laid over the base is taken away first: who begins anew cannot
            know what they held.
    """

    base_version: str
    revision: int
    as_of: Mapping[str, datetime]
    profiles: Iterable[tuple[str, Tags]] = ()
    removed: Iterable[str] = ()
    prices: Iterable[Row] = ()
    prices_as_of: datetime | None = None
    schema_fingerprint: str | None = None
    replaces: bool = False


@dataclass(frozen=True)
class LiveResult:
    """What `publish_delta` did.

    Attributes:
        base_version: The version that was refined.
        revision: Of the delta.
        applied: False when this revision or a newer one was there before; nothing was changed then.
        profiles: Consumers whose tags were written.
        removed: Consumers who were taken out.
        prices: Prices that were written.
        wall_s: Seconds from connecting to the commit.
    """

    base_version: str
    revision: int
    applied: bool
    profiles: int = 0
    removed: int = 0
    prices: int = 0
    wall_s: float = 0.0


@dataclass(frozen=True)
class LivePointer:
    """Up to where the profiles of a version were brought: revision, and moment by refresh class."""

    revision: int
    as_of: dict[str, datetime]
    published_at: datetime


def publish_delta(
    conn_url: str, delta: Delta, *, tenant_id: str = DEFAULT_TENANT, lock_wait_s: float = 30.0
) -> LiveResult:
    """Lay a delta over its base version, all of it or nothing.

    The same or an older revision changes nothing, so a tick that was killed may simply be repeated.

    Args:
        conn_url: SQLAlchemy or libpq address of the migrated database.
        delta: What changed.
        tenant_id: Whose version it refines.
        lock_wait_s: How long to wait for another delta.

    Raises:
        BaseVersionGoneError: The base version is not in the database (any more).
        PublicationRejectedError: The delta is not sound: a revision below 1, an unknown refresh class, a time
            without zone, a value that is not JSON, a consumer or listing twice, another tag schema.
        PublisherBusyError: Another delta did not finish in time.
        DatabaseUnavailableError: The server does not answer.
    """
    started = time.perf_counter()
    _check_head(delta)
    with connection_to(conn_url) as connection:
        locks.live_deltas(connection, lock_wait_s)
        hold_erasures(connection)
        snapshots = _base(connection, tenant_id, delta.base_version)
        profiles = _refine_profiles(connection, tenant_id, snapshots["profiles"], delta)
        prices = _refine_prices(connection, tenant_id, snapshots["prices"], delta)
    changed, removed = profiles or (0, 0)
    return LiveResult(
        base_version=delta.base_version,
        revision=delta.revision,
        applied=profiles is not None or prices is not None,
        profiles=changed,
        removed=removed,
        prices=prices or 0,
        wall_s=round(time.perf_counter() - started, 3),
    )


def live_pointer(conn_url: str, version: str, *, tenant_id: str = DEFAULT_TENANT) -> LivePointer | None:
    """Up to where the profiles of a tenant's version were brought; None before its first delta.

    Raises:
        BaseVersionGoneError: The version is not in the database.
    """
    with connection_to(conn_url) as connection:
        snapshot_id = _base(connection, tenant_id, version)["profiles"]
        row = connection.execute(
            "select revision, as_of, published_at from scores.live_pointer where snapshot_id = %s",
            (snapshot_id,),
        ).fetchone()
    return None if row is None else LivePointer(row[0], read_instants(row[1]), row[2])


def read_instants(stored: Mapping[str, str] | None) -> dict[str, datetime]:
    """The moments of a pointer from its JSON document."""
    return {name: datetime.fromisoformat(text) for name, text in (stored or {}).items()}


def _check_head(delta: Delta) -> None:
    if delta.revision < 1:
        raise PublicationRejectedError(f"a delta has a revision from 1 on, not {delta.revision}")
    unknown = sorted(set(delta.as_of) - set(RefreshClass))
    if unknown:
        raise PublicationRejectedError(
            f"revision {delta.revision} names the refresh classes {unknown}; "
            f"there are {', '.join(RefreshClass)}"
        )
    for moment in (*delta.as_of.values(), delta.prices_as_of):
        if moment is not None and moment.tzinfo is None:
            raise PublicationRejectedError(f"revision {delta.revision}: {moment} carries no time zone")


def _base(connection: psycopg.Connection[Any], tenant_id: str, version: str) -> dict[str, int]:
    """Snapshots of the base version, which retention cannot drop before this transaction ends."""
    if not locks.publication(connection, tenant_id, version):
        raise BaseVersionGoneError(
            f"version {version!r} is not in the database any more: begin again from the newest version"
        )
    return dict(
        connection.execute(
            "select table_name, snapshot_id from scores.publication_table"
            " where tenant_id = %s and version = %s",
            (tenant_id, version),
        ).fetchall()
    )


def _is_newer(connection: psycopg.Connection[Any], snapshot_id: int, revision: int) -> bool:
    query = "select revision from scores.live_pointer where snapshot_id = %s"
    found = connection.execute(query, (snapshot_id,)).fetchone()
    return found is None or revision > found[0]


def _point(
    connection: psycopg.Connection[Any],
    snapshot_id: int,
    revision: int,
    as_of: Mapping[str, datetime],
    fingerprint: str | None,
) -> None:
    connection.execute(
        "insert into scores.live_pointer as p (snapshot_id, revision, as_of, schema_fingerprint)"
        " values (%s, %s, %s, %s) on conflict (snapshot_id) do update set revision = excluded.revision,"
        " as_of = p.as_of || excluded.as_of, published_at = clock_timestamp(),"
        " schema_fingerprint = coalesce(excluded.schema_fingerprint, p.schema_fingerprint)",
        (snapshot_id, revision, Jsonb({name: at.isoformat() for name, at in as_of.items()}), fingerprint),
    )


def _refine_profiles(
    connection: psycopg.Connection[Any], tenant_id: str, snapshot_id: int, delta: Delta
) -> tuple[int, int] | None:
    """How many consumers were changed and removed; None when the pointer stays where it is."""
    if not delta.as_of:
        if next(iter(delta.profiles), None) is not None or next(iter(delta.removed), None) is not None:
            raise PublicationRejectedError(
                f"revision {delta.revision} changes profiles and names no moment (as_of) of any refresh class"
            )
        return None
    if not _is_newer(connection, snapshot_id, delta.revision):
        return None
    if delta.replaces:
        connection.execute("delete from scores.live_profile where snapshot_id = %s", (snapshot_id,))
    _point_profiles(connection, snapshot_id, delta)
    return _write_profiles(connection, tenant_id, snapshot_id, delta)


def _refine_prices(
    connection: psycopg.Connection[Any], tenant_id: str, snapshot_id: int, delta: Delta
) -> int | None:
    """How many prices were written; None when the pointer stays where it is."""
    rows = iter(database_rows(_PRICES, delta.prices))
    first = list(islice(rows, 1))
    as_of = delta.prices_as_of
    if as_of is None and first:
        as_of = max(delta.as_of.values(), default=None)
        if as_of is None:
            raise PublicationRejectedError(
                f"revision {delta.revision} has prices and names no moment of them"
            )
    if as_of is None:
        return None
    locks.prices_in_force(connection, tenant_id)
    if not _is_newer(connection, snapshot_id, delta.revision):
        return None
    if delta.replaces:
        connection.execute("delete from scores.live_price where snapshot_id = %s", (snapshot_id,))
    _point(connection, snapshot_id, delta.revision, {PRICES_AS_OF: as_of}, None)
    written = _write_prices(connection, snapshot_id, delta.revision, chain(first, rows))
    record_delta(connection, tenant_id, snapshot_id, delta.base_version, delta.revision, as_of)
    return written


def _point_profiles(connection: psycopg.Connection[Any], snapshot_id: int, delta: Delta) -> None:
    """Move the pointer of the profiles, unless the delta speaks of another tag schema than its base."""
    found = connection.execute(
        "select coalesce((select schema_fingerprint from scores.profiles where snapshot_id = %(id)s limit 1),"
        " (select schema_fingerprint from scores.live_pointer where snapshot_id = %(id)s))",
        {"id": snapshot_id},
    ).fetchone()
    of_base = found[0] if found else None
    given = delta.schema_fingerprint
    if None not in (of_base, given) and of_base != given:
        raise PublicationRejectedError(
            f"revision {delta.revision} is written under the tag schema {given}, version "
            f"{delta.base_version!r} under {of_base}: publish a full version under the new schema first"
        )
    _point(connection, snapshot_id, delta.revision, delta.as_of, given or of_base)


def _write_profiles(
    connection: psycopg.Connection[Any], tenant_id: str, snapshot_id: int, delta: Delta
) -> tuple[int, int]:
    """Write changed and removed consumers but nobody erased; returns how many of each."""
    seen: set[str] = set()
    kept = ErasureFilter(tombstones(connection, tenant_id), tenant_id)
    counts = [0, 0]
    for is_removed, rows in (
        (False, _changed(delta, seen)),
        (True, _distinct(((consumer_id, "{}") for consumer_id in delta.removed), delta, seen)),
    ):
        while batch := list(islice((row for row in rows if kept.keeps(row[0])), _BATCH_ROWS)):
            counts[is_removed] += len(batch)
            connection.execute(
                "insert into scores.live_profile as l (snapshot_id, consumer_id, tags, is_removed, revision)"
                " select %(id)s, n.consumer_id, n.tags::jsonb, %(is_removed)s, %(revision)s"
                " from unnest(%(consumers)s::text[], %(tags)s::text[]) n (consumer_id, tags)"
                " on conflict (snapshot_id, consumer_id) do update set"
                " tags = case when excluded.is_removed then excluded.tags else l.tags || excluded.tags end,"
                " is_removed = excluded.is_removed, revision = excluded.revision"
                " where l.is_removed <> excluded.is_removed or l.tags || excluded.tags <> l.tags",
                {
                    "id": snapshot_id,
                    "is_removed": is_removed,
                    "revision": delta.revision,
                    "consumers": [row[0] for row in batch],
                    "tags": [row[1] for row in batch],
                },
            )
    return counts[False], counts[True]


def _changed(delta: Delta, seen: set[str]) -> Iterator[tuple[str, str]]:
    """Consumer and changed tags as JSON text."""
    encoder = msgspec.json.Encoder()

    def text_of(consumer_id: str, tags: Tags) -> str:
        # JSON has no word for these, and the encoder would write null without a sound.
        bad = [name for name, value in tags.items() if isinstance(value, float) and not math.isfinite(value)]
        if bad:
            raise _rejected(delta, consumer_id, f"tag {bad[0]} is {tags[bad[0]]}")
        try:
            return encoder.encode(tags).decode()
        except (TypeError, ValueError) as error:
            raise _rejected(delta, consumer_id, f"the tags are no JSON: {error}") from error

    return _distinct(
        ((consumer_id, text_of(consumer_id, tags)) for consumer_id, tags in delta.profiles), delta, seen
    )


def _distinct(rows: Iterable[tuple[str, str]], delta: Delta, seen: set[str]) -> Iterator[tuple[str, str]]:
    for row in rows:
        if row[0] in seen:
            raise _rejected(delta, row[0], "it comes twice")
        seen.add(row[0])
        yield row


def _rejected(delta: Delta, consumer_id: str, what: str) -> PublicationRejectedError:
    return PublicationRejectedError(f"revision {delta.revision}, consumer {consumer_id!r}: {what}")


def _write_prices(
    connection: psycopg.Connection[Any], snapshot_id: int, revision: int, rows: Iterator[Row]
) -> int:
    """Upsert prices; returns how many came."""
    names = [column.name for column in _PRICES.columns]
    replaced = ", ".join(f"{name} = excluded.{name}" for name in (*names, "revision"))
    statement = (
        f"insert into scores.live_price as l (snapshot_id, revision, {', '.join(names)})"
        f" values (%s, %s, {', '.join(['%s'] * len(names))})"
        f" on conflict (snapshot_id, merchant_id, sku_id) do update set {replaced}"
        " where l.revision < excluded.revision"
    )
    count = 0
    with connection.cursor() as cursor:
        while batch := list(islice(rows, _BATCH_ROWS)):
            cursor.executemany(statement.encode(), [(snapshot_id, revision, *row) for row in batch])
            if cursor.rowcount != len(batch):
                raise PublicationRejectedError(f"revision {revision}: a listing has two prices")
            count += len(batch)
    return count
