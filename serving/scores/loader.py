"""Load a published version into PostgreSQL and switch the readers, roll back, release, list versions.

A rollback pins: versions that come meanwhile are loaded, and readers stay until `release`.

Loading, the check of the row counts, the switch and the retention are ONE transaction: readers see the old
version until the commit and the new one after it, and a failure anywhere leaves no trace. No HTTP here.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from models.contracts import PUBLISHED_TABLES, REQUIRED_TABLES
from serving.db import locks
from serving.errors import PublicationRejectedError, UnknownVersionError
from serving.scores.connection import connection_to, publisher
from serving.scores.contracts import PublicationManifest
from serving.scores.erased import ErasureFilter, drop_erased_since, tombstones
from serving.scores.folding import FOLDED
from serving.scores.in_force import record_publication
from serving.scores.rows import RowSource, database_columns, database_rows
from serving.settings import DEFAULT_TENANT


@dataclass(frozen=True)
class PublishResult:
    """What `publish` did.

    Attributes:
        version: The version that was loaded.
        loaded: Table name to rows copied by this call.
        carried: Tables shown again from an older version.
        dropped_versions: Versions that retention removed.
        already_loaded: True when the same version was in the database before; nothing was copied.
        served: The version that readers see; another than `version` while a rollback pins them.
        wall_s: Seconds from connecting to the commit.
    """

    version: str
    loaded: dict[str, int] = field(default_factory=dict)
    carried: tuple[str, ...] = ()
    dropped_versions: tuple[str, ...] = ()
    already_loaded: bool = False
    served: str = ""
    wall_s: float = 0.0


@dataclass(frozen=True)
class PublishedVersion:
    """A version in the database; `status` is `loaded` or, after a rollback, `withdrawn`.

    `kind` is `full` or `refresh`; `is_pinned` says that a rollback holds readers on it.
    """

    version: str
    created_at: datetime
    as_of: datetime
    data_from: datetime
    data_to: datetime
    model_versions: dict[str, str]
    row_counts: dict[str, int]
    content_hash: str
    status: str
    is_current: bool
    kind: str = "full"
    is_pinned: bool = False


def publish(
    conn_url: str,
    manifest: PublicationManifest,
    tables: Mapping[str, RowSource],
    *,
    tenant_id: str = DEFAULT_TENANT,
    keep_versions: int = 5,
    keep_refreshes: int = 5,
    lock_wait_s: float = 30.0,
) -> PublishResult:
    """Load a version and make it the one that readers see, unless a rollback pinned them.

    Calling it again with the same manifest changes nothing but the pointer, so a run that was killed may
    simply be repeated.

    Args:
        conn_url: SQLAlchemy or libpq address of the migrated database.
        manifest: The version; tables with `carried_from` are taken from that version in the database.
        tables: For every other table its rows: tuples in column order, or an Arrow stream.
        tenant_id: Whose version it is; another tenant may have one of the same name.
        keep_versions: Full versions kept afterwards; what readers see is kept in any case.
        keep_refreshes: Refreshed versions kept beside them.
        lock_wait_s: How long to wait for another publisher.

    Raises:
        PublicationRejectedError: Rows do not fit the manifest or the schema, or the version name is taken by
            other content. The version that served before still serves.
        UnknownVersionError: A carried table's version is not in the database.
        PublisherBusyError: Another publisher did not finish in time.
        DatabaseUnavailableError: The server does not answer.
    """
    started = time.perf_counter()
    _check_sources(manifest, tables)
    with publisher(conn_url, lock_wait_s) as connection:
        found = connection.execute(
            "select content_hash from scores.publication where tenant_id = %s and version = %s",
            (tenant_id, manifest.version),
        ).fetchone()
        is_ours = found is not None and found[0] == manifest.content_hash
        if is_ours and not _is_whole(connection, tenant_id, manifest.version):
            _drop(connection, tenant_id, manifest.version)
            found = None
        if found is not None:
            if found[0] != manifest.content_hash:
                raise PublicationRejectedError(
                    f"version {manifest.version!r} is already published with other content "
                    f"(hash {found[0][:12]}): versions never change, choose a new name"
                )
            connection.execute(
                "update scores.publication set kind = 'full'"
                " where tenant_id = %s and version = %s and %s = 'full'",
                (tenant_id, manifest.version, manifest.kind),
            )
            served = _switch_unless_pinned(connection, tenant_id, manifest.version)
            return PublishResult(
                manifest.version,
                already_loaded=True,
                served=served,
                wall_s=round(time.perf_counter() - started, 3),
            )
        _insert_publication(connection, tenant_id, manifest)
        loaded, snapshots = {}, {}
        erased = tombstones(connection, tenant_id)
        for name, entry in manifest.tables.items():
            if entry.carried_from is None:
                snapshots[name], loaded[name] = _load(
                    connection, tenant_id, manifest, name, tables[name], erased
                )
            else:
                _carry(connection, tenant_id, manifest, name, entry.carried_from)
        drop_erased_since(connection, tenant_id, snapshots, erased)
        served = _switch_unless_pinned(connection, tenant_id, manifest.version)
        dropped = _retain(connection, tenant_id, keep_versions, keep_refreshes)
    return PublishResult(
        version=manifest.version,
        loaded=loaded,
        carried=tuple(name for name, entry in manifest.tables.items() if entry.carried_from is not None),
        dropped_versions=dropped,
        served=served,
        wall_s=round(time.perf_counter() - started, 3),
    )


def rollback(
    conn_url: str,
    version: str | None = None,
    *,
    tenant_id: str = DEFAULT_TENANT,
    lock_wait_s: float = 30.0,
) -> str:
    """Switch readers to an older version and pin them; the one that served is marked `withdrawn`.

    Args:
        conn_url: Address of the database.
        version: A version in the database; None takes the newest loaded one before the current.
        tenant_id: Whose readers.
        lock_wait_s: How long to wait for another publisher.

    Returns:
        The version that serves now.

    Raises:
        UnknownVersionError: There is no such version, or none before the current one.
    """
    with publisher(conn_url, lock_wait_s) as connection:
        if version is None:
            found = connection.execute(
                "select p.version from scores.publication p"
                " join scores.current_publication c using (tenant_id)"
                " join scores.publication now on now.tenant_id = c.tenant_id and now.version = c.version"
                " where p.tenant_id = %s and p.status = 'loaded' and p.loaded_at < now.loaded_at"
                " order by p.loaded_at desc, p.version desc limit 1",
                (tenant_id,),
            ).fetchone()
            if found is None:
                raise UnknownVersionError("there is no older loaded version to go back to")
            version = str(found[0])
        elif not _exists(connection, tenant_id, version):
            raise _unknown(connection, tenant_id, version)
        connection.execute(
            "update scores.publication p set status = 'withdrawn' from scores.current_publication c"
            " where c.tenant_id = %s and p.tenant_id = c.tenant_id and p.version = c.version"
            " and p.version <> %s",
            (tenant_id, version),
        )
        _switch(connection, tenant_id, version)
        connection.execute(
            "update scores.current_publication set pinned_at = clock_timestamp() where tenant_id = %s",
            (tenant_id,),
        )
    return version


def release(conn_url: str, *, tenant_id: str = DEFAULT_TENANT, lock_wait_s: float = 30.0) -> str:
    """Unpin readers and switch them to the newest version that no rollback withdrew.

    Args:
        conn_url: Address of the database.
        tenant_id: Whose readers.
        lock_wait_s: How long to wait for another publisher.

    Returns:
        The version that serves now.

    Raises:
        UnknownVersionError: Nothing is pinned.
    """
    with publisher(conn_url, lock_wait_s) as connection:
        if _pinned(connection, tenant_id) is None:
            raise UnknownVersionError("no version is pinned: readers see the newest one already")
        connection.execute(
            "update scores.current_publication set pinned_at = null where tenant_id = %s", (tenant_id,)
        )
        newest = connection.execute(
            "select version from scores.publication where tenant_id = %s and status = 'loaded'"
            " order by loaded_at desc, version desc limit 1",
            (tenant_id,),
        ).fetchone()
        version = str(newest[0]) if newest else ""
        _switch(connection, tenant_id, version)
    return version


def holds(conn_url: str, version: str, *, tenant_id: str = DEFAULT_TENANT) -> bool:
    """Whether a version of a tenant is in the database with all its rows, and readers see some version.

    A database that was lost, emptied or replaced holds nothing, whatever its address.
    """
    with connection_to(conn_url) as connection:
        query = "select 1 from scores.current_publication where tenant_id = %s"
        has_readers = connection.execute(query, (tenant_id,)).fetchone() is not None
        return has_readers and _is_whole(connection, tenant_id, version)


def newest(conn_url: str, *, tenant_id: str = DEFAULT_TENANT) -> PublishedVersion | None:
    """The version of a tenant that was loaded last, whether readers see it or not."""
    return next(iter(list_versions(conn_url, tenant_id=tenant_id)), None)


def current(conn_url: str, *, tenant_id: str = DEFAULT_TENANT) -> PublishedVersion | None:
    """The version that a tenant's readers see, or None before the first publication."""
    found = list_versions(conn_url, tenant_id=tenant_id)
    return next((version for version in found if version.is_current), None)


