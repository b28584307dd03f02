"""Recommendation: the two lanes."""

from __future__ import annotations

from models.contracts import Candidate
from pipelines.trainings.task import Task


def recommendation(task: Task) -> list[Candidate]:
    """The repeat and the discovery lane."""
    from models.recommendation.config import RecommendationConfig
    from models.recommendation.training import train
    from pipelines.warehouse import reading

    with reading.connect(task.warehouse) as connection:
        lines = reading.known_lines(connection)
    standing = task.champions.get("recommendation_repeat")
    champion = None
    if standing is not None:
        # What validation chose is evidence, not a setting.
        champion = RecommendationConfig.from_dict({k: v for k, v in standing.items() if k != "chosen"})
    return train(lines, task.as_of, task.work, RecommendationConfig(seed=task.seed), champion=champion)
