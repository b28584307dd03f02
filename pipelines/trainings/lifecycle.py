"""Lifecycle: churn, rebuy and value."""

from __future__ import annotations

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
