"""Training of the ranking: windows that are over, one after the other; judged on those it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from models.contracts import Candidate
from models.errors import InsufficientDataError
from models.gate import Keeps, UnitMetric, decide
from models.metrics import FloatArray, IntArray
from models.supply.assortment import ranking
from models.supply.assortment.config import AssortmentConfig
from models.supply.assortment.hindcast import (
    RULES,
    Held,
    Window,
    held,
    units_per_new,
    units_per_score,
    window_after,
)
from models.supply.assortment.history import Floats, World

RECALL, UNITS = "recall_at_{}", "units_captured_at_{}"


def train(
    world: World,
    as_of: datetime,
    bundle_dir: Path,
    config: AssortmentConfig | None = None,
    champion: AssortmentConfig | None = None,
) -> list[Candidate]:
    """Judge the ranking against the simple rules, and fit it on the newest windows.

    Recall is of all that the merchants started together, so that a shop that starts two skus does not decide.

    Args:
        world: What is read; lines after `as_of` are not seen.
        as_of: Moment of knowledge; the last window ends here.
        bundle_dir: The ranking is written to its folder `supply_assortment`.
        config: Settings; the defaults when None.
        champion: Settings of the standing champion; its procedure is judged on the same windows when they
            differ.

    Raises:
        InsufficientDataError: The orders do not reach back far enough; the simple rule should serve.
    """
    config = config or AssortmentConfig()
    whole = _windows(world, as_of, config)
    tests = range(1, config.test_cuts + 1)
    ours = {cut: _fitted(whole, cut, config) for cut in tests}
    systems = {ranking.NAME: [held(whole(cut), ours[cut], config) for cut in tests]} | {
        rule: [held(whole(cut), whole(cut).look.by_rule(rule), config) for cut in tests] for rule in RULES
    }
    if champion is not None and champion != config:
        theirs = _windows(world, as_of, champion)
        systems["champion"] = [held(theirs(cut), _fitted(theirs, cut, champion), champion) for cut in tests]
    measured = {
        name: _measures(found, [whole(cut) for cut in tests], config) for name, found in systems.items()
    }
    recall, units = RECALL.format(config.list_length), UNITS.format(config.list_length)
    n_units = sum(len(whole(cut).started) for cut in tests)
    decision = decide(
        recall,
        n_units,
        measured[ranking.NAME][recall],
        {rule: measured[rule][recall] for rule in RULES},
        higher_is_better=True,
        champion=measured["champion"][recall] if "champion" in measured else None,
        champion_is_same=champion == config,
        keeps=[
            Keeps(units, measured[ranking.NAME][units], {rule: measured[rule][units] for rule in RULES}, True)
        ],
        seed=config.seed,
    )
    folder = bundle_dir / ranking.NAME
    newest = range(1, config.train_cuts + 1)
    ranking.save(
        folder,
        ranking.Ranking(
            config,
            ranking.fit([_example(whole(cut)) for cut in newest], config),
            units_per_score([(whole(cut), ours[cut]) for cut in tests], config),
            units_per_new([whole(cut) for cut in tests], config),
        ),
    )
    everyone = np.arange(n_units)
    leaderboard = [
        {"system": name, "metric": metric, "value": value(everyone)}
        for name, values in measured.items()
        for metric, value in values.items()
    ]
    seen = world.lines.filter(world.lines["placed_at"] <= as_of)
    return [
        Candidate(
            name=ranking.NAME,
            family="supply",
            config=config.to_dict(),
            decision=decision,
            metrics={
                **{metric: value(everyone) for metric, value in measured[ranking.NAME].items()},
                "lift_low": decision.lift.low,
                "merchants_and_windows": float(n_units),
            },
            leaderboard=leaderboard,
            bundle_dir=folder,
            data_from=seen["placed_at"][0],
            data_to=seen["placed_at"][-1],
            input_rows=seen.height,
        )
    ]


def _windows(world: World, as_of: datetime, config: AssortmentConfig) -> Callable[[int], Window]:
    """The window that ended so many windows before `as_of` began, counted from 1, each looked at once.

    Raises:
        InsufficientDataError: The oldest one would have no window before it, or nobody to ask.
    """
    step = timedelta(days=config.window_days)
    cuts = config.test_cuts + config.train_cuts
    first = world.lines["placed_at"].min()
    if not isinstance(first, datetime) or first > as_of - step * (cuts + 1):
        raise InsufficientDataError(
            f"matching learns from {cuts} windows of {config.window_days} days and one before them; "
            "the orders do not reach back so far"
        )

    @cache
    def whole(cut: int) -> Window:
        found = window_after(world, as_of - step * cut, config)
        if not found.started.sum():
            raise InsufficientDataError(
                f"no merchant with {config.least_skus} skus or more started one in the window after "
                f"{as_of - step * cut}"
            )
        return found

    return whole


def _fitted(whole: Callable[[int], Window], cut: int, config: AssortmentConfig) -> Floats:
    """Scores of a window by a ranking that learnt from those before it."""
    before = range(cut + 1, cut + 1 + config.train_cuts)
    booster = ranking.fit([_example(whole(one)) for one in before], config)
    return ranking.predict(booster, whole(cut).look.features)


def _example(window: Window) -> tuple[Floats, Any]:
    return window.look.features, window.units > 0


def _measures(found: list[Held], windows: list[Window], config: AssortmentConfig) -> Mapping[str, UnitMetric]:
    def ratio(above: list[FloatArray], below: list[FloatArray]) -> UnitMetric:
        over, under = np.concatenate(above), np.concatenate(below)

        def value(drawn: IntArray) -> float:
            return float(over[drawn].sum() / max(under[drawn].sum(), 1e-9))

        return value

    return {
        RECALL.format(config.list_length): ratio(
            [one.skus for one in found], [window.started for window in windows]
        ),
        UNITS.format(config.list_length): ratio(
            [one.units for one in found], [window.sold for window in windows]
        ),
    }
