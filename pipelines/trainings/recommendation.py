"""Recommendation: the three lanes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from models.contracts import Candidate
from pipelines.trainings.task import Task


def recommendation(task: Task) -> list[Candidate]:
    """The repeat, the discovery and the session lane; the last where baskets can judge it."""
    from models.recommendation.config import RecommendationConfig
    from models.recommendation.sessions import training as sessions
    from models.recommendation.sessions.links import SessionSettings
    from models.recommendation.training import LANES, train
    from pipelines.warehouse import reading

    config = RecommendationConfig(seed=task.seed)
    with reading.connect(task.warehouse) as connection:
        lines = reading.known_lines(connection)
        # The lists that are judged are those of the last test cut, made with its prices and consents.
        judged_from = task.as_of - timedelta(days=config.horizon_days)
        products = reading.product_content(connection, judged_from)
        platform_wide = reading.platform_wide_consumers(connection, judged_from)
    champions = {
        lane: RecommendationConfig.from_dict(_settings(standing))
        for lane in LANES
        if (standing := task.champions.get(f"recommendation_{lane}")) is not None
    }
    candidates = train(
        lines,
        task.as_of,
        task.work,
        config,
        champions,
        products=products,
        platform_wide=platform_wide,
    )
    standing = task.champions.get(sessions.NAME)
    champion = None if standing is None else SessionSettings.from_dict(standing)
    session = sessions.train(lines, task.as_of, task.work, SessionSettings(seed=task.seed), champion)
    return [*candidates, *([] if session is None else [session])]


def reads(name: str, bundle: Path, config: Mapping[str, Any]) -> None:
    """Read a champion's bundle and settings, or raise: an earlier release may have written others."""
    from models.recommendation.bundle import load_discovery, load_repeat
    from models.recommendation.config import RecommendationConfig
    from models.recommendation.sessions import training as sessions
    from models.recommendation.sessions.links import SessionSettings, load

    if name == sessions.NAME:
        SessionSettings.from_dict(config)
        load(bundle)
        return
    RecommendationConfig.from_dict(_settings(config))
    (load_repeat if name == "recommendation_repeat" else load_discovery)(bundle)


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What validation chose is evidence, not a setting."""
    return {key: value for key, value in config.items() if key != "chosen"}
