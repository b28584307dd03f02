"""Pricing: the price elasticities."""

from __future__ import annotations

from models.contracts import Candidate
from pipelines.trainings.task import Task


def pricing(task: Task) -> list[Candidate]:
    """The price elasticities, each origin of the backtest with what was known then."""
    from models.pricing.config import PricingConfig
    from models.pricing.training import train
    from pipelines.warehouse import reading

    with reading.connect(task.warehouse) as connection:
        lines = reading.price_lines(connection)
    champion = task.champions.get("pricing_elasticity")
    config = PricingConfig()
    return [train(lines, task.as_of, task.work, config, champion=champion, time_zone=task.time_zone)]
