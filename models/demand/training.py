"""Train, measure and save the demand models: one backtest for all systems, one candidate a learned system.

Stages are plain functions below; MLflow and the graph are other packages' work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from models.contracts import Candidate
from models.demand import bundle as bundles
from models.demand.config import BOOSTED, LSTM, STACKED, DemandConfig, from_json
from models.demand.judging import figures, leaderboard
from models.demand.judging.backtest import Origins, Predict, Rolled, actuals, plan_origins, roll, roll_rules
from models.demand.judging.levels import CategoryLevels
from models.demand.judging.reconcile import towards_category_level
from models.demand.panel.series import Panel, build_panel, weekly_sales
from models.demand.panel.vintages import Vintages, vintages
from models.demand.weekly import stacking
from models.demand.weekly.forecasts import Forecast
from models.errors import InsufficientDataError
from models.progress import PROGRESS

FAMILY = "demand"
MIN_WEEKS = 16
MAY_SERVE = 2
"""The first serves; the second would where the first has to wait for new data."""
PLAN_KNOWN, PLAN_HIDDEN = " (plan known)", " (plan not published)"

Told = Mapping[int, Forecast]
"""Forecasts by origin, before they meet their category's level."""


@dataclass(frozen=True)
class _Fitted:
    """A fitted system behind one shape: predict, save, and how many epochs a refit takes (LSTM)."""

    predict: Callable[[Panel, int, bool], Forecast]
    save: Callable[[Path], None]
    epochs: int | None = None


def _fit_lstm(
    panel: Panel, cut: int, config: DemandConfig, epochs: int | None, checkpoints: Path | None
) -> _Fitted:
    from models.demand.weekly import lstm_fit

    fitted = lstm_fit.fit(panel, cut, config, epochs=epochs, checkpoints=checkpoints)
    return _Fitted(
        lambda p, origin, hide: lstm_fit.predict(fitted, p, origin, hide_plan=hide),
        lambda folder: lstm_fit.save(fitted, folder),
        fitted.best_epoch,
    )


def _fit_boosted(
    panel: Panel, cut: int, config: DemandConfig, epochs: int | None, checkpoints: Path | None
) -> _Fitted:
    from models.demand.weekly import boosting

    fitted = boosting.fit(panel, cut, config)
    return _Fitted(
        lambda p, origin, hide: boosting.predict(fitted, p, origin, config.horizon, hide_plan=hide),
        lambda folder: boosting.save(fitted, folder),
    )


_FIT: dict[str, Callable[[Panel, int, DemandConfig, int | None, Path | None], _Fitted]] = {
    LSTM: _fit_lstm,
    BOOSTED: _fit_boosted,
}


