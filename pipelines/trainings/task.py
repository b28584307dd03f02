"""What a training is given, and where it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from models.contracts import Candidate
from pipelines.console.progress import stage_of
from pipelines.overlap.apart import run_apart


@dataclass(frozen=True)
class Task:
    """What a training is given.

    Attributes:
        warehouse: The published file.
        as_of: Business time (UTC).
        work: Empty folder for bundles.
        seed: Seed of every draw.
        utc_offset_hours: Local time of the shops.
        time_zone: IANA zone of the shops.
        holidays: Country whose holidays are known beforehand, or `none`.
        champions: Settings of the standing champions by model name.
        checkpoints: Folder that outlives the training: what a fit that was killed goes on from.
    """

    warehouse: Path
    as_of: datetime
    work: Path
    seed: int
    utc_offset_hours: int
    time_zone: str
    holidays: str
    champions: Mapping[str, dict[str, Any]]
    checkpoints: Path | None = None


def train(work: Callable[[Task], list[Candidate]], task: Task, *, apart: bool, step: str) -> list[Candidate]:
    """Train a family, in a process of its own or in this one.

    Args:
        work: The function of a family in this package.
        task: What it is given.
        apart: Whether it has a process of its own.
        step: Name of the step, for signs of life.

    Raises:
        InsufficientDataError: Too little data; the simple rule should serve.
        ChildDiedError: The process of its own was killed.
    """
    return run_apart(work, task, stage=stage_of(step)) if apart else work(task)
