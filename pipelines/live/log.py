"""What each tick of the live loop did: a bounded log that the report, the alarm and a person read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from pipelines.lake.files import atomic_path

KEPT = 2016
"""Ticks kept: a week of ticks every five minutes."""


@dataclass(frozen=True)
class Comparison:
    """The live store beside a full rebuild at the same moment over the same rows.

    Attributes:
        rows: Rows compared, tables and tags together.
        differences: Rows that differ, by table; empty when none does.
        reason: Why nothing could be compared; empty when it was.
    """

    rows: int = 0
    differences: dict[str, int] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Tick:
    """What a tick did.

    Attributes:
        number: Number of the tick; that of the one before when nothing was found.
        generation: The publication it refined.
        as_of: Business time (UTC).
        began_at: Wall clock (UTC).
        wall_s: Seconds it took.
        cpu_s: Processor seconds of this process, all threads.
        peak_rss_mb: Highest resident memory while it ran, MiB.
        found: Whether anything was to be done.
        rows: New row versions by contract table.
        waiting: Rows that were refused and are tried again.
        dirty: Entities that were looked at, by refresh class.
        changed: Entities whose tags changed, by refresh class.
        removed: Profiles that went.
        prices: Prices that changed.
        lag_s: The longest that a row of this tick can have waited, wall clock: from the begin of the tick
            before to the publication; None without rows, and for the first tick of all.
        stages: Seconds by stage.
        comparison: With the nightly rebuild, at the begin of a generation.
        wants_full_run: Why the tick could not take everything in and a full run is needed; empty when it did.
        erased: Persons who were erased and left the live store.
    """

    number: int
    generation: str
    as_of: datetime
    began_at: datetime
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss_mb: float = 0.0
    found: bool = False
    rows: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    dirty: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    removed: int = 0
    prices: int = 0
    lag_s: float | None = None
    stages: dict[str, float] = field(default_factory=dict)
    comparison: Comparison | None = None
    wants_full_run: str = ""
    erased: int = 0


class TickLog:
    """The log under the folder of the live loop, newest tick last.

    Args:
        folder: The home's folder of the live loop.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "ticks.jsonl"

    def append(self, tick: Tick) -> None:
        """Add a tick; the oldest ones go."""
        line = {**asdict(tick), "as_of": tick.as_of.isoformat(), "began_at": tick.began_at.isoformat()}
        lines = self._lines()
        if len(lines) < KEPT + KEPT // 4:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a") as file:
                file.write(json.dumps(line) + "\n")
            return
        with atomic_path(self._file) as temporary:
            temporary.write_text("".join(f"{kept}\n" for kept in [*lines[-KEPT + 1 :], json.dumps(line)]))

    def ticks(self) -> list[Tick]:
        """Every tick kept; a line that a killed process left half is passed over."""
        found = []
        for line in self._lines():
            try:
                found.append(_tick(json.loads(line)))
            except (ValueError, TypeError, KeyError):
                continue
        return found

    def last(self) -> Tick | None:
        """The newest tick."""
        return next(reversed(self.ticks()), None)

    def _lines(self) -> list[str]:
        return self._file.read_text().splitlines() if self._file.exists() else []


def _tick(line: dict[str, object]) -> Tick:
    moments = {name: datetime.fromisoformat(str(line[name])) for name in ("as_of", "began_at")}
    compared = line.get("comparison")
    comparison = Comparison(**compared) if isinstance(compared, dict) else None
    return Tick(**{**line, **moments, "comparison": comparison})  # type: ignore[arg-type]
