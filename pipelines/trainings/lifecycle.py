"""Lifecycle: churn, rebuy and value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.contracts import Candidate
from pipelines.trainings.task import Task


def lifecycle(task: Task) -> list[Candidate]:
    """Churn, rebuy and value, each origin of the backtest with what was known then."""
    from models.lifecycle.training import train
    from pipelines.scoring.tags import tags_at
    from pipelines.warehouse import reading

    with reading.connect(task.warehouse) as connection:
        lines = reading.known_lines(connection)
        tags = tags_at(connection, task.time_zone)
        return train(lines, task.as_of, task.work, seed=task.seed, champions=task.champions, tags=tags)


def reads(name: str, bundle: Path, config: Mapping[str, Any]) -> None:
    """Read a champion's bundle and settings, or raise: an earlier release may have written others."""
    from models.lifecycle import bundle as bundles
    from models.lifecycle.config import LifecycleConfig
    from models.lifecycle.value import model as value

    if name == value.NAME:
        value.params_of(config)
        value.load(bundle)
    else:
        LifecycleConfig.from_dict(dict(config))
        bundles.load(bundle, name)