def list_versions(conn_url: str, *, tenant_id: str = DEFAULT_TENANT) -> list[PublishedVersion]:
    """All versions of a tenant in the database, newest load first."""
    with connection_to(conn_url) as connection:
        rows = connection.execute(
            "select p.version, p.created_at, p.as_of, p.data_from, p.data_to, p.model_versions, p.row_counts,"
            " p.content_hash, p.status, c.version is not null, p.kind, c.pinned_at is not null"
            " from scores.publication p left join scores.current_publication c"
            " on c.tenant_id = p.tenant_id and c.version = p.version where p.tenant_id = %s"
            " order by p.loaded_at desc, p.version desc",
            (tenant_id,),
        ).fetchall()
    return [PublishedVersion(*row) for row in rows]


def _check_sources(manifest: PublicationManifest, tables: Mapping[str, RowSource]) -> None:
    own = {name for name, entry in manifest.tables.items() if entry.carried_from is None}
    if own != set(tables):
        raise PublicationRejectedError(
            f"version {manifest.version!r} needs rows for {sorted(own - set(tables))} "
            f"and must not get rows for {sorted(set(tables) - own)}"
        )


def _insert_publication(
    connection: psycopg.Connection[Any], tenant_id: str, manifest: PublicationManifest
) -> None:
    connection.execute(
        "insert into scores.publication (tenant_id, version, created_at, as_of, data_from, data_to,"
        " model_versions, row_counts, content_hash, kind) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            tenant_id,
            manifest.version,
            manifest.created_at,
            manifest.as_of,
            manifest.data_from,
            manifest.data_to,
            Jsonb(manifest.model_versions),
            Jsonb({name: entry.rows for name, entry in manifest.tables.items()}),
            manifest.content_hash,
            manifest.kind,
        ),
    )


