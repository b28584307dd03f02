"""The Spark session: on this machine, or wherever Spark's own configuration says. Needs the extra `spark`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MEMORY = "3g"
"""Memory of a session on this machine."""


class NoSparkError(Exception):
    """Spark cannot start; the message says what to install."""


@contextmanager
def spark_session(folder: Path) -> Iterator[SparkSession]:
    """A session in UTC, stopped at the end.

    Without a master in Spark's configuration (`spark-submit`, `spark-defaults.conf`) it runs on this machine
    with as many threads as there are cores, and its tables lie in `folder`, which is emptied.

    Args:
        folder: Where a session on this machine keeps its tables.

    Raises:
        NoSparkError: pyspark or Java is missing.
    """
    try:
        from pyspark import SparkConf
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise NoSparkError("pyspark is not installed; install muyun[spark]") from error
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise NoSparkError("Spark needs Java 17 or newer; install one, or name it in JAVA_HOME")
    # dbt asks for a session in Spark's default catalogue; ours is the one that it finds.
    builder = SparkSession.builder.appName("muyun").config("spark.sql.session.timeZone", "UTC")
    # Instants as other readers of Parquet know them; Spark's own default is an old type without a zone.
    builder = builder.config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
    if SparkConf().get("spark.master") is None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        cores = len(os.sched_getaffinity(0))
        for key, value in {
            "spark.master": f"local[{cores}]",
            "spark.driver.memory": MEMORY,
            "spark.driver.host": "127.0.0.1",
            "spark.sql.shuffle.partitions": str(cores),
            "spark.sql.warehouse.dir": str(folder),
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
        }.items():
            builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    try:
        yield session
    finally:
        session.stop()
