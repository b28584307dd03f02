"""Describes the graph of the embedded configuration; run as a program it rewrites the snapshot.

With `--describe` it loads the code location in a process of its own, the way Dagster does, and prints what it
found as JSON, together with what the loading cost and which modules it imported. Nothing here judges.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SNAPSHOT = Path(__file__).with_name("snapshot.json")
REPOSITORY = Path(__file__).resolve().parents[2]


def load_in_a_new_process(home: Path) -> dict[str, Any]:
    """Load the code location with a run folder; returns `graph`, `modules`, `cpu_s` and `undocumented`."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith("MUYUN_")}
    done = subprocess.run(
        [sys.executable, __file__, "--describe"],
        cwd=REPOSITORY,
        env=settings | {"MUYUN_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "yes", "DO_NOT_TRACK": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the code location does not load:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def as_text(graph: dict[str, Any]) -> str:
    """The form in which the snapshot is kept."""
    return json.dumps(graph, indent=1, sort_keys=True) + "\n"


def _load() -> dict[str, Any]:
    started = time.process_time()
    from pipelines.definitions import defs

    repository = defs().get_repository_def()
    cpu_s = time.process_time() - started
    modules = sorted({name.split(".")[0] for name in sys.modules})
    graph = repository.asset_graph
    nodes = {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}
    return {
        "graph": {
            "assets": {name: _asset(graph, node) for name, node in nodes.items()},
            "jobs": {
                job.name: sorted(key.to_user_string() for key in job.asset_layer.executable_asset_keys)
                for job in repository.get_all_jobs()
                if not job.name.startswith("__")
            },
            "schedules": {
                schedule.name: {
                    "cron": schedule.cron_schedule,
                    "job": schedule.job_name,
                    "starts": schedule.default_status.value,
                }
                for schedule in repository.schedule_defs
            },
            "sensors": {
                sensor.name: {
                    "kind": sensor.sensor_type.value,
                    "jobs": sorted(target.job_name for target in sensor.targets if target.job_name),
                    "every_s": sensor.minimum_interval_seconds,
                    "starts": sensor.default_status.value,
                }
                for sensor in repository.sensor_defs
            },
        },
        "undocumented": sorted(name for name, node in nodes.items() if not (node.description or "").strip()),
        "modules": modules,
        "cpu_s": cpu_s,
    }


def _asset(graph: Any, node: Any) -> dict[str, Any]:
    return {
        "group": node.group_name,
        "owners": sorted(node.owners),
        "kinds": sorted(node.kinds),
        "deps": sorted(key.to_user_string() for key in node.parent_keys),
        "checks": {
            key.name: "blocking" if graph.get_check_spec(key).blocking else "reporting"
            for key in node.check_keys
        },
        "partitions": type(node.partitions_def).__name__ if node.partitions_def else None,
        "pools": sorted(node.pools or ()),
        "is_executable": node.is_executable,
    }


def _regenerate() -> None:
    with tempfile.TemporaryDirectory() as folder:
        SNAPSHOT.write_text(as_text(load_in_a_new_process(Path(folder))["graph"]))
    sys.stdout.write(f"wrote {SNAPSHOT}\n")


if __name__ == "__main__":
    if "--describe" in sys.argv:
        json.dump(_load(), sys.stdout)
    else:
        _regenerate()
