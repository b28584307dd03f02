"""Lifecycle: churn and rebuy."""

from __future__ import annotations

from models.contracts import Candidate
from pipelines.trainings.task import Task


def lifecycle(task: Task) -> list[Candidate]:
    """Churn and rebuy."""
    from models.lifecycle.training import train
    from pipelines.warehouse import reading

    with reading.connect(task.warehouse) as connection:
        lines = reading.order_lines(connection, merchandise_only=False, with_guests=False)
    return train(lines, task.as_of, task.work, seed=task.seed, champions=task.champions)