def train(
    lines: pl.DataFrame,
    promotions_weekly: pl.DataFrame,
    as_of: datetime,
    bundle_dir: Path,
    config: DemandConfig | None = None,
    champions: Mapping[str, Mapping[str, Any]] | None = None,
    checkpoints: Path | None = None,
    out_of_stock: pl.DataFrame | None = None,
) -> list[Candidate]:
    """Backtest all systems, put the learned ones before the gate, refit and save them.

    Args:
        lines: As for `weekly_sales`: each origin of the backtest sees what was known then.
        promotions_weekly: Columns of int_promotions_weekly_category; may be empty.
        as_of: Business time, with time zone.
        bundle_dir: Folder that receives a folder for each candidate, by its name, and `fans.parquet`.
        config: Settings.
        champions: `Candidate.config` of the standing champions by model name. Where a champion's settings
            differ from the candidate's of its name, its procedure joins the backtest (on today's panel, with
            its own model settings); no model is compared with another model's champion.
        checkpoints: Folder in which a fit of the LSTM keeps its state, so that a training that was killed
            goes on from its last epoch. None keeps nothing.
        out_of_stock: As for `weekly_sales`: weeks in which nothing could be bought teach and judge nothing.

    Returns:
        Three candidates, LSTM, boosting and their stack with two intermittent rules, the better first:
        promoted before refused, then by least quantile loss. What would serve is fitted anew on everything,
        and so is the next that passed; of the others, the fit that was judged is saved.

    Raises:
        InsufficientDataError: Too few weeks, or no series with enough signal; the simple rule should serve.
    """
    config = config or DemandConfig()
    weekly = weekly_sales(lines, as_of, config, out_of_stock)
    n_weeks = len(weekly.weeks)
    if n_weeks < MIN_WEEKS:
        raise InsufficientDataError(
            f"demand: {n_weeks} complete weeks of sales, at least {MIN_WEEKS} are needed to train; "
            "the simple rule serves until then"
        )
    origins = plan_origins(n_weeks, config)
    panels = vintages(lines, weekly, promotions_weekly, origins.all, config, out_of_stock)
    panel = panels.standing
    if not (~panel.is_pooled).any():
        raise InsufficientDataError(
            f"demand: no category of a merchant sells {config.min_weekly_units} units a week with "
            f"{config.min_merchant_lines} lines a merchant; the simple rule serves"
        )
    truth = actuals(panel, origins.tested, config.horizon)
    if not np.nan_to_num(truth[:, ~panel.is_pooled]).any():
        since = weekly.weeks[origins.tested[0]]
        raise InsufficientDataError(
            f"demand: there are no weeks to judge by, nothing was sold since {since}; the simple rule serves"
        )
    final = build_panel(weekly, promotions_weekly, config)
    # Judged is what is known in use: where no plan of the coming weeks is on file, the backtest hides it too.
    hide = not bool(final.plan_known[n_weeks:].all())
    levels = {origin: CategoryLevels(known, config.horizon) for origin, known in panels.known.items()}
    shown = {origin: level.at(origin, hide_plan=hide) for origin, level in levels.items()}
    rules = roll_rules(panels, origins, config.horizon, levels=shown)
    fitted = {}
    for number, name in enumerate(_FIT, start=1):
        PROGRESS.info("%s, fit %d / %d", name, number, 2 * len(_FIT))
        fitted[name] = _fits(name, panels, origins, config, checkpoints)
    PROGRESS.info("backtest")
    by_rules = stacking.told_by_rules(panels, config.horizon)

    def rolled_with(*, hide: bool) -> tuple[dict[str, Rolled], stacking.Stack]:
        told = _told(fitted, panels, hide=hide)
        stack = stacking.Stack(told | by_rules, panels, config.horizon)
        procedures = _procedures(told, stack)
        rolled = {n: _roll(p, panels, levels, origins, config, hide=hide) for n, p in procedures.items()}
        return rolled, stack

    learned, stack = rolled_with(hide=hide)
    otherwise, _ = rolled_with(hide=not hide)
    suffix = PLAN_KNOWN if hide else PLAN_HIDDEN
    extra = {name + suffix: rolled for name, rolled in otherwise.items()}
    rows = [
        row
        for name, rolled in (rules | learned | extra).items()
        for row in leaderboard.scores(truth, rolled, panel, name)
    ]
    rows = leaderboard.with_ratios(rows, config.horizon)
    standing = _standing(champions or {}, panels, levels, origins, config, hide=hide)
    decisions = {
        name: leaderboard.gate(
            truth,
            rolled,
            rules,
            panel,
            champion=standing.get(name),
            champion_is_same=name in standing and standing[name] is None,
            max_bias=config.max_category_bias,
            seed=config.seed,
        )
        for name, rolled in learned.items()
    }
    bundle_dir.mkdir(parents=True, exist_ok=True)
    simple = leaderboard.best_rule(truth, rules, panel)
    fans = figures.fans(panel, origins, learned | {simple: rules[simple]})
    fans.write_parquet(bundle_dir / "fans.parquet")
    weights = stack.weights(panel.n_weeks)
    metrics = {name: _metrics(rows, name, panel, final, origins, config) for name in learned}
    order = sorted(learned, key=lambda n: (not decisions[n].promoted, metrics[n]["quantile_loss"], n))
    serving = {
        member
        for name in order[:MAY_SERVE]
        if decisions[name].promoted
        for member in (weights.used if name == STACKED else (name,))
    }
    final_fits: dict[str, Callable[[Path], None]] = {}
    for number, (name, cuts) in enumerate(fitted.items(), start=len(_FIT) + 1):
        PROGRESS.info("%s, fit %d / %d", name, number, 2 * len(_FIT))
        judged = cuts[origins.fit_cut]
        if name in serving:
            final_fits[name] = _FIT[name](final, final.n_weeks, config, judged.epochs, checkpoints).save
        else:
            final_fits[name] = judged.save
    saves = final_fits | {STACKED: partial(bundles.save_stack, weights, final_fits)}
    epochs = {name: cuts[origins.fit_cut].epochs for name, cuts in fitted.items()}
    more = {name: {"epochs": float(count)} for name, count in epochs.items() if count is not None}
    more[STACKED] = _flat(weights)
    candidates = []
    for name in order:
        folder = bundles.write(bundle_dir / name, name, config, learned[name].calibration, saves[name])
        candidates.append(
            Candidate(
                name=name,
                family=FAMILY,
                config={"system": name, "settings": config.as_json()},
                decision=decisions[name],
                metrics=metrics[name] | more.get(name, {}),
                leaderboard=rows,
                bundle_dir=folder,
                data_from=final.weeks[0],
                data_to=final.weeks[final.n_weeks - 1],
                input_rows=lines.height,
                figures={
                    "fans": figures.fan_figure(fans, name),
                    "leaderboard": figures.leaderboard_figure(rows, config.horizon),
                },
            )
        )
    return candidates


