"""The same lake on DuckDB and on Apache Spark: what differs, and what either costs on this machine.

The embedded panel cut to an eighth of its consumers; MUYUN_BENCH_ONE_IN=1 takes all of it. Needs the extra
`spark` and Java.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl
import psutil

from benchmarks.harness import OURS, Row, report
from benchmarks.tags import reduced_panel
from feature_store.compiler import compile_tags
from feature_store.point_in_time import run
from feature_store.registry import Registry, entities, load_registry
from pipelines.settings import Settings
from pipelines.spark.build import build_tags, build_warehouse
from pipelines.spark.compare import compare_tables, compare_tags
from pipelines.spark.session import MEMORY, NoSparkError, spark_session
from pipelines.warehouse.files import PROJECT_DIR, dbt_environment, dbt_program

SPARK = "spark"


def main() -> int:
    """Runs the benchmark; 1 when a table or a tag differs. Without Spark it says so and measures nothing."""
    started = time.monotonic()
    one_in = int(os.environ.get("MUYUN_BENCH_ONE_IN", "8"))
    for name in [name for name in os.environ if name.startswith("MUYUN_") and name != "MUYUN_HOME"]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="muyun-spark-") as folder:
        try:
            rows = _compared(Settings(home=Path(folder)), one_in)
        except NoSparkError as error:
            print(f"spark_equal: not run: {error}", file=sys.stderr)
            return 0
    report(
        Path(os.environ.get("MUYUN_HOME", "var")),
        name="spark_equal",
        protocol=(
            f"The embedded panel, one of {one_in} consumers kept, every dbt model and every tag of every "
            f"entity on both engines from one lake, Spark in {MEMORY} of memory. Of tables, names, "
            "types, and hashes of every column's values and of the rows; of tags, every value to the bit. "
            "Processor seconds of both processes and their children, Spark's with the start of its Java."
        ),
        rows=rows,
        wall_s=time.monotonic() - started,
    )
    different = [row for row in rows if row.metric.endswith("_different") and row.value]
    return 1 if different else 0


def _compared(settings: Settings, one_in: int) -> list[Row]:
    as_of = reduced_panel.write(settings, one_in=one_in)
    settings.warehouse_build.parent.mkdir(parents=True)
    paths = ["--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)]
    with _cost() as dbt_duckdb:
        subprocess.run(
            [dbt_program(), "--quiet", "run", *paths, "--target-path", str(settings.home / "dbt")],
            env=os.environ | dbt_environment(settings, as_of.isoformat()),
            check=True,
        )
    tables = settings.home / "spark" / "warehouse"
    rows: list[Row] = []
    different_tags = 0
    with spark_session(tables) as session:
        with _cost() as dbt_spark:
            build_warehouse(settings, as_of, select="*")
        for entity in entities():
            registry = load_registry(entity=entity)
            with _cost() as tags_spark:
                folder = build_tags(session, settings, as_of, registry)
            with _cost() as tags_duckdb:
                compared = _tags_on_both(settings, registry, pl.read_parquet(folder / "*.parquet"))
            for name, count in compared.items():
                print(f"tag {name} of {entity} differs in {count} rows")
            different_tags += len(compared)
            rows.append(Row(OURS, f"{entity}_tags", len(registry.tags), "tags"))
            rows += _costs(f"{entity}_tags", tags_duckdb, tags_spark)
    rows.append(Row(OURS, "tags_different", different_tags, "tags"))
    for schema in ("core", "analyst", "intermediate"):
        counted, different = compare_tables(settings.warehouse_build, tables, schema)
        rows.append(Row(OURS, f"{schema}_tables", len(counted), "tables"))
        rows.append(Row(OURS, f"{schema}_tables_different", len(different), "tables"))
        for difference in different:
            print(f"{schema}.{difference.table}: {difference.what}")
    return [*rows, *_costs("dbt", dbt_duckdb, dbt_spark)]


def _tags_on_both(settings: Settings, registry: Registry, theirs: pl.DataFrame) -> dict[str, int]:
    """Rows that differ, by tag, between Spark's table and DuckDB's for the same entities."""
    theirs = theirs.sort("row_id")
    with duckdb.connect(str(settings.warehouse_build), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 2")
        ours = run(
            connection,
            compile_tags(registry, time_zone=settings.zone),
            theirs.select("row_id", registry.id_column, pl.col("as_of").dt.replace_time_zone(None)),
        )
    return compare_tags(ours.drop("row_id", "as_of"), theirs.drop("row_id", "as_of"))


def _costs(step: str, ours: _Cost, spark: _Cost) -> list[Row]:
    return [
        Row(system, f"{step}_{metric}", value, unit)
        for system, cost in ((OURS, ours), (SPARK, spark))
        for metric, value, unit in (("s", cost.wall_s, "s"), ("cpu_s", cost.cpu_s, "cpu s"))
    ]


@dataclass
class _Cost:
    """Seconds, and processor seconds of this process, its ended children and its living ones."""

    wall_s: float = 0.0
    cpu_s: float = 0.0


@contextmanager
def _cost() -> Iterator[_Cost]:
    cost, started, before = _Cost(), time.monotonic(), _cpu_s()
    yield cost
    cost.wall_s, cost.cpu_s = time.monotonic() - started, _cpu_s() - before


def _cpu_s() -> float:
    own = [resource.getrusage(kind) for kind in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    living = sum(sum(process.cpu_times()[:2]) for process in psutil.Process().children(recursive=True))
    return sum(usage.ru_utime + usage.ru_stime for usage in own) + living
