"""Publications: an immutable version in the lake, then the same version in PostgreSQL. No Dagster here.

A table whose content did not change since the version that serves is carried over, in the lake by a hard
link and in PostgreSQL by reference, so that an hourly price refresh writes prices only.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import polars as pl

from models.contracts import PUBLISHED_TABLES, REQUIRED_TABLES
from pipelines.lake.tables import Lake, atomic_path
from pipelines.stores.versions import has_files, is_whole_in_lake, read_manifest
from serving.scores import loader
from serving.scores.contracts import PublicationManifest, TableEntry, content_hash_of
from serving.settings import DEFAULT_TENANT

_TYPES: dict[str, pl.DataType] = {
    "text": pl.String(),
    "json": pl.String(),
    "int": pl.Int64(),
    "float": pl.Float64(),
    "bool": pl.Boolean(),
    "date": pl.Date(),
    "timestamp": pl.Datetime("us", "UTC"),
}


class ScoreSchemaError(Exception):
    """A score frame does not fit its published table; the message names the table and the columns."""


@dataclass(frozen=True)
class Published:
    """What a publication did.

    Attributes:
        manifest: The version that was made.
        is_new: False when the content equals the version before.
        loaded: Rows copied into PostgreSQL by table.
        served: The version that readers see; another one while a rollback pins them.
    """

    manifest: PublicationManifest
    is_new: bool
    loaded: dict[str, int]
    served: str

    @property
    def is_held_back(self) -> bool:
        """Whether readers stay on another version because a rollback pinned them there."""
        return self.served != self.manifest.version


def conform(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """A score frame with exactly the published columns and types, in key order.

    Raises:
        ScoreSchemaError: Columns are missing, a type does not fit, or a required column has nulls.
    """
    table = PUBLISHED_TABLES[name]
    missing = [column.name for column in table.columns if column.name not in frame.columns]
    if missing:
        raise ScoreSchemaError(f"published table {name}: columns {missing} are missing")
    try:
        result = frame.select(pl.col(column.name).cast(_TYPES[column.type]) for column in table.columns)
    except pl.exceptions.PolarsError as error:
        raise ScoreSchemaError(f"published table {name}: {error}") from error
    nulls = [c.name for c in table.columns if not c.nullable and result[c.name].null_count()]
    if nulls:
        raise ScoreSchemaError(f"published table {name}: columns {nulls} must not be null")
    return result.sort(table.key)


def score_key(name: str) -> str:
    """Lake key of the freshly scored, not yet published table."""
    return f"scores/{name}"


def publish(
    lake: Lake,
    database_url: str,
    *,
    tenant_id: str = DEFAULT_TENANT,
    as_of: datetime,
    data_from: datetime,
    data_to: datetime,
    model_versions: Mapping[str, str],
    keep_versions: int,
    keep_refreshes: int = 5,
    kind: Literal["full", "refresh"] = "full",
) -> Published:
    """Make a version of the current scores and switch readers to it, unless a rollback pinned them.

    The lake's version is complete before PostgreSQL hears of it; PostgreSQL switches in one transaction. A
    failure at any point leaves the version that served before serving.

    Args:
        lake: Holds the scored tables and the published versions.
        database_url: The serving database, migrated.
        tenant_id: For whose readers.
        as_of: Business time of the scores.
        data_from: Oldest data used.
        data_to: Newest data used.
        model_versions: Model name to serving version.
        keep_versions: Full versions kept in the lake and in PostgreSQL.
        keep_refreshes: Refreshed versions kept beside them, so that they do not push full ones out.
        kind: Whether everything was scored anew, or a part.

    Returns:
        What was published; the same content twice makes no new version.
    """
    newest = loader.newest(database_url, tenant_id=tenant_id)
    is_whole = newest is not None and is_published(lake, database_url, newest.version, tenant_id=tenant_id)
    before = read_manifest(lake, newest.version) if newest is not None and is_whole else None
    scored = {name: lake.derived_path(score_key(name)) for name in PUBLISHED_TABLES}
    files = {name: file for name, file in scored.items() if name in REQUIRED_TABLES or file.exists()}
    entries = {name: _entry(file, before, name) for name, file in files.items()}
    content = content_hash_of(as_of, model_versions, entries)
    manifest = PublicationManifest.build(
        version=f"{as_of:%Y%m%dT%H%M%S}-{content[:10]}",
        created_at=datetime.now(UTC),
        as_of=as_of,
        data_from=data_from,
        data_to=data_to,
        model_versions=model_versions,
        tables=entries,
        kind=kind,
    )
    if before is not None and before.content_hash == content:
        # The same version again: its tables are its own, not carried from itself.
        manifest = manifest.model_copy(update={"tables": before.tables})
    manifest = _write_version(lake, manifest, files)
    result = loader.publish(
        database_url,
        manifest,
        {
            name: pl.read_parquet(files[name]).to_arrow()
            for name, entry in manifest.tables.items()
            if entry.carried_from is None
        },
        tenant_id=tenant_id,
        keep_versions=keep_versions,
        keep_refreshes=keep_refreshes,
    )
    kept = loader.list_versions(database_url, tenant_id=tenant_id)
    _prune(lake, {version.version for version in kept})
    return Published(manifest, is_new=not result.already_loaded, loaded=result.loaded, served=result.served)


def is_published(lake: Lake, database_url: str, version: str, *, tenant_id: str = DEFAULT_TENANT) -> bool:
    """Whether a version of a tenant is whole in the lake and in PostgreSQL; False after either was lost.

    Raises:
        DatabaseUnavailableError: The server does not answer.
    """
    return is_whole_in_lake(lake, version) and loader.holds(database_url, version, tenant_id=tenant_id)


def _entry(file: Path, before: PublicationManifest | None, name: str) -> TableEntry:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    rows = pl.scan_parquet(file).select(pl.len()).collect().item()
    old = before.tables.get(name) if before is not None else None
    if before is not None and old is not None and (old.sha256, old.rows) == (digest, rows):
        return TableEntry(rows=rows, sha256=digest, carried_from=before.version)
    return TableEntry(rows=rows, sha256=digest)


def _write_version(
    lake: Lake, manifest: PublicationManifest, files: Mapping[str, Path]
) -> PublicationManifest:
    """Write a version's folder whole or not at all; a version already there is kept as it is.

    Which tables are carried is said anew: another server need not hold the version that they came from.
    """
    target = lake.published_dir(manifest.version)
    stored = read_manifest(lake, manifest.version)
    if stored is not None and has_files(lake, stored):
        kind = "full" if "full" in (stored.kind, manifest.kind) else "refresh"
        if kind != stored.kind:
            _write_manifest(target, stored.model_copy(update={"kind": kind}))
        return stored.model_copy(update={"tables": manifest.tables, "kind": kind})
    shutil.rmtree(target, ignore_errors=True)
    staging = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    staging.mkdir(parents=True)
    for name, entry in manifest.tables.items():
        file = staging / f"{name}.parquet"
        if entry.carried_from is None:
            shutil.copyfile(files[name], file)
        else:
            file.hardlink_to(lake.published_path(entry.carried_from, name))
    _write_manifest(staging, manifest)
    staging.replace(target)
    return manifest


def _write_manifest(folder: Path, manifest: PublicationManifest) -> None:
    with atomic_path(folder / "manifest.json") as temporary:
        temporary.write_text(json.dumps(manifest.model_dump(mode="json"), indent=1))


def _prune(lake: Lake, kept: Collection[str]) -> None:
    """Drop what PostgreSQL dropped: one rule decides there; every version's folder is complete in itself."""
    for folder in lake.published_dir("x").parent.iterdir():
        if folder.is_dir() and not folder.name.startswith(".") and folder.name not in kept:
            shutil.rmtree(folder)
