"""The dbt project from outside: where it lies, what it is run with. No dbt and no Dagster here."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from feature_store.language.zones import fixed_offset_minutes
from pipelines.settings import REPOSITORY, Settings

PROJECT_DIR = REPOSITORY / "dbt_project"
DBT_PACKAGES = ("dbt-core", "dbt-duckdb", "duckdb")
"""Distributions that decide what a build makes of the project."""

_READ = {".sql", ".yml", ".yaml", ".csv"}


def project_version() -> str:
    """Hash of the content of every file of the project that dbt reads."""
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(PROJECT_DIR.rglob("*")):
        if file.suffix in _READ and "target" not in file.parts:
            digest.update(str(file.relative_to(PROJECT_DIR)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def dbt_program() -> str:
    """The dbt of this very environment, which need not be on the path."""
    return str(Path(sys.executable).with_name("dbt"))


def dbt_environment(settings: Settings, as_of: str) -> dict[str, str]:
    """What the dbt profile and project read from the environment."""
    fixed = fixed_offset_minutes(settings.zone)
    return {
        "MUYUN_LAKE": str(settings.lake_dir),
        "MUYUN_WAREHOUSE_BUILD": str(settings.warehouse_build),
        "MUYUN_AS_OF": as_of,
        "MUYUN_TIME_ZONE": settings.zone,
        "MUYUN_FIXED_OFFSET_MINUTES": "" if fixed is None else str(fixed),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "true",
    }


@contextmanager
def environment_of_dbt(settings: Settings, as_of: str) -> Iterator[None]:
    """The environment of this process as dbt needs it, until the block ends.

    What is left behind would be read as settings by whatever this process does next.
    """
    values = dbt_environment(settings, as_of)
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
