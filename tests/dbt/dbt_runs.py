"""Runs dbt the way the platform does: its own process, every path and the clock from the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import tiny_lake

PROJECT = Path(__file__).parents[2] / "dbt_project"


@dataclass(frozen=True)
class Build:
    """A finished dbt run: its folder, the warehouse file, dbt's exit code and what it printed."""

    home: Path
    file: Path
    code: int
    output: str


def settings_of(home: Path) -> dict[str, str]:
    """What dbt reads from the environment for the tiny lake under `home`."""
    return {
        "MUYUN_LAKE": str(home / "lake"),
        "MUYUN_WAREHOUSE_BUILD": str(home / "build.duckdb"),
        "MUYUN_AS_OF": tiny_lake.AS_OF.isoformat(),
        "MUYUN_TIME_ZONE": "Etc/GMT+5",
        "MUYUN_FIXED_OFFSET_MINUTES": str(tiny_lake.UTC_OFFSET_HOURS * 60),
    }


def run_dbt(home: Path, *command: str, environment: dict[str, str] | None = None) -> Build:
    """Run a dbt command in its own process with every path under `home`."""
    file = home / "build.duckdb"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MUYUN_", "DBT_"))}
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")),
            *command,
            *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)),
            *("--target-path", str(home / "target"), "--log-path", str(home / "logs")),
        ],
        env=inherited
        | (settings_of(home) if environment is None else environment)
        | {"DO_NOT_TRACK": "true"},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    return Build(home, file, done.returncode, done.stdout + done.stderr)
