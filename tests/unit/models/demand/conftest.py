"""Fixtures of the demand tests: small synthetic lines, panel and settings."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from demand_samples import PROMOTIONS_SCHEMA, MakeLines, after, lines_of

from models.demand.config import DemandConfig, GbmConfig, LstmConfig
from models.demand.panel.series import Panel, build_panel, weekly_sales


@pytest.fixture(scope="session")
def make_lines() -> MakeLines:
    return lines_of


@pytest.fixture(scope="session")
def no_promotions() -> pl.DataFrame:
    return pl.DataFrame(schema=PROMOTIONS_SCHEMA)


@pytest.fixture(scope="session")
def small_config() -> DemandConfig:
    return DemandConfig(
        utc_offset_hours=-5,
        holidays="US",
        min_weeks_on_sale=12,
        min_weekly_units=1.0,
        min_merchant_lines=1,
        window=12,
        threads=1,
        lstm=LstmConfig(hidden=8, category_dim=2, merchant_dim=2, epochs=2, batch_size=64),
        gbm=GbmConfig(trees=8, leaves=4, min_leaf_rows=5),
    )


@pytest.fixture(scope="session")
def small_weekly() -> dict[tuple[str, str], list[int]]:
    """40 weeks of 3 categories x 4 merchants, and two small series that belong into a pool."""
    rng = np.random.default_rng(5)
    weekly = {
        (f"l2-{category}", f"m{merchant}"): list(rng.poisson(4 + 3 * category + merchant, 40) + 1)
        for category in range(3)
        for merchant in range(4)
    }
    weekly["l2-0", "m8"] = [1 if week % 5 == 0 else 0 for week in range(40)]
    weekly["l2-0", "m9"] = [3 if week % 7 == 0 else 0 for week in range(40)]
    return weekly


@pytest.fixture(scope="session")
def small_panel(
    small_weekly: dict[tuple[str, str], list[int]], no_promotions: pl.DataFrame, small_config: DemandConfig
) -> Panel:
    weekly = weekly_sales(lines_of(small_weekly), after(40), small_config)
    return build_panel(weekly, no_promotions, small_config)
