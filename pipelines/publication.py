"""Publications: an immutable version in the lake, then the same version in PostgreSQL. No Dagster here.

A table whose content did not change since the version that serves is carried over, in the lake by a hard
link and in PostgreSQL by reference, so that an hourly price refresh writes prices only.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from models.contracts import PUBLISHED_TABLES
from pipelines.lake import Lake
from serving.scores import loader
from serving.scores.contracts import PublicationManifest, TableEntry, content_hash_of

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
        manifest: The version that serves now.
        is_new: False when the content equals the version that served before.
        loaded: Rows copied into PostgreSQL by table.
    """

    manifest: PublicationManifest
    is_new: bool
    loaded: dict[str, int]


def empty_scores(name: str) -> pl.DataFrame:
    """A published table without rows."""
    return pl.DataFrame(schema={c.name: _TYPES[c.type] for c in PUBLISHED_TABLES[name].columns})


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
    as_of: datetime,
    data_from: datetime,
    data_to: datetime,
    model_versions: Mapping[str, str],
    keep_versions: int,
) -> Published:
    """Make a version of the current scores and switch readers to it.

    The lake's version is complete before PostgreSQL hears of it; PostgreSQL switches in one transaction. A
    failure at any point leaves the version that served before serving.

    Args:
        lake: Holds the scored tables and the published versions.
        database_url: The serving database, migrated.
        as_of: Business time of the scores.
        data_from: Oldest data used.
        data_to: Newest data used.
        model_versions: Model name to serving version.
        keep_versions: Versions kept in the lake and in PostgreSQL.

    Returns:
        What was published; the same content twice makes no new version.
    """
    serving = loader.current(database_url)
    before = read_manifest(lake, serving.version) if serving is not None else None
    files = {name: lake.derived_path(score_key(name)) for name in PUBLISHED_TABLES}
    entries = {name: _entry(files[name], before, name) for name in PUBLISHED_TABLES}
    content = content_hash_of(as_of, model_versions, entries)
    if before is not None and before.content_hash == content:
        return Published(before, is_new=False, loaded={})
    manifest = PublicationManifest.build(
        version=f"{as_of:%Y%m%dT%H%M%S}-{content[:10]}",
        created_at=datetime.now(UTC),
        as_of=as_of,
        data_from=data_from,
        data_to=data_to,
        model_versions=model_versions,
        tables=entries,
    )
    manifest = _write_version(lake, manifest, files)
    result = loader.publish(
        database_url,
        manifest,
        {
            name: pl.read_parquet(files[name]).to_arrow()
            for name, entry in manifest.tables.items()
            if entry.carried_from is None
        },
        keep_versions=keep_versions,
    )
    _prune(lake, keep_versions, manifest)
    return Published(manifest, is_new=True, loaded=result.loaded)


def read_manifest(lake: Lake, version: str) -> PublicationManifest | None:
    """The manifest of a version in the lake, or None when it is not there."""
    path = lake.published_dir(version) / "manifest.json"
    return PublicationManifest.model_validate_json(path.read_text()) if path.exists() else None


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
    if (target / "manifest.json").exists():
        stored = PublicationManifest.model_validate_json((target / "manifest.json").read_text())
        return stored.model_copy(update={"tables": manifest.tables})
    staging = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    staging.mkdir(parents=True)
    for name, entry in manifest.tables.items():
        file = staging / f"{name}.parquet"
        if entry.carried_from is None:
            shutil.copyfile(files[name], file)
        else:
            file.hardlink_to(lake.published_path(entry.carried_from, name))
    (staging / "manifest.json").write_text(json.dumps(manifest.model_dump(mode="json"), indent=1))
    staging.replace(target)
    return manifest


def _prune(lake: Lake, keep_versions: int, current: PublicationManifest) -> None:
    """Drop versions beyond the newest; every version's folder is complete in itself."""
    folders = [
        path
        for path in lake.published_dir(current.version).parent.iterdir()
        if path.is_dir() and not path.name.startswith(".")
    ]
    manifests = [m for path in folders if (m := read_manifest(lake, path.name)) is not None]
    manifests.sort(key=lambda m: m.created_at, reverse=True)
    for manifest in manifests[keep_versions:]:
        if manifest.version != current.version:
            shutil.rmtree(lake.published_dir(manifest.version))