def _fits(
    name: str, panels: Vintages, origins: Origins, config: DemandConfig, checkpoints: Path | None = None
) -> dict[int, _Fitted]:
    """A system's fits by their cut: at the first origin and, where it is cheap, anew on the way."""
    last = origins.all[-1]
    wanted = {origins.fit_cut}
    if name == BOOSTED:
        wanted |= {o for o in origins.all if (o - origins.fit_cut) % config.refit_weeks == 0 and o < last}
    return {cut: _FIT[name](panels.known[cut], cut, config, None, checkpoints) for cut in sorted(wanted)}


def _told(fitted: Mapping[str, Mapping[int, _Fitted]], panels: Vintages, *, hide: bool) -> dict[str, Told]:
    """What each fitted system forecast at every origin."""
    return {
        name: {
            origin: fits[max(cut for cut in fits if cut <= origin)].predict(known, origin, hide)
            for origin, known in panels.known.items()
        }
        for name, fits in fitted.items()
    }


def _procedures(told: Mapping[str, Told], stack: stacking.Stack) -> dict[str, Predict]:
    """The fitted systems, and the stack of them and its rules."""

    def fixed(forecasts: Told) -> Predict:
        return lambda origin, _moment: forecasts[origin]

    return {name: fixed(forecasts) for name, forecasts in told.items()} | {STACKED: stack.predict}


def _roll(
    procedure: Predict,
    panels: Vintages,
    levels: Mapping[int, CategoryLevels],
    origins: Origins,
    config: DemandConfig,
    *,
    hide: bool,
) -> Rolled:
    def predict(origin: int, moment: int) -> Forecast:
        level = levels[origin].at(origin, hide_plan=hide)
        return towards_category_level(
            procedure(origin, moment), panels.known[origin], level, config.category_weight
        )

    return roll(predict, panels, origins, config.horizon, is_rule=False)


def _standing(
    champions: Mapping[str, Mapping[str, Any]],
    panels: Vintages,
    levels: Mapping[int, CategoryLevels],
    origins: Origins,
    config: DemandConfig,
    *,
    hide: bool,
) -> dict[str, Rolled | None]:
    """Each standing champion's procedure on the same origins; None when its settings are the candidate's."""
    found: dict[str, Rolled | None] = {}
    for name, champion in champions.items():
        settings = from_json(champion["settings"])
        if settings == config:
            found[name] = None
            continue
        with_its_models = replace(config, lstm=settings.lstm, gbm=settings.gbm, seed=settings.seed)
        wanted = _FIT if name == STACKED else (name,)
        fitted = {one: _fits(one, panels, origins, with_its_models) for one in wanted}
        told = _told(fitted, panels, hide=hide)
        by_rules = stacking.told_by_rules(panels, config.horizon) if name == STACKED else {}
        procedures = _procedures(told, stacking.Stack(told | by_rules, panels, config.horizon))
        found[name] = _roll(procedures[name], panels, levels, origins, config, hide=hide)
    return found


def _metrics(
    rows: list[dict[str, Any]],
    name: str,
    panel: Panel,
    final: Panel,
    origins: Origins,
    config: DemandConfig,
) -> dict[str, float]:
    """Flat metrics of one candidate: its series-level numbers and the size of the evidence."""
    level = leaderboard.SERIES_LEVEL.format(h=config.horizon)
    metrics = {r["metric"]: float(r["value"]) for r in rows if r["system"] == name and r["level"] == level}
    own = ~panel.is_pooled
    metrics |= {
        "origins": float(len(origins.tested)),
        "series_tested": float(own.sum()),
        "units_share_of_own_series": float(np.nansum(panel.qty[own]) / max(float(np.nansum(panel.qty)), 1.0)),
        "missing_weeks": float(np.isnan(final.qty).sum()),
        "series_served": float((~final.is_pooled).sum()),
        "pooled_members_served": float(final.members.height),
    }
    return metrics


def _flat(weights: stacking.Weights) -> dict[str, float]:
    """The weights as metrics, e.g. `weight_smooth_tsb`."""
    return {
        f"weight_{kind}_{name}": float(each[place])
        for kind, each in weights.by_class.items()
        for place, name in enumerate(weights.members)
    }
