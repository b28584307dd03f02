"""Freshly scored tables and the model versions that made them, until the publication takes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from pipelines.lake.tables import Lake
from pipelines.stores import publication


class Scores:
    """Scored tables in the lake.

    Args:
        lake: Where they lie.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def save(self, name: str, frame: pl.DataFrame) -> None:
        """Keep a table for publication, in the published columns and types."""
        self._lake.put(publication.score_key(name), publication.conform(name, frame))

    def get(self, name: str) -> pl.DataFrame:
        """A table as it was saved.

        Raises:
            LakeError: No step has scored it.
        """
        return self._lake.get(publication.score_key(name))

    def files(self, *names: str) -> list[Path]:
        """Where tables are kept."""
        return [self._lake.derived_path(publication.score_key(name)) for name in names]

    def versions_file(self, family: str) -> Path:
        """Where the versions behind a family's scores are kept."""
        return self._lake.report_path(f"model_versions/{family}")

    def save_model_versions(self, family: str, versions: Mapping[str, str]) -> None:
        """Remember which versions made the current scores of a family."""
        self._lake.write_report(f"model_versions/{family}", dict(versions))

    def model_versions(self, family: str) -> dict[str, str]:
        """Which versions made the current scores of a family; empty when it has not scored."""
        return self._lake.read_report(f"model_versions/{family}") or {}
