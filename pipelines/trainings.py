"""What the trainings of the families do: read the published warehouse, train, hand back candidates.

Each is a function of a module with arguments that can be pickled, so that it may run in a process of its own.
A training uses one thread a library, in whatever process it runs, so that the result is the same. No Dagster
here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from models.contracts import Candidate
from pipelines.overlap.apart import run_apart
from pipelines.progress import stage_of


@dataclass(frozen=True)
class Task:
    """What a training is given.

    Attributes:
        warehouse: The published file.
        as_of: Business time (UTC).
        work: Empty folder for bundles.
        seed: Seed of every draw.
        utc_offset_hours: Local time of the shops.
        champions: Settings of the standing champions by model name.
    """

    warehouse: Path
    as_of: datetime
    work: Path
    seed: int
    utc_offset_hours: int
    champions: Mapping[str, dict[str, Any]]


def demand(task: Task) -> list[Candidate]:
    """The LSTM and the LightGBM forecasters."""
    from models.demand.config import LSTM, DemandConfig
    from models.demand.training import train
    from pipelines import reading

    with reading.connect(task.warehouse) as connection:
        lines, promotions = reading.order_lines(connection), reading.weekly_promotions(connection)
    config = DemandConfig(seed=task.seed, utc_offset_hours=task.utc_offset_hours)
    return train(lines, promotions, task.as_of, task.work, config, champion=task.champions.get(LSTM))


def recommendation(task: Task) -> list[Candidate]:
    """The repeat and the discovery lane."""
    from models.recommendation.config import RecommendationConfig
    from models.recommendation.training import train
    from pipelines import reading

    with reading.connect(task.warehouse) as connection:
        lines = reading.order_lines(connection, with_guests=False)
    standing = task.champions.get("recommendation_repeat")
    champion = None
    if standing is not None:
        # What validation chose is evidence, not a setting.
        champion = RecommendationConfig.from_dict({k: v for k, v in standing.items() if k != "chosen"})
    return train(lines, task.as_of, task.work, RecommendationConfig(seed=task.seed), champion=champion)


def pricing(task: Task) -> list[Candidate]:
    """The price elasticities."""
    from models.pricing.config import PricingConfig
    from models.pricing.training import train
    from pipelines import reading

    with reading.connect(task.warehouse) as connection:
        lines = reading.order_lines(connection)
    champion = task.champions.get("pricing_elasticity")
    return [train(lines, task.as_of, task.work, PricingConfig(), champion=champion)]


def lifecycle(task: Task) -> list[Candidate]:
    """Churn and rebuy."""
    from models.lifecycle.training import train
    from pipelines import reading

    with reading.connect(task.warehouse) as connection:
        lines = reading.order_lines(connection, merchandise_only=False, with_guests=False)
    return train(lines, task.as_of, task.work, seed=task.seed, champions=task.champions)


def train(work: Callable[[Task], list[Candidate]], task: Task, *, apart: bool, step: str) -> list[Candidate]:
    """Train a family, in a process of its own or in this one.

    Args:
        work: One of the functions above.
        task: What it is given.
        apart: Whether it has a process of its own.
        step: Name of the step, for signs of life.

    Raises:
        InsufficientDataError: Too little data; the simple rule should serve.
        ChildDiedError: The process of its own was killed.
    """
    return run_apart(work, task, stage=stage_of(step)) if apart else work(task)
