"""Demand: the two forecasters."""

from __future__ import annotations

from models.contracts import Candidate
from pipelines.trainings.task import Task


def demand(task: Task) -> list[Candidate]:
    """The LSTM and the LightGBM forecasters, each origin of the backtest with what was known then."""
    from models.demand.config import DemandConfig
    from models.demand.training import train
    from pipelines.warehouse import reading

    with reading.connect(task.warehouse) as connection:
        lines, promotions = reading.demand_lines(connection), reading.weekly_promotions(connection)
    config = DemandConfig(seed=task.seed, utc_offset_hours=task.utc_offset_hours, holidays=task.holidays)
    return train(lines, promotions, task.as_of, task.work, config, champions=task.champions)
