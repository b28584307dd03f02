"""Builds the warehouse with dbt, and the tags, in a Spark session."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from feature_store.registry import Registry
from feature_store.spark.tags import tag_table
from pipelines.settings import Settings
from pipelines.warehouse.files import PROJECT_DIR, environment_of_dbt

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TARGET = "spark"
"""The dbt target, and the folder of the home that a session on this machine writes."""

ALL_BUT_MARTS_OF_ANALYSTS = "staging intermediate marts.core"
"""Tags read the core, and intermediate tables that no mart reads."""


def build_warehouse(settings: Settings, as_of: datetime, select: str = ALL_BUT_MARTS_OF_ANALYSTS) -> None:
    """Every model of a selection, in the session of this process, under the contracts of its models.

    Args:
        settings: Name the lake and the time zone.
        as_of: The moment of the build.
        select: Models by dbt's selection.

    Raises:
        RuntimeError: dbt failed; the message carries what it said of each failure.
    """
    from dbt.cli.main import dbtRunner

    folder = settings.home / TARGET
    with environment_of_dbt(settings, as_of.isoformat()):
        done = dbtRunner().invoke(
            [
                *("--quiet", "run", "--target", TARGET, "--select", *select.split()),
                *("--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)),
                *("--target-path", str(folder / "dbt"), "--log-path", str(folder / "logs")),
                *("--vars", "{instant_type: timestamp}"),
            ]
        )
    if not done.success:
        results = getattr(done.result, "results", None) or []
        said = [f"{r.node.name}: {r.message}" for r in results if r.status not in ("success", "skipped")]
        raise RuntimeError("dbt failed on Spark:\n" + "\n".join(said or [str(done.exception)]))


def build_tags(session: SparkSession, settings: Settings, as_of: datetime, registry: Registry) -> Path:
    """The tag table of a registry's entity as Parquet files.

    Args:
        session: The session in which the warehouse was built.
        settings: Name the home and the time zone.
        as_of: The moment.
        registry: Tags of one entity.

    Returns:
        The folder, `<home>/spark/tags/<entity>`.
    """
    folder = settings.home / TARGET / "tags" / registry.entity
    parts = settings.home / TARGET / "parts" / registry.entity
    shutil.rmtree(parts, ignore_errors=True)
    with tag_table(session, as_of, parts, time_zone=settings.zone, registry=registry) as tags:
        tags.write.mode("overwrite").parquet(str(folder))
    return folder
