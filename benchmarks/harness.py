"""What every benchmark shares: the result document, the table, the machine. Nothing is measured here."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

OURS = "muyun"


@dataclass(frozen=True)
class Row:
    """One measured value.

    Attributes:
        system: `muyun`, or the name of a peer or limit.
        metric: What was measured, unit last.
        value: The value.
        unit: Its unit.
        interval: Smallest and largest value of the repetitions, where there were several.
    """

    system: str
    metric: str
    value: float
    unit: str
    interval: tuple[float, float] | None = None


def report(
    home: Path,
    *,
    name: str,
    protocol: str,
    rows: Sequence[Row],
    wall_s: float,
    peak_rss_mb: float | None = None,
) -> Path:
    """Print the table and write `<home>/bench/<name>.json`.

    Args:
        home: The run-time folder.
        name: Name of the benchmark.
        protocol: How it was measured, in a few sentences.
        rows: The values.
        wall_s: Seconds the benchmark took.
        peak_rss_mb: Largest memory; None takes this process and its ended children.

    Returns:
        The file that was written.
    """
    document = {
        "name": name,
        "protocol": protocol,
        "machine": machine(),
        "commit": commit(),
        "rows": [asdict(row) for row in rows],
        "wall_s": round(wall_s, 2),
        "peak_rss_mb": round(peak_rss_mb if peak_rss_mb is not None else own_peak_rss_mb(), 1),
    }
    target = home / "bench" / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_suffix(".tmp")
    fresh.write_text(json.dumps(document, indent=2) + "\n")
    fresh.replace(target)
    print(table(rows))
    print(f"{name}: {document['wall_s']} s, {document['peak_rss_mb']} MB at most; written to {target}")
    return target


def table(rows: Sequence[Row]) -> str:
    """The rows as aligned text, in the given order."""
    cells = [("system", "metric", "value", "unit", "interval")]
    for row in rows:
        interval = " to ".join(_number(end) for end in row.interval) if row.interval else ""
        cells.append((row.system, row.metric, _number(row.value), row.unit, interval))
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    lines = []
    for line in cells:
        padded = [
            text.rjust(width) if column == 2 else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def _number(value: float) -> str:
    """Two decimals, and four of what lies below 1."""
    return f"{value:,.4f}" if 0 < abs(value) < 1 else f"{value:,.2f}"


def machine() -> str:
    """Processor, usable cores, memory, system and Python version."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [
            line.partition(":")[2].strip()
            for line in information.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0))
    memory = psutil.virtual_memory().total / 2**30
    python = platform.python_version()
    return f"{model}, {cores} cores, {memory:.0f} GiB, {platform.system()}, Python {python}"


def commit() -> str:
    """The commit of the working tree, with `+` when it has changes; `unknown` outside a repository."""
    root = Path(__file__).resolve().parents[1]
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True)
    if head.returncode != 0:
        return "unknown"
    changed = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=no"], cwd=root, capture_output=True, text=True
    )
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def own_peak_rss_mb() -> float:
    """Largest resident memory of this process or of one of its ended children, in MB."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) / 1024
