"""Learning from published prices: against a grid, with planted effects, and what does not teach."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.pricing.config import PolicyConfig, PricingConfig
from models.pricing.elasticities.learning import PERIOD_SCHEMA, learn
from models.pricing.scoring import price
from models.pricing.simulate import write_typical

MONDAY = date(2018, 1, 1)
POLICY = PolicyConfig(season_units=1e12)
"""Weeks are all alike, so that the posterior can be worked out by hand."""


def periods(rows: list[tuple]) -> pl.DataFrame:
    """(merchant, sku, week, price, days, units, competitor)"""
    return pl.DataFrame(
        [
            (merchant, sku, MONDAY + timedelta(weeks=week), cents, days, round(units * 1000), rival)
            for merchant, sku, week, cents, days, units, rival in rows
        ],
        schema=PERIOD_SCHEMA,
        orient="row",
    )


def believed(*skus: tuple[str, str], size: float = 1.0, deviation: float = 0.5) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "sku_id": [sku for sku, _ in skus],
            "group_id": [group for _, group in skus],
            "log_size": [size] * len(skus),
            "log_deviation": [deviation] * len(skus),
        }
    )


def test_the_posterior_is_that_of_a_grid() -> None:
    """Two merchants sell one sku at their own levels; the grid holds both levels at their best value."""
    sold = [
        ("m1", "a", 0, 1000, 7.0, 40, None),
        ("m1", "a", 1, 1050, 7.0, 37, None),
        ("m1", "a", 2, 1100, 3.5, 16, None),
        ("m2", "a", 0, 1200, 7.0, 9, None),
        ("m2", "a", 1, 1140, 7.0, 12, None),
    ]
    grid = np.linspace(-2.0, 4.0, 6001)
    log_posterior = -0.5 * ((grid - 1.0) / 0.5) ** 2
    for merchant in ("m1", "m2"):
        mine = [row for row in sold if row[0] == merchant]
        units = np.array([row[5] for row in mine], dtype=float)
        rate = np.array([row[4] * (row[3] / 1000) ** -np.exp(grid) for row in mine])
        rate *= units.sum() / rate.sum(axis=0)
        log_posterior += (units[:, None] * np.log(rate) - rate).sum(axis=0)
    mode = grid[log_posterior.argmax()]
    curvature = -np.gradient(np.gradient(log_posterior, grid), grid)[log_posterior.argmax()]
    learnt = learn(believed(("a", "c")), periods(sold), POLICY)
    assert learnt["log_size"][0] == pytest.approx(mode, abs=0.005)
    # The expected information stands for the observed one.
    assert learnt["log_deviation"][0] == pytest.approx(1 / np.sqrt(curvature), rel=0.1)
    assert learnt["log_deviation"][0] < 0.5


def test_what_was_planted_is_found_beside_seasons_and_competitors() -> None:
    rng = np.random.default_rng(3)
    skus = [(f"k{number:03d}", "c") for number in range(150)]
    size = rng.uniform(1.3, 4.0, len(skus))
    season = 0.4 * np.sin(np.arange(26) / 4)
    rows = []
    for (sku, _), truth in zip(skus, size, strict=True):
        for week in range(26):
            move, rival = 0.05 * rng.integers(-3, 4), 0.15 * rng.standard_normal()
            rate = 60 * np.exp(-truth * move + 0.6 * rival + season[week])
            cents, asked = round(5000 * np.exp(move)), 5500 * np.exp(rival)
            rows.append(("m", sku, week, cents, 7.0, float(rng.poisson(rate)), asked))
    learnt = learn(believed(*skus), periods(rows), PolicyConfig())
    found, deviation = learnt["log_size"].to_numpy(), learnt["log_deviation"].to_numpy()
    error = found - np.log(size)
    assert np.abs(error).mean() < 0.1
    assert abs(error.mean()) < 0.03
    assert 0.8 < (error / deviation).std() < 1.25


def test_noise_beyond_poisson_teaches_less() -> None:
    calm = [("m", "a", week, 1000 + 50 * (week % 2), 7.0, (40, 36)[week % 2], None) for week in range(12)]
    wild = [(*row[:5], row[5] + (30, -30)[week // 2 % 2], None) for week, row in enumerate(calm)]
    one, other = (learn(believed(("a", "c")), periods(rows), POLICY) for rows in (calm, wild))
    prior = 1 / 0.5**2
    assert 1 / other["log_deviation"][0] ** 2 - prior < (1 / one["log_deviation"][0] ** 2 - prior) / 5


def test_one_price_no_sale_and_unknown_skus_teach_nothing() -> None:
    skus = believed(("a", "c"), ("b", "c"))
    rows = [
        ("m", "a", 0, 1000, 7.0, 5, None), ("m", "a", 1, 1000, 7.0, 9, None),
        ("m", "b", 0, 1000, 7.0, 0, None), ("m", "b", 1, 1050, 7.0, 0, None),
        ("m", "z", 0, 1000, 7.0, 5, None), ("m", "z", 1, 1050, 7.0, 4, None),
    ]  # fmt: skip
    assert learn(skus, periods(rows), PolicyConfig()).equals(skus)
    assert learn(skus, periods([]), PolicyConfig()).equals(skus)


def test_beliefs_and_draw_change_once_a_week_and_see_whole_weeks_only(tmp_path: Path) -> None:
    config = replace(PricingConfig(), guards=replace(PricingConfig().guards, dwell_days=0))
    write_typical(tmp_path, config)
    listings = pl.DataFrame(
        {"merchant_id": ["m"], "sku_id": ["a"], "list_price_cents": [2000], "pricing_mode": ["auto"]}
    )
    supply = pl.DataFrame(
        {"supplier_id": ["s"], "sku_id": ["a"], "category_l3_id": ["c"], "supply_price_cents": [1500],
         "on_hand_qty": [50]}
    )  # fmt: skip
    utc = pl.Datetime("us", "UTC")
    rivals = pl.DataFrame(
        schema={"sku_id": pl.String, "competitor": pl.String, "observed_at": utc, "price_cents": pl.Int64}
    )
    sold = pl.DataFrame(
        schema={"merchant_id": pl.String, "sku_id": pl.String, "placed_at": utc, "qty_milli": pl.Int64}
    )
    seen = periods(
        [
            ("m", "a", 0, 2000, 7.0, 80, None),
            ("m", "a", 1, 2100, 7.0, 60, None),
            ("m", "a", 2, 2000, 7.0, 900, None),
        ]
    )

    def suggested(day: int, hour: int, known: pl.DataFrame | None) -> tuple[float, str]:
        as_of = datetime(2018, 1, day, hour, tzinfo=UTC)
        row = price(listings, supply, rivals, sold, as_of, tmp_path, config, known).row(0, named=True)
        return row["elasticity"], row["explanation"]

    week = {suggested(day, hour, seen) for day, hour in ((15, 0), (15, 7), (18, 12), (21, 23))}
    assert len(week) == 1
    # The week of the run itself is not read, the next week does.
    assert week == {suggested(15, 0, seen.head(2))}
    assert suggested(22, 0, seen) not in week
    assert suggested(15, 0, None)[0] == pytest.approx(-2.62)
