"""Processor seconds of a command with all that it started: its children and the embedded PostgreSQL."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

_LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Cost:
    """What a command cost.

    Attributes:
        status: Its exit status.
        cpu_s: Processor seconds of it, its children and the database.
        wall_s: Seconds from start to end.
        said: What it wrote to standard out and error.
    """

    status: int
    cpu_s: float
    wall_s: float
    said: str


def cost_of(arguments: list[str], environment: Mapping[str, str], home: Path) -> Cost:
    """Run a Python module as a user would and measure it.

    The server of PostgreSQL is no child of the command. Its processor seconds are read every 50 ms; those of
    a server that stops are those of the last look, which misses at most that long.

    Args:
        arguments: What follows `python`.
        environment: Environment variables beside ours.
        home: `MUYUN_HOME` of the command.
    """
    database = _Database(home / "postgres")
    watcher = threading.Thread(target=database.watch, daemon=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = os.times().elapsed
    watcher.start()
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environment, "MUYUN_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    wall_s = os.times().elapsed - started
    database.done.set()
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(done.returncode, own + database.cpu_s, wall_s, done.stdout + done.stderr)


class _Database:
    """Adds up what the servers of one data folder use while somebody watches."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last: dict[int, float] = {}
        self._first: dict[int, float] = {}
        self.done = threading.Event()

    @property
    def cpu_s(self) -> float:
        return sum(self._last[pid] - self._first[pid] for pid in self._last)

    def watch(self) -> None:
        """Look until told that it is over; a server that ran before counts from the first look on."""
        self._look(is_first=True)
        while not self.done.wait(_LOOK_EVERY_S):
            self._look()
        self._look()

    def _look(self, *, is_first: bool = False) -> None:
        try:
            found = next(iter(self._folder.rglob("postmaster.pid")), None)
            if found is None:
                return
            server = psutil.Process(int(found.read_text().split()[0]))
            times = server.cpu_times()
            used = times.user + times.system + times.children_user + times.children_system
            for child in server.children():
                used += sum(child.cpu_times()[:2])
        except (OSError, ValueError, IndexError, psutil.Error):
            return
        self._first.setdefault(server.pid, used if is_first else 0.0)
        self._last[server.pid] = max(used, self._last.get(server.pid, 0.0))
