"""Supply: the ranking of what merchants should take in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.contracts import Candidate
from pipelines.trainings.task import Task


def supply(task: Task) -> list[Candidate]:
    """The ranking of matching, each window with what was known at its begin."""
    from models.supply.assortment.config import AssortmentConfig
    from models.supply.assortment.ranking import NAME
    from models.supply.assortment.training import train
    from pipelines.warehouse import reading
    from pipelines.warehouse.matching import world

    with reading.connect(task.warehouse) as connection:
        read = world(connection)
    standing = task.champions.get(NAME)
    return train(
        read,
        task.as_of,
        task.work,
        AssortmentConfig(seed=task.seed),
        None if standing is None else AssortmentConfig.from_dict(standing),
    )


def reads(name: str, bundle: Path, config: Mapping[str, Any]) -> None:
    """Read a champion's bundle and settings, or raise: an earlier release may have written others."""
    from models.supply.assortment import ranking
    from models.supply.assortment.config import AssortmentConfig

    AssortmentConfig.from_dict(config)
    ranking.load(bundle)