def _load(
    connection: psycopg.Connection[Any],
    tenant_id: str,
    manifest: PublicationManifest,
    name: str,
    source: RowSource,
    erased: Collection[str],
) -> tuple[int, int]:
    """Copy a table without the rows of erased people; its snapshot, and how many rows are stored."""
    table = PUBLISHED_TABLES[name]
    entry = manifest.tables[name]
    snapshot_id = _one(
        connection,
        "insert into scores.snapshot (table_name, row_count, sha256) values (%s, %s, %s)"
        " returning snapshot_id",
        (name, entry.rows, entry.sha256),
    )
    target = sql.Identifier("scores", name)
    names = database_columns(table)
    columns = sql.SQL(", ").join(map(sql.Identifier, ("snapshot_id", *names)))
    statement = sql.SQL("copy {} ({}) from stdin").format(target, columns)
    kept = ErasureFilter(erased, tenant_id)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in kept.rows(names, database_rows(table, source)):
            copy.write_row((snapshot_id, *row))
    stored = _stored_rows(connection, name, snapshot_id)
    if stored + kept.dropped != entry.rows:
        raise PublicationRejectedError(
            f"table {name} of version {manifest.version!r}: "
            f"the manifest says {entry.rows} rows, {stored + kept.dropped} came"
        )
    if kept.dropped:
        connection.execute(
            "update scores.snapshot set erased_count = %s where snapshot_id = %s", (kept.dropped, snapshot_id)
        )
    connection.execute(sql.SQL("analyze {}").format(target))
    _show(connection, tenant_id, manifest.version, name, snapshot_id)
    return snapshot_id, stored


def _is_whole(connection: psycopg.Connection[Any], tenant_id: str, version: str) -> bool:
    """Whether the tables of a version have the rows that were loaded, less those of erased people."""
    rows = connection.execute(
        "select t.table_name, s.snapshot_id, s.row_count - s.erased_count from scores.publication_table t"
        " join scores.snapshot s using (snapshot_id) where t.tenant_id = %s and t.version = %s",
        (tenant_id, version),
    ).fetchall()
    return {row[0] for row in rows} >= REQUIRED_TABLES and all(
        _stored_rows(connection, name, snapshot_id) == count for name, snapshot_id, count in rows
    )


def _drop(connection: psycopg.Connection[Any], tenant_id: str, version: str) -> None:
    """Forget a version that lost rows, so that it can be loaded again; a pin on it goes with it."""
    which = (tenant_id, version)
    connection.execute("delete from scores.current_publication where tenant_id = %s and version = %s", which)
    connection.execute("delete from scores.publication where tenant_id = %s and version = %s", which)


def _stored_rows(connection: psycopg.Connection[Any], name: str, snapshot_id: int) -> int:
    counted = "coalesce(sum(item_count), 0)" if name in FOLDED else "count(*)"
    query = sql.SQL(f"select {counted}::bigint from {{}} where snapshot_id = %s")
    return _one(connection, query.format(sql.Identifier("scores", name)), (snapshot_id,))


