"""The panel of a backtest: as it stands, and as it was known at each origin. Nothing is fitted here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl

from models.demand.config import DemandConfig
from models.demand.panel.series import Panel, Weekly, arrange, series_rows, weekly_sales


@dataclass(frozen=True)
class Vintages:
    """The same rows and weeks in what was known at each origin, and in what stands.

    Attributes:
        standing: As it stands; what forecasts are judged by.
        known: Panel by origin: what was placed and received before the first day of that week and not yet
            superseded then. Its weeks from the origin on are 0 and are not read.
    """

    standing: Panel
    known: Mapping[int, Panel]


def moment_of(week: date, config: DemandConfig) -> datetime:
    """Local midnight at the begin of a week: what a forecast from that week on can have seen, UTC."""
    return datetime(week.year, week.month, week.day, tzinfo=UTC) - timedelta(hours=config.utc_offset_hours)


def vintages(
    lines: pl.DataFrame,
    weekly: Weekly,
    promotions_weekly: pl.DataFrame,
    origins: Sequence[int],
    config: DemandConfig,
    out_of_stock: pl.DataFrame | None = None,
) -> Vintages:
    """Arrange what was known at every origin in the rows of one panel.

    Args:
        lines: As for `weekly_sales`.
        weekly: The sums as they stand.
        promotions_weekly: Columns of int_promotions_weekly_category; may be empty.
        origins: Week indices, ascending. The series that stand alone are chosen by what was known at the
            first one.
        config: Settings.
        out_of_stock: As for `weekly_sales`.
    """
    seen = {origin: _known(lines, weekly, origin, config, out_of_stock) for origin in origins}
    keys = pl.concat([weekly.frame, *(one.frame for one in seen.values())])
    series = series_rows(keys, seen[origins[0]], origins[0], config)
    known = {origin: arrange(one, series, promotions_weekly, config) for origin, one in seen.items()}
    return Vintages(arrange(weekly, series, promotions_weekly, config), known)


def _known(
    lines: pl.DataFrame,
    weekly: Weekly,
    origin: int,
    config: DemandConfig,
    out_of_stock: pl.DataFrame | None,
) -> Weekly:
    """The sums of the weeks before an origin as they were known then, over the weeks of what stands."""
    then = weekly_sales(lines, moment_of(weekly.weeks[origin], config), config, out_of_stock)
    inside = pl.col("week_start_on").is_between(weekly.weeks[0], weekly.weeks[origin - 1])
    return Weekly(then.frame.filter(inside), weekly.weeks, then.missing.filter(inside))
