"""Recommendation: the two lanes."""

from __future__ import annotations

from models.contracts import Candidate
from pipelines.trainings.task import Task


def recommendation(task: Task) -> list[Candidate]:
    """The repeat and the discovery lane."""
    from models.recommendation.config import RecommendationConfig
    from models.recommendation.training import LANES, train
    from pipelines.warehouse import reading

    with reading.connect(task.warehouse) as connection:
        lines = reading.known_lines(connection)
        products = reading.product_content(connection)
        platform_wide = reading.platform_wide_consumers(connection)
    # What validation chose is evidence, not a setting.
    champions = {
        lane: RecommendationConfig.from_dict({k: v for k, v in config.items() if k != "chosen"})
        for lane in LANES
        if (config := task.champions.get(f"recommendation_{lane}")) is not None
    }
    return train(
        lines,
        task.as_of,
        task.work,
        RecommendationConfig(seed=task.seed),
        champions,
        products=products,
        platform_wide=platform_wide,
    )
