"""How long steps take: as in the last run of this home, else as on the embedded panel, by size.

No Dagster here. An estimate orders steps and tells a person how long to wait; no result depends on it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

PANEL_ROWS = 26_900_000
"""Rows of the embedded panel, to which the seconds in `expected.yaml` belong."""

BYTES_A_ROW = 40
"""Of a text file of the data contract, on average; typed files are smaller and count for fewer rows."""

OVERLAP = 1.5
"""Steps at work at a time on two cores, on average."""

START_S = 8.0
"""Database, graph and the last page."""

_OTHER = (0.1, 0.1)


@cache
def _panel_seconds() -> dict[str, tuple[float, float]]:
    document = yaml.safe_load(Path(__file__).with_name("expected.yaml").read_text())
    return {name: (float(always), float(growing)) for name, (always, growing) in document.items()}


def step_name(key: str) -> str:
    """The name of a step in journals and progress lines.

    >>> step_name("models__demand__forecasters"), step_name("dbt_build")
    ('models/demand/forecasters', 'warehouse/dbt_build')
    """
    return "warehouse/dbt_build" if key == "dbt_build" else key.replace("__", "/")


def step_seconds(key: str, size: float = 1.0, last: Mapping[str, float] | None = None) -> float:
    """Seconds that a step will take.

    Args:
        key: Dagster's step key, or the name of a progress line.
        size: Rows as a multiple of the panel's.
        last: Seconds by step name of this home's last run.
    """
    name = step_name(key)
    if last and name in last:
        return last[name]
    seconds = _panel_seconds()
    kind = "checks" if name.startswith("checks/") or "_are_" in name or "_is_" in name else name
    always, growing = seconds.get(kind, _OTHER)
    return always + growing * size


def last_seconds(runs: Path) -> dict[str, float]:
    """Seconds of each step as it was last done in a home; a step that a run skipped keeps its older figure.

    Args:
        runs: The folder of journals, one JSON line a step.
    """
    found: dict[str, float] = {}
    journals = sorted(runs.glob("*.jsonl"), key=lambda file: file.stat().st_mtime) if runs.is_dir() else []
    for journal in journals:
        for line in journal.read_text().splitlines():
            try:
                record = json.loads(line)
                found[record["name"]] = float(record["wall_s"])
            except (ValueError, KeyError, TypeError):
                continue  # a killed run leaves half a line
    return found


def run_seconds(names: list[str], size: float, last: Mapping[str, float]) -> float:
    """Wall seconds of a whole run of these steps."""
    return START_S + sum(step_seconds(name, size, last) for name in names) / OVERLAP


def all_steps() -> list[str]:
    """Steps of the shipped graph that take noticeable time."""
    return [name for name in _panel_seconds() if name != "checks"]
