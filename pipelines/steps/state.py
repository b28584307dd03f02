"""What each step last did: its fingerprint, what it reported, what it cost.

A step whose inputs, code and settings are unchanged is not done again; a step that was killed left no record
and is done again. The record is written after the step's outputs, by atomic rename.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True)
class CheckRecord:
    """Outcome of one asset check.

    Attributes:
        name: Check name, a sentence.
        passed: The outcome.
        metadata: JSON-able facts for the UI; keys that end in `_md` are Markdown.
        is_error: False for a check that warns: the step's work stands although the check did not pass.
    """

    name: str
    passed: bool
    metadata: dict[str, Any] = field(default_factory=dict)
    is_error: bool = True


@dataclass(frozen=True)
class StepRecord:
    """What a finished step left behind.

    Attributes:
        key: Asset key with slashes.
        fingerprint: Hash of inputs, code and settings; time and outputs are recorded beside it.
        version: Data version of the output; equal versions mean equal content.
        metadata: JSON-able facts for the UI; keys that end in `_md` are Markdown.
        checks: Outcomes of the checks that the step made.
        wall_s: Seconds the step took.
        peak_rss_mb: Highest resident memory of the process and its children while it ran, MiB.
        as_of: Business time of the step, ISO 8601.
        clock: How far business time decides the result; see `pipelines.clock.Sensitivity`.
        until: Business time from which the result is no longer true, ISO 8601; empty when there is none.
        evidence: What the outputs looked like; see `pipelines.steps.evidence`.
        deciding: Hash of code and settings alone, for a step whose result may outlive its inputs.
    """

    key: str
    fingerprint: str
    version: str
    metadata: dict[str, Any]
    checks: list[CheckRecord]
    wall_s: float
    peak_rss_mb: float
    as_of: str = ""
    clock: str = "instant"
    until: str = ""
    evidence: dict[str, str] = field(default_factory=dict)
    deciding: str = ""


@dataclass
class Outcome:
    """What a step's body reports.

    Attributes:
        rows: Rows written; shown in the UI and in the progress line.
        metadata: JSON-able facts for the UI; keys that end in `_md` are Markdown.
        checks: Outcomes of the checks declared on the asset.
        version: Hash of the content when the body knows it; None means that of the outputs' bytes, or without
            outputs of the step's fingerprint and time.
        clock: How far business time decided this very result, where that is known only after the work.
        until: Business time from which the result is no longer true, where there is one.
    """

    rows: int
    metadata: dict[str, Any] = field(default_factory=dict)
    checks: list[CheckRecord] = field(default_factory=list)
    version: str | None = None
    clock: str | None = None
    until: datetime | None = None


class StateStore:
    """Step records as one JSON file a key under a folder.

    Args:
        root: The folder; created on first write.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, key: str) -> StepRecord | None:
        """The last record of a step; None when it never finished or the record cannot be read."""
        path = self._path(key)
        try:
            raw = json.loads(path.read_text())
            return StepRecord(**{**raw, "checks": [CheckRecord(**check) for check in raw["checks"]]})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):
            path.unlink(missing_ok=True)
            return None

    def version(self, key: str) -> str:
        """Data version of a step's output as last recorded; `absent` when it was never made."""
        record = self.get(key)
        return record.version if record is not None else "absent"

    def put(self, record: StepRecord) -> None:
        """Write a record whole or not at all."""
        path = self._path(record.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps(asdict(record), default=str))
        temporary.replace(path)

    def forget(self, key: str) -> None:
        """Make the step run again next time."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._root / f"{key.replace('/', '__')}.json"


def fingerprint(parts: Mapping[str, object]) -> str:
    """A stable hash of named parts."""
    return hashlib.blake2b(
        json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=16
    ).hexdigest()


def content_version(files: Iterable[Path]) -> str:
    """Hash of the bytes of files and of the partition each lies in, in the order of their paths."""
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(files):
        digest.update(f"{file.parent.name}/{file.name}:{file.stat().st_size}:".encode())
        with file.open("rb") as handle:
            while chunk := handle.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


@dataclass
class Cost:
    """Seconds and peak memory of a measured block; filled when the block ends."""

    wall_s: float = 0.0
    peak_rss_mb: float = 0.0


@contextmanager
def measured(interval_s: float = 0.1) -> Iterator[Cost]:
    """Measure a block: wall seconds, and the highest resident memory of this process and its children."""
    cost, done = Cost(), threading.Event()
    process = psutil.Process()

    def sample() -> None:
        while True:
            cost.peak_rss_mb = max(cost.peak_rss_mb, _resident_mb(process))
            if done.wait(interval_s):
                return

    sampler = threading.Thread(target=sample, daemon=True)
    started = time.monotonic()
    sampler.start()
    try:
        yield cost
    finally:
        done.set()
        sampler.join()
        cost.wall_s = time.monotonic() - started


def _resident_mb(process: psutil.Process) -> float:
    total = process.memory_info().rss
    for child in process.children(recursive=True):
        try:
            total += child.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return float(total) / 2**20
