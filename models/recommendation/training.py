"""Training of the recommendation family: choose, backtest, decide, fit on everything, save.

One candidate a lane. The backtest itself lives in `evaluation`, the files in `bundle`. No tracking here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.contracts import Candidate, Interval
from models.errors import InsufficientDataError
from models.gate import Keeps, decide
from models.metrics import IntArray
from models.progress import PROGRESS
from models.recommendation.bundle import (
    RANKER,
    TIFU,
    DiscoveryBundle,
    RepeatBundle,
    save_discovery,
    save_repeat,
)
from models.recommendation.config import ALONE, RecommendationConfig
from models.recommendation.interactions import Interactions, index_lines
from models.recommendation.judging.evaluation import (
    BLEND,
    DISCOVERY,
    POPULARITY,
    TOP_FREQUENCY,
    Backtest,
    Choices,
    Measured,
    blend_name,
    relative_loss,
)
from models.recommendation.judging.figures import system_bars
from models.recommendation.lists.as_served import ANY, NEW, Bundles, Served, as_served, unit_metric
from models.recommendation.rankers.discovery import ItemFactors
from models.recommendation.rankers.repeat import tifu_vectors
from models.splits import Cut, rolling_cuts

LANES = ("repeat", "discovery")
CANDIDATE = "candidate"
Results = dict[Cut, dict[str, dict[str, Measured]]]


def train(
    lines: pl.DataFrame,
    as_of: datetime,
    bundle_dir: Path,
    config: RecommendationConfig | None = None,
    champions: Mapping[str, RecommendationConfig] | None = None,
    *,
    products: pl.DataFrame | None = None,
    platform_wide: Collection[str] = (),
) -> list[Candidate]:
    """Train and judge both lanes.

    Args:
        lines: Sale lines in every state that was known at some time (`STATE_COLUMNS` of `interactions`);
            rows after `as_of` are dropped first.
        as_of: Moment of knowledge, tz-aware UTC; the last test window ends here.
        bundle_dir: Bundles are written to its folders `recommendation_repeat` and
            `recommendation_discovery`.
        config: Settings; the defaults when None.
        champions: Settings of the standing champion of each lane that has one; its procedure is backtested
            on the same cuts when they differ from `config`.
        products: As for `scoring.score`: what new skus and the order of lists are told from, with the prices
            of the origin of the last test cut.
        platform_wide: As for `scoring.score`: who had consented to use across merchants at the origin of the
            last test cut, whose lists are judged.

    Returns:
        `recommendation_repeat` and `recommendation_discovery`.

    Raises:
        InsufficientDataError: Too few consumers, or too short a history for the cuts, or nothing bought in
            the test windows. The simple rules should serve then.
        ModelError: A required column is missing.

    Note:
        The gate judges the lists as they are served, at the last test cut: the lane beside its rule, the
        other lane as it is, see `as_served`. The platform-wide figures, over all test cuts and without an
        assortment, stand beside them; there the lane may not fall behind its rule.

        The test windows decide nothing but the gate: settings come from the validation cuts, which end where
        the first test window begins. The ranker and the item factors are fitted once for the backtest, at the
        first test origin, and serve the later test cuts with fresh features and fold-in: the figures are
        those of a model up to `(test_cuts - 1) * horizon_days` old, not of one that is always fresh.
    """
    config = config or RecommendationConfig()
    interactions = index_lines(lines, as_of)
    earliest = _require_enough(interactions, config)
    test, validation = _cuts(as_of, config, earliest)
    backtest = Backtest(interactions, config, earliest)
    fitted_at = test[0].origin
    PROGRESS.info("choose settings, 1 / 3")
    choices = _servable(backtest, backtest.choose(validation), (fitted_at, as_of))
    PROGRESS.info("backtest, 2 / 3")
    results: Results = {cut: backtest.evaluate(cut, choices, fitted_at) for cut in test}
    reference: Results = {
        cut: backtest.evaluate(cut, choices, fitted_at)
        for cut in _reference_cuts(config, validation[-1].end, as_of)
    }
    spacing = kept_spacing(choices, list(results.values()), config.max_blend_loss)
    results, reference = _with_blend(results, spacing), _with_blend(reference, spacing)
    repeat, discovery = _bundles(backtest, choices, spacing, fitted_at)
    systems: dict[str, Bundles] = {
        CANDIDATE: (repeat, discovery),
        TOP_FREQUENCY: (None, discovery),
        POPULARITY: (repeat, None),
    }
    standing: set[str] = set()
    champions = champions or {}
    for lane, champion in champions.items():
        if champion.procedure(lane) == config.procedure(lane):
            continue
        other = Backtest(interactions, champion, earliest)
        other_choices = _servable(other, other.choose(validation), (fitted_at,))
        its_repeat, its_discovery = _bundles(other, other_choices, spacing, fitted_at)
        systems[f"champion_{lane}"] = (its_repeat, discovery) if lane == "repeat" else (repeat, its_discovery)
        standing.add(lane)
    PROGRESS.info("lists as they are served")
    served = as_served(lines, test[-1], systems, config, products=products, platform_wide=platform_wide)
    PROGRESS.info("fit what will serve, 3 / 3")
    _save(backtest, choices, spacing, as_of, bundle_dir)
    names = {"repeat": choices.repeat_kind, "discovery": DISCOVERY}
    rules = {"repeat": TOP_FREQUENCY, "discovery": POPULARITY}
    return [
        _candidate(
            lane, names[lane], rules[lane], config, choices, spacing, results, reference, served, test[-1],
            lane in champions and lane not in standing, interactions, bundle_dir,
        )
        for lane in LANES
    ]  # fmt: skip


def _require_enough(interactions: Interactions, config: RecommendationConfig) -> datetime:
    if interactions.n_users < config.min_consumers:
        raise InsufficientDataError(
            f"{interactions.n_users} consumers have ordered, training needs {config.min_consumers}; "
            "the simple rules should serve"
        )
    earliest = interactions.frame["at"].min()
    if not isinstance(earliest, datetime):
        raise InsufficientDataError("no order lines; the simple rules should serve")
    return earliest


def _cuts(as_of: datetime, config: RecommendationConfig, earliest: datetime) -> tuple[list[Cut], list[Cut]]:
    """Test cuts and the validation cuts before them, each oldest first."""
    cuts = rolling_cuts(
        as_of,
        timedelta(days=config.horizon_days),
        config.validation_cuts + config.test_cuts,
        earliest=earliest,
        min_history=timedelta(days=config.min_history_days),
    )
    return cuts[config.validation_cuts :], cuts[: config.validation_cuts]


def _servable(backtest: Backtest, choices: Choices, moments: tuple[datetime, ...]) -> Choices:
    """Fall back to TIFU-KNN where a ranker was chosen that has nothing to learn from at some moment."""
    if choices.repeat_kind == RANKER and any(backtest.booster(one) is None for one in moments):
        return replace(choices, repeat_kind=TIFU)
    return choices


def _reference_cuts(config: RecommendationConfig, from_moment: datetime, as_of: datetime) -> list[Cut]:
    """Reported origins whose windows lie between the validation cuts and `as_of`."""
    horizon = timedelta(days=config.horizon_days)
    return [
        Cut(origin, origin + horizon)
        for origin in config.reference_origins
        if origin >= from_moment and origin + horizon <= as_of
    ]


def kept_spacing(choices: Choices, results: list[dict[str, dict[str, Measured]]], limit: float) -> int:
    """The densest spacing of discovery slots that keeps to the bound wherever it was measured.

    Args:
        choices: Losses of each spacing on the validation cuts.
        results: Measurements of the test cuts.
        limit: Largest relative loss of NDCG@10 against the pure repeat lane.

    Returns:
        The spacing; 0, no discovery slots, where none keeps to it.
    """

    def mean(lane: str, system: str) -> float:
        values = np.concatenate([one[lane][system].ndcg for one in results])
        return float(values.mean()) if len(values) else 0.0

    pure = mean("repeat", choices.repeat_kind)
    for spacing, loss in choices.losses:
        if max(loss, relative_loss(mean(BLEND, blend_name(spacing)), pure)) <= limit:
            return spacing
    return 0


def _with_blend(results: Results, spacing: int) -> Results:
    """Of the blends only the one that serves, under the name that leaderboards know."""
    return {
        cut: one | {BLEND: {BLEND: one[BLEND][blend_name(spacing)]} if spacing else {}}
        for cut, one in results.items()
    }


def _bundles(
    backtest: Backtest, choices: Choices, spacing: int, moment: datetime
) -> tuple[RepeatBundle, DiscoveryBundle]:
    """Both lanes fitted on everything up to a moment."""
    data, config = backtest.interactions, backtest.config
    booster = backtest.booster(moment) if choices.repeat_kind == RANKER else None
    if booster is not None:
        repeat = RepeatBundle(RANKER, spacing, ranker=config.ranker, booster=booster)
    else:
        repeat = RepeatBundle(
            TIFU,
            spacing,
            tifu=choices.tifu,
            consumers=tuple(data.consumers),
            skus=tuple(data.skus),
            pool=tifu_vectors(data, data.until(moment), choices.tifu),
        )
    items = ItemFactors(backtest.factors(choices.als, moment), choices.als, choices.trend_power)
    if choices.beside != ALONE:
        items = replace(items, links=backtest.links(moment), weights=choices.beside)
    return repeat, DiscoveryBundle(spacing, tuple(data.skus), items)


def _save(backtest: Backtest, choices: Choices, spacing: int, as_of: datetime, bundle_dir: Path) -> None:
    """Fit both lanes on everything up to `as_of` and write the bundles."""
    repeat, discovery = _bundles(backtest, choices, spacing, as_of)
    save_repeat(bundle_dir / "recommendation_repeat", repeat)
    save_discovery(bundle_dir / "recommendation_discovery", discovery)


def _candidate(
    lane: str,
    system: str,
    rule: str,
    config: RecommendationConfig,
    choices: Choices,
    spacing: int,
    results: Results,
    reference: Results,
    served: Mapping[str, Mapping[str, Served]],
    cut: Cut,
    champion_is_same: bool,
    interactions: Interactions,
    bundle_dir: Path,
) -> Candidate:
    by_lane = [one[lane] for one in results.values()]
    units = np.unique(np.concatenate([one[system].users for one in by_lane]))
    if len(units) == 0:
        raise InsufficientDataError(
            f"no consumer with history bought anything in the test windows of the {lane} lane; "
            "the simple rule should serve"
        )
    names = [name for name in by_lane[0] if all(name in one for one in by_lane)]
    ndcg = {name: _unit_metric([one[name] for one in by_lane], units) for name in names}
    what = ANY if lane == "repeat" else NEW
    lists = {name: found[what] for name, found in served.items()}
    people = sorted(set(lists[CANDIDATE].consumers))
    if not people:
        raise InsufficientDataError(
            f"no list of the {lane} lane could be measured as served: nobody bought again after "
            f"{cut.origin:%Y-%m-%d}; the simple rule should serve"
        )
    champion = lists.get(f"champion_{lane}")
    decision = decide(
        "ndcg_at_10",
        len(people),
        unit_metric(lists[CANDIDATE], people),
        {rule: unit_metric(lists[rule], people)},
        higher_is_better=True,
        champion=unit_metric(champion, people) if champion is not None else None,
        champion_is_same=champion_is_same,
        keeps=[
            Keeps(
                "ndcg_at_10 platform-wide",
                ndcg[system],
                {rule: ndcg[rule]},
                higher_is_better=True,
                n_units=len(units),
            )
        ],
        seed=config.seed,
    )
    leaderboard, metrics = _leaderboard(lane, results, reference, config.seed)
    level = f"{lane}, as served from {cut.origin:%Y-%m-%d}"
    for name, one in ((system, lists[CANDIDATE]), (rule, lists[rule])):
        leaderboard += _rows(name, level, one.recall, one.ndcg, one.coverage, config.seed)
        metrics |= {f"{name}_{key}_as_served": value for key, value in _means(one).items()}
    metrics |= {"blend_spacing": float(spacing)}
    metrics |= {f"{blend_name(every)}_validation_loss": loss for every, loss in choices.losses}
    pooled = {
        label: {name: _interval(np.concatenate([getattr(one[name], key) for one in by_lane]), config.seed)
                for name in [*(n for n in names if n != system), system]}
        for label, key in (("Recall@10", "recall"), ("NDCG@10", "ndcg"))
    }  # fmt: skip
    moments = interactions.frame["at"]
    return Candidate(
        name=f"recommendation_{lane}",
        family="recommendation",
        config=config.to_dict() | {"chosen": asdict(choices) | {"spacing": spacing}},
        decision=decision,
        metrics=metrics,
        leaderboard=leaderboard,
        bundle_dir=bundle_dir / f"recommendation_{lane}",
        data_from=moments[0],
        data_to=moments[-1],
        input_rows=interactions.frame.height,
        figures={
            f"{lane}_systems": system_bars(f"{lane.capitalize()} lane, {len(results)} test cuts", pooled)
        },
    )


def _means(one: Served) -> dict[str, float]:
    return {"ndcg_at_10": float(one.ndcg.mean()), "recall_at_10": float(one.recall.mean())}


def _unit_metric(measured: list[Measured], units: npt.NDArray[np.int64]) -> Callable[[IntArray], float]:
    """Mean NDCG@10 over the (consumer, cut) places of drawn consumers: consumers are the units."""
    total, places = np.zeros(len(units)), np.zeros(len(units))
    for one in measured:
        where = np.searchsorted(units, one.users)
        total[where] += one.ndcg
        places[where] += 1

    def metric(drawn: IntArray) -> float:
        return float(total[drawn].sum() / max(places[drawn].sum(), 1.0))

    return metric


def _leaderboard(
    lane: str, results: Results, reference: Results, seed: int
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Every system, metric and cut with its interval; flat metric names for the tracker."""
    rows: list[dict[str, Any]] = []
    metrics: dict[str, float] = {}
    parts = (lane, BLEND) if lane == "repeat" else (lane,)
    for kind, group in (("test cut", results), ("reference cut", reference)):
        for cut, measured in group.items():
            level = f"{lane}, {kind} {cut.origin:%Y-%m-%d}"
            for part in parts:
                for system, one in measured[part].items():
                    rows += _rows(system, level, one.recall, one.ndcg, one.coverage, seed)
    for part in parts:
        for system in next(iter(results.values()))[part]:
            group_of = [measured[part][system] for measured in results.values() if system in measured[part]]
            recall = np.concatenate([one.recall for one in group_of])
            ndcg = np.concatenate([one.ndcg for one in group_of])
            coverage = float(np.mean([one.coverage for one in group_of]))
            rows += _rows(system, f"{lane}, all test cuts", recall, ndcg, coverage, seed)
            metrics |= _flat(system, recall, ndcg, coverage)
    return rows, metrics


