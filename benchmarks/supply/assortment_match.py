"""Matching: what merchants started, foretold against simple rules, and a night over 2,000,000 skus."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import polars as pl

from benchmarks.harness import OURS, Row, own_peak_rss_mb, report
from benchmarks.models.household_panel import read_lines
from benchmarks.supply.assortment_world import AS_OF, Size, made
from models.contracts import Candidate
from models.supply.assortment import ranking
from models.supply.assortment.config import AssortmentConfig
from models.supply.assortment.feedback import DECISIONS
from models.supply.assortment.history import World
from models.supply.assortment.suggestions import scored, suggest
from models.supply.assortment.training import train
from pipelines.sources.panel.complete_journey import CompleteJourney
from serving.settings import Settings

SEED = 20171231
SMALL = Size(merchants=300, skus=20_000, categories=40, lines=450_000)
LARGE = Size(merchants=2_000, skus=2_000_000, categories=400, lines=4_000_000)
LIMITS = {"wall_s_2m_skus": (300.0, "s"), "memory_mb": (6_144.0, "MB")}
CONFIG = AssortmentConfig()


def main() -> int:
    """Run it."""
    started = time.perf_counter()
    one_in = int(os.environ.get("MUYUN_BENCH_ONE_IN", "1"))
    with tempfile.TemporaryDirectory(prefix="muyun-bench-") as folder:
        small = made(SMALL, SEED).world()
        (generated,) = train(small, AS_OF, Path(folder) / "generated", CONFIG)
        rows = _rows(generated, "generated_")
        rows += _night(ranking.load(generated.bundle_dir), one_in)
        del small
        panel = CompleteJourney()
        world = _stores(panel)
        (real,) = train(world, world.lines["placed_at"][-1], Path(folder) / "real", CONFIG)
        rows = _rows(real, "") + rows
    target = report(
        Settings().home,
        name="assortment_match",
        protocol=(
            f"Two windows of {CONFIG.window_days} days that are over; for each the ranking learns from the"
            " two before it. A sku is started where a merchant with 20 skus or more sold it within the window"
            f" and never before; recall_at_{CONFIG.list_length} is the share of all started skus that stood"
            f" in lists of {CONFIG.list_length}, before any assignment, units_captured that of their units;"
            " lift_low is the low end of the 95% interval (500 paired draws of merchants and windows) of the"
            " recall less that of the better rule. Real: Complete Journey, its stores as merchants, one"
            f" scene. Generated: {SMALL.merchants} merchants of four scenes with tastes and price bands,"
            f" {SMALL.skus:,} skus. The night: {LARGE.merchants // one_in:,} merchants,"
            f" {LARGE.skus // one_in:,} skus, {LARGE.lines // one_in:,} lines of 45 weeks, from"
            " these frames to assigned suggestions;"
            " the pool is looked at whole, without an approximate index. memory_mb: this process until then,"
            " with the frames."
        ),
        rows=[*rows, *(Row("limit", name, value, unit) for name, (value, unit) in LIMITS.items())],
        wall_s=time.perf_counter() - started,
    )
    return 0 if target.exists() else 1


def _stores(panel: CompleteJourney) -> World:
    """Stores of the household panel as merchants."""

    def table(name: str) -> pl.DataFrame:
        return pl.concat(chunk.frame for chunk in panel.read(name))

    lines = read_lines(panel)
    levels = table("categories").select(category_l3_id="category_id", category_l2_id="parent_category_id")
    goods = lines.filter(pl.col("is_merchandise")).select("sku_id").unique()
    products = (
        table("products")
        .join(goods, on="sku_id", how="semi")
        .select("sku_id", "title", "brand_id", category_l3_id="category_id")
        .join(levels, on="category_l3_id", how="left")
    )
    kept = lines.filter(pl.col("is_merchandise") & (pl.col("qty") > 0))
    return World.of(kept, products, table("merchants").select("merchant_id", "scene"))


def _rows(found: Candidate, prefix: str) -> list[Row]:
    lift = found.decision.lift
    return [
        *(
            Row(
                OURS if row["system"] == ranking.NAME else row["system"],
                f"{prefix}{row['metric']}",
                row["value"],
                "0..1",
            )
            for row in found.leaderboard
        ),
        Row(OURS, f"{prefix}lift", lift.mean, "0..1", (lift.low, lift.high)),
        Row(OURS, f"{prefix}lift_low", lift.low, "0..1"),
    ]


def _night(champion: ranking.Ranking, one_in: int) -> list[Row]:
    """A night over the whole pool with a ranking that serves."""
    size = Size(
        LARGE.merchants // one_in, LARGE.skus // one_in, LARGE.categories // one_in, LARGE.lines // one_in
    )
    platform = made(size, SEED)
    nobody = pl.DataFrame(schema=DECISIONS)
    begun, cpu = time.perf_counter(), time.process_time()
    world = platform.world()
    found = scored(world, AS_OF, champion, CONFIG)
    told = suggest(found, platform.supply, nobody, AS_OF, CONFIG).rows
    wall, spent = time.perf_counter() - begun, time.process_time() - cpu
    return [
        Row(OURS, "wall_s_2m_skus", wall, "s"),
        Row(OURS, "cpu_s_2m_skus", spent, "s"),
        Row(OURS, "memory_mb", own_peak_rss_mb(), "MB"),
        Row(OURS, "merchants", told["merchant_id"].n_unique(), "merchants"),
        Row(OURS, "suggestions", told.height, "rows"),
        Row(OURS, "new_products", int(told["is_new_product"].sum()), "rows"),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
