"""The first run on the embedded panel in a fresh home: two cores used, bounded memory, never long silent."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.harness import OURS, Row, report

WALL_PER_CPU = 0.62
PEAK_RSS_MB = 6144.0
FIRST_LINE_S = 5.0

_EVERY_S = 0.25


@dataclass
class Tree:
    """CPU and memory of a command, its children, and the PostgreSQL of its home.

    Attributes:
        home: `MUYUN_HOME` of the command; its PostgreSQL leaves the tree and is found by it.
        seconds: CPU seconds (user and system) by process.
        peak_mb: Largest sum of resident memory; shared pages of PostgreSQL are counted once at most.
    """

    home: Path
    seconds: dict[tuple[int, float], float] = field(default_factory=dict)
    peak_mb: float = 0.0

    def sample(self, root: psutil.Process) -> None:
        """Look once."""
        resident = 0
        for process in self._all(root):
            try:
                times, memory = process.cpu_times(), process.memory_info()
                key = (process.pid, process.create_time())
                resident += memory.rss - (memory.shared if process.name() == "postgres" else 0)
            except psutil.Error:
                continue
            self.seconds[key] = times.user + times.system
        self.peak_mb = max(self.peak_mb, resident / 2**20)

    def _all(self, root: psutil.Process) -> set[psutil.Process]:
        try:
            found = {root, *root.children(recursive=True)}
        except psutil.Error:
            return set()
        for process in psutil.process_iter(["name", "cmdline"]):
            command = " ".join(process.info["cmdline"] or [])
            if process.info["name"] == "postgres" and str(self.home) in command:
                found |= {process, *process.children(recursive=True)}
        return found

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all processes together."""
        return sum(self.seconds.values())


@dataclass
class Lines:
    """When a command wrote: seconds to the first line, and the longest pause between two."""

    started: float
    first_s: float | None = None
    longest_pause_s: float = 0.0
    last: float = 0.0

    def read(self, stream: object) -> None:
        """Take lines until the stream ends."""
        for _ in stream:  # type: ignore[attr-defined]
            now = time.monotonic()
            if self.first_s is None:
                self.first_s = now - self.started
            else:
                self.longest_pause_s = max(self.longest_pause_s, now - self.last)
            self.last = now


def main() -> int:
    """Runs the benchmark; 1 when the run failed or a figure is missed."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="muyun-first-") as temporary:
        home = Path(temporary) / "home"
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("MUYUN_")}
        tree, lines, status = _watched(home, inherited | {"MUYUN_HOME": str(home)})
        wall = time.monotonic() - started
    rows = [
        Row(OURS, "wall_per_cpu", wall / tree.cpu_s, "ratio"),
        Row(OURS, "peak_rss_mb", tree.peak_mb, "MB"),
        Row(OURS, "wall_s", wall, "s"),
        Row(OURS, "cpu_s", tree.cpu_s, "s"),
        Row(OURS, "first_line_s", lines.first_s or wall, "s"),
        Row(OURS, "longest_silence_s", lines.longest_pause_s, "s"),
        Row("limit", "wall_per_cpu", WALL_PER_CPU, "ratio"),
        Row("limit", "peak_rss_mb", PEAK_RSS_MB, "MB"),
        Row("limit", "first_line_s", FIRST_LINE_S, "s"),
    ]
    report(
        Path(os.environ.get("MUYUN_HOME", "var")),
        name="first_run",
        protocol=(
            "`muyun run` on the embedded panel in a fresh temporary home, without the install. CPU is user "
            "and system time of the command, its children and its PostgreSQL, sampled every "
            f"{_EVERY_S} s; memory is the largest sum of their resident sets. Lines are those on standard "
            "error. Only an idle machine gives a wall time that means something."
        ),
        rows=rows,
        wall_s=wall,
        peak_rss_mb=tree.peak_mb,
    )
    kept = wall / tree.cpu_s <= WALL_PER_CPU and tree.peak_mb <= PEAK_RSS_MB
    return 0 if status == 0 and kept and (lines.first_s or wall) <= FIRST_LINE_S else 1


def _watched(home: Path, environment: dict[str, str]) -> tuple[Tree, Lines, int]:
    """A first run, sampled until it has ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", "run"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = Lines(time.monotonic())
    reader = threading.Thread(target=lines.read, args=(process.stderr,))
    reader.start()
    tree, root = Tree(home), psutil.Process(process.pid)
    while process.poll() is None:
        tree.sample(root)
        time.sleep(_EVERY_S)
    reader.join()
    return tree, lines, process.returncode


if __name__ == "__main__":
    raise SystemExit(main())
