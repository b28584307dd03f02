"""How much of a clairvoyant's profit pricing loses in a made-up market, and how long 100,000 skus take.

The product is called through `scoring.price`, on the prices that it published (`models.pricing.simulate`).
Two sets of guard rails: the shipped ones, whose ceiling is 20% above the list price, and, as `_high_ceiling`,
the yardstick's own, with a ceiling that hardly binds and neither endings nor a budget of changes.
Floor and ceiling bind the clairvoyant too. MUYUN_BENCH_SEEDS, _DAYS and _SKUS make it smaller.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness import OURS, Row, report
from benchmarks.models.pricing_peers import Maker, peers
from models.pricing.config import GuardConfig, PricingConfig
from models.pricing.scoring import price
from models.pricing.simulate import MarketConfig, shipped, simulate, write_typical

HOME = Path(os.environ.get("MUYUN_HOME", "var"))
SEEDS = int(os.environ.get("MUYUN_BENCH_SEEDS", "5"))
DAYS = int(os.environ.get("MUYUN_BENCH_DAYS", "180"))
SKUS = int(os.environ.get("MUYUN_BENCH_SKUS", "200"))
REPRICED = int(os.environ.get("MUYUN_BENCH_REPRICED", "100000"))

SHIPPED = GuardConfig()
HIGH = replace(SHIPPED, ceiling_bps=20_000, change_budget_bps=10_000, price_endings=())
RAILS = {
    "": SHIPPED,
    "_dwell2": replace(SHIPPED, dwell_days=2),
    "_high_ceiling": HIGH,
    "_high_ceiling_dwell2": replace(HIGH, dwell_days=2),
}
_NOW = datetime(2018, 7, 2, 6, tzinfo=UTC)
_RIVALS, _WEEKS = 4, 26


def main() -> int:
    """Runs the benchmark; 1 when a published price of ours broke a guard rail."""
    started = time.monotonic()
    rows: list[Row] = []
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        for suffix, guards in RAILS.items():
            ours = {OURS: shipped(replace(PricingConfig(), guards=guards), Path(folder))}
            for name, maker in (ours | peers(guards)).items():
                measured = _measure(name + suffix, maker, guards)
                rows += measured
                broken += int(measured[-1].value) if name == OURS else 0
        rows.append(Row(OURS, "wall_s_100k", reprice(Path(folder), REPRICED), "s"))
    report(
        HOME,
        name="pricing_regret",
        protocol=f"{SKUS} skus x {DAYS} days x {SEEDS} seeds; |e| log-normal, median 2.4, competitors "
        "AR(1), their effect on demand unknown to us; repriced every morning. wall_s_100k: one call "
        f"of scoring.price for {REPRICED:,} skus, {_RIVALS} competitor prices, {_WEEKS} weeks of sales.",
        rows=rows,
        wall_s=time.monotonic() - started,
    )
    return 1 if broken else 0


def _measure(name: str, maker: Maker, guards: GuardConfig) -> list[Row]:
    """The three rows of a seller."""
    found = simulate(maker, guards, tuple(range(SEEDS)), MarketConfig(skus=SKUS, days=DAYS))
    return [
        Row(name, "regret", found.regret, "fraction"),
        Row(name, "regret_last_30d", found.last_days_regret, "fraction"),
        Row(name, "guard_rail_violations", found.violations, f"of {found.prices:,} prices"),
    ]


def reprice(folder: Path, skus: int) -> float:
    """Seconds that one call of `scoring.price` takes, learning from every listing's weeks included."""
    rng = np.random.default_rng(0)
    ids = [f"k{number:06d}" for number in range(skus)]
    cost = rng.integers(300, 3000, skus)
    start = np.rint(cost * 1.35).astype(np.int64)
    config = PricingConfig()
    write_typical(folder, config)
    listings = pl.DataFrame(
        {
            "merchant_id": ["m"] * skus,
            "sku_id": ids,
            "list_price_cents": start,
            "pricing_mode": ["auto"] * skus,
        }
    )
    supply = pl.DataFrame(
        {
            "supplier_id": ["s"] * skus,
            "sku_id": ids,
            "category_l3_id": [f"c{number % 500}" for number in range(skus)],
            "supply_price_cents": cost,
            "on_hand_qty": rng.integers(0, 500, skus),
        }
    )
    rivals = pl.DataFrame(
        {
            "sku_id": ids * _RIVALS,
            "competitor": np.repeat([f"r{number}" for number in range(_RIVALS)], skus),
            "observed_at": [_NOW - timedelta(days=1)] * skus * _RIVALS,
            "price_cents": np.rint(np.tile(cost, _RIVALS) * rng.uniform(1.3, 2.0, skus * _RIVALS)).astype(
                np.int64
            ),
        }
    )
    week = np.repeat(np.arange(_WEEKS), skus)
    multiple = np.exp(rng.integers(-3, 4, (_WEEKS, skus)) * 0.05)
    units = rng.poisson(20 * multiple**-2.5).ravel()
    monday = (_NOW - timedelta(weeks=_WEEKS)).date()
    periods = pl.DataFrame(
        {
            "merchant_id": ["m"] * skus * _WEEKS,
            "sku_id": ids * _WEEKS,
            "week_start_on": pl.Series(week * 7).cast(pl.Int64),
            "price_cents": np.rint(start * multiple).astype(np.int64).ravel(),
            "days": np.full(skus * _WEEKS, 7.0),
            "qty_milli": units * 1000,
            "competitor_cents": np.tile(cost, _WEEKS) * rng.uniform(1.5, 1.7, skus * _WEEKS),
        }
    ).with_columns(week_start_on=pl.lit(monday) + pl.duration(days="week_start_on"))
    recent = periods.filter(pl.col("week_start_on") >= _NOW.date() - timedelta(days=28))
    sold = recent.select(
        "merchant_id", "sku_id", "qty_milli", placed_at=pl.col("week_start_on").cast(pl.Datetime("us", "UTC"))
    )
    began = time.perf_counter()
    priced = price(listings, supply, rivals, sold, _NOW, folder, config, periods)
    seconds = time.perf_counter() - began
    if priced.height != skus:
        raise ValueError(f"pricing_regret: {priced.height} prices of {skus} skus")
    return seconds


if __name__ == "__main__":
    raise SystemExit(main())