def _flat(
    system: str, recall: npt.NDArray[np.float64], ndcg: npt.NDArray[np.float64], coverage: float
) -> Mapping[str, float]:
    def mean(values: npt.NDArray[np.float64]) -> float:
        return float(values.mean()) if len(values) else float("nan")

    return {
        f"{system}_recall_at_10": mean(recall),
        f"{system}_ndcg_at_10": mean(ndcg),
        f"{system}_catalogue_coverage": coverage,
    }


def _rows(
    system: str,
    level: str,
    recall: npt.NDArray[np.float64],
    ndcg: npt.NDArray[np.float64],
    coverage: float,
    seed: int,
) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for metric, values in (("recall_at_10", recall), ("ndcg_at_10", ndcg)):
        interval = _interval(values, seed)
        out.append(
            {"system": system, "metric": metric, "value": interval.mean, "level": level,
             "low": interval.low, "high": interval.high, "units": len(values)}
        )  # fmt: skip
    out.append({"system": system, "metric": "catalogue_coverage_at_10", "value": coverage, "level": level})
    return out


def _interval(values: npt.NDArray[np.float64], seed: int, draws: int = 300) -> Interval:
    """Mean with its bootstrap interval; NaN where nothing was measured."""
    if len(values) == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(draws)]
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))
