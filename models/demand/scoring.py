"""Publish `demand_forecasts`: a promoted bundle's forecast, or the best simple rule's where there is none.

`demand_outlook` tells the same of days and months.

Reads frames, returns a frame. Nothing is trained here; a rule's quantiles come from its own past errors.
"""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import polars as pl

from models.demand import bundle as bundles
from models.demand.config import DemandConfig
from models.demand.horizons.outlook import OUTLOOK_SCHEMA
from models.demand.horizons.outlook import outlook as days_and_months
from models.demand.horizons.weekdays import COLUMNS as WEEKDAY_COLUMNS
from models.demand.horizons.weekdays import learn
from models.demand.judging import conformal
from models.demand.judging.backtest import (
    LEVELLED,
    actuals,
    levelled_forecast,
    plan_origins,
    roll_rules,
    rule_forecast,
)
from models.demand.judging.leaderboard import best_rule
from models.demand.judging.levels import CategoryLevels
from models.demand.judging.reconcile import towards_category_level
from models.demand.panel.pooling import FORECAST_SCHEMA, dispersion, publish, with_count_quantiles
from models.demand.panel.series import (
    NO_PROMOTIONS,
    Panel,
    Weekly,
    build_panel,
    known_lines,
    weekly_sales,
)
from models.demand.panel.vintages import vintages
from models.demand.weekly.baselines import RULES
from models.demand.weekly.forecasts import Forecast, repaired
from models.errors import InsufficientDataError

SHORT_HISTORY_RULE = "mean_4w"


def forecast(
    lines: pl.DataFrame,
    promotions_weekly: pl.DataFrame,
    as_of: datetime,
    bundle: Path | None,
    model_name: str,
    *,
    config: DemandConfig | None = None,
    out_of_stock: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Forecast every merchant's categories for the weeks after the last complete one.

    Args:
        lines: As for `weekly_sales`.
        promotions_weekly: Columns of int_promotions_weekly_category, future weeks included where planned.
        as_of: Business time, with time zone.
        bundle: Folder of a promoted candidate; None serves a simple rule.
        model_name: With a bundle the name to publish. Without one the rule's name; any other name picks the
            rule with the least quantile loss on the newest origins.
        config: Settings of the simple rule; a bundle brings its own.
        out_of_stock: As for `weekly_sales`.

    Returns:
        `demand_forecasts` as in `PUBLISHED_TABLES`; zero rows when there is no complete week of sales.

    Raises:
        BundleError: The bundle is not readable.
    """
    loaded = None if bundle is None else bundles.read(bundle)
    settings = loaded.config if loaded is not None else config or DemandConfig()
    weekly = weekly_sales(lines, as_of, settings, out_of_stock)
    if not weekly.weeks:
        return pl.DataFrame(schema=FORECAST_SCHEMA)
    panel = build_panel(weekly, promotions_weekly, settings)
    if loaded is not None:
        values = loaded.predict(panel, panel.n_weeks)
        level = CategoryLevels(panel, settings.horizon).at(panel.n_weeks)
        values = towards_category_level(values, panel, level, settings.category_weight)
        raw = repaired(values)
        return publish(panel, conformal.apply(loaded.calibration, raw), model_name)
    values, name = _by_rule(lines, weekly, promotions_weekly, panel, model_name, settings, out_of_stock)
    return publish(panel, values, name)


def outlook(
    lines: pl.DataFrame,
    weeks: pl.DataFrame,
    as_of: datetime,
    *,
    config: DemandConfig | None = None,
    out_of_stock: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Days and months of published weeks.

    Args:
        lines: As for `weekly_sales`.
        weeks: What `forecast` gave of the same lines.
        as_of: Business time, with time zone.
        config: Settings.
        out_of_stock: As for `weekly_sales`.

    Returns:
        `demand_outlook` as in `PUBLISHED_TABLES`; zero rows without weeks.
    """
    config = config or DemandConfig()
    first = weeks["week_start_on"].min()
    if not isinstance(first, date):
        return OUTLOOK_SCHEMA.to_frame()
    weekly = weekly_sales(lines, as_of, config, out_of_stock)
    panel = build_panel(weekly, NO_PROMOTIONS.to_frame(), config)
    weekdays = learn(known_lines(lines, as_of).select(WEEKDAY_COLUMNS).collect(), first)
    return days_and_months(weeks, weekdays, panel, config.min_weekly_units)


def _by_rule(
    lines: pl.DataFrame,
    weekly: Weekly,
    promotions_weekly: pl.DataFrame,
    panel: Panel,
    wanted: str,
    config: DemandConfig,
    out_of_stock: pl.DataFrame | None,
) -> tuple[Forecast, str]:
    """A simple rule's forecast with the quantiles of its past errors, and the rule's name."""
    try:
        origins = plan_origins(panel.n_weeks, config)
    except InsufficientDataError:
        name = wanted if wanted in RULES else SHORT_HISTORY_RULE
        value = rule_forecast(RULES[name], panel, panel.n_weeks, config.horizon)
        return with_count_quantiles(value.mean, dispersion(panel)), name
    past = vintages(lines, weekly, promotions_weekly, origins.all, config, out_of_stock)
    if wanted in RULES:
        rolled = roll_rules(past, origins, config.horizon, {wanted: RULES[wanted]})
    else:
        hide = not bool(panel.plan_known[panel.n_weeks :].all())
        levels = {
            origin: CategoryLevels(known, config.horizon).at(origin, hide_plan=hide)
            for origin, known in past.known.items()
        }
        rolled = roll_rules(past, origins, config.horizon, levels=levels)
        rolled = {LEVELLED: rolled[LEVELLED]} if wanted == LEVELLED else rolled
    name = best_rule(actuals(past.standing, origins.tested, config.horizon), rolled, past.standing)
    if name == LEVELLED:
        level = CategoryLevels(panel, config.horizon).at(panel.n_weeks)
        value = levelled_forecast(panel, panel.n_weeks, config.horizon, level)
    else:
        value = rule_forecast(RULES[name], panel, panel.n_weeks, config.horizon)
    return conformal.apply(rolled[name].calibration, value), name
