"""The reduced panel's warehouse built on both engines, once for all tests of this folder."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tags import reduced_panel
from pipelines.settings import Settings
from pipelines.spark.build import ALL_BUT_MARTS_OF_ANALYSTS, build_warehouse
from pipelines.warehouse.files import PROJECT_DIR, dbt_environment, dbt_program


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A session of Spark on this machine."""
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Spark needs Java, which this machine does not have")
    from pipelines.spark.session import spark_session

    with spark_session(tmp_path_factory.mktemp("spark") / "warehouse") as session:
        yield session


@dataclass(frozen=True)
class Panel:
    """The reduced panel on both engines: the DuckDB file, Spark's folder of tables, the moment of both."""

    settings: Settings
    duckdb: Path
    spark: Path
    as_of: dt.datetime


@pytest.fixture(scope="session")
def panel(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """Both engines' builds of the same lake."""
    home = tmp_path_factory.mktemp("panel")
    settings = Settings(home=home)
    as_of = reduced_panel.write(settings, one_in=32)
    settings.warehouse_build.parent.mkdir(parents=True)
    done = subprocess.run(
        [
            *(
                dbt_program(),
                "run",
                "--select",
                *ALL_BUT_MARTS_OF_ANALYSTS.split(),
                "--project-dir",
                str(PROJECT_DIR),
                "--profiles-dir",
                str(PROJECT_DIR),
            ),
            *("--target-path", str(home / "dbt"), "--log-path", str(home / "logs")),
        ],
        env=os.environ | dbt_environment(settings, as_of.isoformat()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    build_warehouse(settings, as_of)
    folder = Path(spark.conf.get("spark.sql.warehouse.dir").removeprefix("file:"))
    return Panel(settings, settings.warehouse_build, folder, as_of)
