"""Pricing: the price elasticities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def reads(name: str, bundle: Path, config: Mapping[str, Any]) -> None:
    """Read a champion's bundle and settings, or raise: an earlier release may have written others."""
    from models.pricing.bundle import load_bundle
    from models.pricing.config import elasticity_settings

    elasticity_settings(config)
    load_bundle(bundle)