def _carry(
    connection: psycopg.Connection[Any],
    tenant_id: str,
    manifest: PublicationManifest,
    name: str,
    origin: str,
) -> None:
    entry = manifest.tables[name]
    found = connection.execute(
        "select s.snapshot_id, s.row_count, s.sha256 from scores.publication_table t"
        " join scores.snapshot s using (snapshot_id)"
        " where t.tenant_id = %s and t.version = %s and t.table_name = %s",
        (tenant_id, origin, name),
    ).fetchone()
    if found is None:
        raise _unknown(connection, tenant_id, origin)
    if (found[1], found[2]) != (entry.rows, entry.sha256):
        raise PublicationRejectedError(
            f"table {name} of version {manifest.version!r} is carried from {origin!r}, "
            f"but differs from it in row count or hash"
        )
    _show(connection, tenant_id, manifest.version, name, found[0])


def _show(
    connection: psycopg.Connection[Any], tenant_id: str, version: str, name: str, snapshot_id: int
) -> None:
    connection.execute(
        "insert into scores.publication_table (tenant_id, version, table_name, snapshot_id)"
        " values (%s, %s, %s, %s)",
        (tenant_id, version, name, snapshot_id),
    )


def _switch(connection: psycopg.Connection[Any], tenant_id: str, version: str) -> None:
    which = (tenant_id, version)
    locks.prices_in_force(connection, tenant_id)
    connection.execute(
        "update scores.publication set status = 'loaded' where tenant_id = %s and version = %s", which
    )
    connection.execute(
        "insert into scores.current_publication (tenant_id, version) values (%s, %s)"
        " on conflict (tenant_id) do update set version = excluded.version, switched_at = clock_timestamp()",
        which,
    )
    record_publication(connection, tenant_id, version)


def _switch_unless_pinned(connection: psycopg.Connection[Any], tenant_id: str, version: str) -> str:
    """Make readers see a version unless a rollback pinned them; returns the one they see."""
    pinned = _pinned(connection, tenant_id)
    if pinned is None:
        _switch(connection, tenant_id, version)
    return pinned or version


def _pinned(connection: psycopg.Connection[Any], tenant_id: str) -> str | None:
    query = "select version from scores.current_publication where tenant_id = %s and pinned_at is not null"
    found = connection.execute(query, (tenant_id,)).fetchone()
    return str(found[0]) if found else None


def _retain(
    connection: psycopg.Connection[Any], tenant_id: str, keep_versions: int, keep_refreshes: int
) -> tuple[str, ...]:
    """Drop a tenant's versions beyond the newest of their kind, then snapshots.

    Never what readers see, nor what an arm of a running experiment shows.
    """
    dropped = connection.execute(
        "delete from scores.publication where tenant_id = %(tenant)s and version in ("
        " select version from ("
        "  select version, kind, row_number() over (partition by kind order by loaded_at desc, version desc)"
        "  as age from scores.publication where tenant_id = %(tenant)s) p"
        " where age > case kind when 'full' then %(full)s else %(refresh)s end and version not in"
        "  (select version from scores.current_publication where tenant_id = %(tenant)s)"
        " and not exists (select from experiments.experiment t where t.tenant_id = %(tenant)s"
        "  and t.state = 'running' and jsonb_path_exists(t.document, '$.arms[*].version ? (@ == $version)',"
        "  jsonb_build_object('version', p.version)))) returning version",
        {"tenant": tenant_id, "full": max(keep_versions, 1), "refresh": max(keep_refreshes, 1)},
    ).fetchall()
    gone: dict[str, list[int]] = {}
    for snapshot_id, name in connection.execute(
        "delete from scores.snapshot s where not exists"
        " (select from scores.publication_table t where t.snapshot_id = s.snapshot_id)"
        " returning snapshot_id, table_name"
    ).fetchall():
        gone.setdefault(name, []).append(snapshot_id)
    for name, snapshot_ids in gone.items():
        statement = sql.SQL("delete from {} where snapshot_id = any(%s)")
        connection.execute(statement.format(sql.Identifier("scores", name)), (snapshot_ids,))
    return tuple(row[0] for row in dropped)


def _one(connection: psycopg.Connection[Any], query: Any, values: tuple[Any, ...]) -> int:
    row = connection.execute(query, values).fetchone()
    return int(row[0]) if row is not None else 0


def _exists(connection: psycopg.Connection[Any], tenant_id: str, version: str) -> bool:
    query = "select 1 from scores.publication where tenant_id = %s and version = %s"
    return connection.execute(query, (tenant_id, version)).fetchone() is not None


def _unknown(connection: psycopg.Connection[Any], tenant_id: str, version: str) -> UnknownVersionError:
    rows = connection.execute(
        "select version from scores.publication where tenant_id = %s order by loaded_at desc limit 10",
        (tenant_id,),
    )
    kept = [row[0] for row in rows.fetchall()]
    return UnknownVersionError(f"version {version!r} is not in the database; there are {kept}")
