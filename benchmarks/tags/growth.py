"""How the builds of facts and of tags grow with the consumers: 1, 10 and more times the same small shop.

The embedded panel cut to one of `MUYUN_BENCH_ONE_IN` consumers (default 64) is the unit. `MUYUN_BENCH_TIMES`
(default 1,10,100) says how many consumers are made of each; products, shops and placements stay.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from benchmarks.harness import OURS, Row, report
from benchmarks.tags import reduced_panel
from feature_store.offline import build_tags
from pipelines.clock import Clock
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.stores.sources import Sources
from pipelines.warehouse.files import PROJECT_DIR, dbt_environment, dbt_program

ONE_IN = int(os.environ.get("MUYUN_BENCH_ONE_IN", "64"))
TIMES = tuple(int(size) for size in os.environ.get("MUYUN_BENCH_TIMES", "1,10,100").split(","))


@dataclass(frozen=True)
class Cost:
    """What a process cost: seconds, processor seconds, and the most memory that it held, in MB."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def main() -> int:
    """Runs the benchmark; 1 when a build fails."""
    started = time.monotonic()
    home = Path(os.environ.get("MUYUN_HOME", "var"))
    for name in [name for name in os.environ if name.startswith("MUYUN_")]:
        del os.environ[name]
    rows: list[Row] = []
    costs: dict[str, list[Cost]] = {"facts": [], "tags": []}
    with tempfile.TemporaryDirectory(prefix="muyun-growth-") as folder:
        unit = Settings(home=Path(folder) / "unit")
        reduced_panel.write(unit, one_in=ONE_IN)
        for size in TIMES:
            settings = Settings(home=Path(folder) / str(size))
            shutil.copytree(unit.lake_dir, settings.lake_dir)
            reduced_panel.multiply(Lake(settings.lake_dir), size)
            costs["facts"].append(_facts(settings))
            costs["tags"].append(_cost([sys.executable, "-m", "benchmarks.tags.growth", str(settings.home)]))
            rows += _counted(settings, size)
            for stage, found in costs.items():
                rows += _rows(f"{stage}_{size}x", found[-1])
            shutil.rmtree(settings.home)
    for stage, found in costs.items():
        for size, cost in zip(TIMES[1:], found[1:], strict=True):
            rows.append(
                Row(OURS, f"{stage}_{size}x_to_{TIMES[0]}x_cpu", cost.cpu_s / found[0].cpu_s, "ratio")
            )
    report(
        home,
        name="growth",
        protocol=(
            f"The embedded panel, one of {ONE_IN} consumers kept, then so many times as many consumers with "
            "rows of their own; DuckDB. Facts: every dbt model. Tags: all tags of all consumers. Each is a "
            "process of its own, its start included."
        ),
        rows=rows,
        wall_s=time.monotonic() - started,
    )
    return 0


def _facts(settings: Settings) -> Cost:
    """Every dbt model of a lake."""
    settings.warehouse_build.parent.mkdir(parents=True)
    paths = ["--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)]
    paths += ["--target-path", str(settings.home / "dbt"), "--log-path", str(settings.home / "logs")]
    return _cost([dbt_program(), "--quiet", "run", *paths], dbt_environment(settings, _as_of(settings)))


def _as_of(settings: Settings) -> str:
    return Clock(settings, Sources(settings, Lake(settings.lake_dir))).now().isoformat()


def _cost(arguments: list[str], environment: dict[str, str] | None = None) -> Cost:
    """Runs a program to its end.

    Raises:
        CalledProcessError: It failed.
    """
    started = time.monotonic()
    process = subprocess.Popen(arguments, env=os.environ | (environment or {}))
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments)
    return Cost(time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _counted(settings: Settings, size: int) -> list[Row]:
    with duckdb.connect(str(settings.warehouse_build), read_only=True) as con:
        return [
            Row(
                OURS,
                f"{what}_{size}x",
                con.execute(f"SELECT COUNT(*) FROM core.{table}").fetchall()[0][0],
                "rows",
            )
            for what, table in (
                ("consumers", "dim_consumers"),
                ("events", "fct_events"),
                ("lines", "fct_order_lines"),
            )
        ]


def _rows(stage: str, cost: Cost) -> list[Row]:
    return [
        Row(OURS, f"{stage}_s", cost.wall_s, "s"),
        Row(OURS, f"{stage}_cpu_s", cost.cpu_s, "cpu s"),
        Row(OURS, f"{stage}_peak_mb", cost.peak_mb, "MB"),
    ]


def _tags(home: Path) -> None:
    """The tags of every consumer of a warehouse, in this process."""
    settings = Settings(home=home)
    with duckdb.connect(str(settings.warehouse_build), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'; SET threads = 2; SET memory_limit = '2GB'")
        build_tags(
            con, Clock(settings, Sources(settings, Lake(settings.lake_dir))).now(), time_zone=settings.zone
        )


if __name__ == "__main__":
    _tags(Path(sys.argv[1]))
