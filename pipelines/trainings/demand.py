"""Demand: the two forecasters and their stack."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.contracts import Candidate
from pipelines.trainings.task import Task


def demand(task: Task) -> list[Candidate]:
    """The LSTM, LightGBM and their stack, each origin of the backtest with what was known then."""
    from models.demand.config import DemandConfig
    from models.demand.training import train
    from pipelines.warehouse import reading

    with reading.connect(task.warehouse) as connection:
        lines, promotions = reading.demand_lines(connection), reading.weekly_promotions(connection)
        out = reading.out_of_stock(connection, until=task.as_of)
    config = DemandConfig(seed=task.seed, utc_offset_hours=task.utc_offset_hours, holidays=task.holidays)
    return train(
        lines,
        promotions,
        task.as_of,
        task.work,
        config,
        champions=task.champions,
        checkpoints=task.checkpoints,
        out_of_stock=out,
    )


def reads(name: str, bundle: Path, config: Mapping[str, Any]) -> None:
    """Read a champion's bundle and settings, or raise: an earlier release may have written others."""
    from models.demand.bundle import read
    from models.demand.config import from_json

    from_json(config["settings"])
    read(bundle)
