"""Training of the session lane: judge on the newest baskets, decide, fit on everything, save."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from models.contracts import Candidate
from models.gate import decide
from models.metrics import IntArray
from models.recommendation.interactions import Interactions, index_lines
from models.recommendation.sessions.judging import RULES, SESSION, Found, Session, measured, sessions
from models.recommendation.sessions.links import SessionLinks, SessionSettings, fit_links

NAME = "recommendation_session"
_LEAST_CONSUMERS = 20


def train(
    lines: pl.DataFrame,
    as_of: datetime,
    bundle_dir: Path,
    settings: SessionSettings | None = None,
    champion: SessionSettings | None = None,
) -> Candidate | None:
    """Learn which skus go together, and whether ordering lists by it may serve.

    Args:
        lines: As for `models.recommendation.training.train`.
        as_of: Moment of knowledge, tz-aware UTC; the window that judges ends here.
        bundle_dir: The bundle is written to its folder `recommendation_session`.
        settings: Settings; the defaults when None.
        champion: Settings of the standing champion; its links are judged beside where they differ.

    Returns:
        The candidate; None where fewer than 20 consumers came back to a merchant in the window, with a basket
        that can be judged by.
    """
    settings = settings or SessionSettings()
    data = index_lines(lines, as_of)
    origin = as_of - timedelta(days=settings.window_days)
    tried = sessions(data, origin, as_of, settings)
    people = np.unique([one.consumer for one in tried])
    if len(people) < _LEAST_CONSUMERS:
        return None
    found = measured(tried, _links(data, origin, settings).by_sku())
    standing = None
    if champion is not None and champion != settings:
        standing = measured(tried, _links(data, origin, champion).by_sku())[SESSION]
    decision = decide(
        "ndcg_at_10",
        len(people),
        _by_consumer(found[SESSION], tried, people),
        {rule: _by_consumer(found[rule], tried, people) for rule in RULES},
        higher_is_better=True,
        champion=None if standing is None else _by_consumer(standing, tried, people),
        champion_is_same=champion == settings,
        seed=settings.seed,
    )
    _links(data, as_of, settings).save(bundle_dir / NAME)
    moments = data.frame["at"]
    return Candidate(
        name=NAME,
        family="recommendation",
        config=settings.to_dict(),
        decision=decision,
        metrics={
            f"{name}_{metric}_at_10": float(values.mean())
            for name, one in found.items()
            for metric, values in (("ndcg", one.ndcg), ("recall", one.recall))
        },
        leaderboard=_leaderboard(found, f"rest of a basket, from {origin:%Y-%m-%d}"),
        bundle_dir=bundle_dir / NAME,
        data_from=moments[0],
        data_to=moments[-1],
        input_rows=data.frame.height,
    )


def _links(data: Interactions, moment: datetime, settings: SessionSettings) -> SessionLinks:
    rows = data.until(moment)
    return fit_links(rows["basket"].to_numpy(), rows["item"].to_numpy(), data.skus, settings)


def _by_consumer(found: Found, tried: list[Session], people: IntArray) -> Callable[[IntArray], float]:
    """Mean NDCG@10 over the sessions of drawn consumers: consumers are the units."""
    where = np.searchsorted(people, [one.consumer for one in tried])
    total = np.bincount(where, found.ndcg, len(people))
    number = np.bincount(where, minlength=len(people))

    def metric(drawn: IntArray) -> float:
        return float(total[drawn].sum() / max(number[drawn].sum(), 1))

    return metric


def _leaderboard(found: dict[str, Found], level: str) -> list[dict[str, Any]]:
    return [
        {
            "system": name,
            "metric": metric,
            "value": float(values.mean()),
            "level": level,
            "units": len(values),
        }
        for name, one in found.items()
        for metric, values in (("recall_at_10", one.recall), ("ndcg_at_10", one.ndcg))
    ]
