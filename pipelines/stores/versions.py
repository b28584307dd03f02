"""The published versions in the lake, told from their files alone. No PostgreSQL here."""

from __future__ import annotations

from pipelines.lake.tables import Lake
from serving.scores.contracts import PublicationManifest


def read_manifest(lake: Lake, version: str) -> PublicationManifest | None:
    """The manifest of a version in the lake, or None when it is not there."""
    path = lake.published_dir(version) / "manifest.json"
    return PublicationManifest.model_validate_json(path.read_text()) if path.exists() else None


def has_files(lake: Lake, manifest: PublicationManifest) -> bool:
    """Whether every table of a version is there."""
    return all(lake.published_path(manifest.version, name).exists() for name in manifest.tables)


def is_whole_in_lake(lake: Lake, version: str) -> bool:
    """Whether the lake holds a version with all its files."""
    manifest = read_manifest(lake, version)
    return manifest is not None and has_files(lake, manifest)
