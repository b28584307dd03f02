"""The quality brake: days to find a bad sku, stops of good ones, and what is sold after a stop."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl
import psycopg
from scipy.stats import beta

from benchmarks.harness import OURS, Row, report
from benchmarks.supply.sale_race import SELLERS, START, TENANT, sold_after
from models.supply.brake.config import BrakeConfig
from models.supply.brake.estimates import DELIVERED, estimate
from models.supply.brake.ladder import Estimate, Held, Level, Rules, level_of, next_held
from serving.orders.errors import SaleStoppedError
from serving.quality.judging import Finding, judge
from serving.settings import Settings

PEER = "raw rate"
SEED = 20171231
CATEGORIES = 16
GOOD = 60
BAD = 2
TURNED = 2
HISTORY = 180
YEAR = 365
DAILY = 20.0
MEANS = (0.005, 0.02)
STRENGTHS = (100.0, 400.0)
DELAY_DAYS = 4.0
GOAL_DAYS = 10.0
GOAL_FALSE = 0.005
STOPS = 40
NOT_FOUND = 999

PROTOCOL = (
    f"{CATEGORIES} categories, usual rate {MEANS[0]} to {MEANS[1]}, {GOOD} skus each with rates of a Beta "
    f"of {STRENGTHS[0]:.0f} to {STRENGTHS[1]:.0f} units; orders a day lognormal (median 3, sigma 1), one "
    "unit each. The true line of a category is the 95% quantile of that Beta; good is a sku whose rate lies "
    f"not above it. {BAD} new skus a category begin on a random day at 2 true lines with {DAILY:.0f} orders "
    f"a day; {TURNED} more have {DAILY:.0f} orders a day all along and turn to 2 lines on a random day. A "
    f"complaint comes half a day after the delivery plus an exponential delay of {DELAY_DAYS} days. "
    f"{HISTORY} days of history, then {YEAR} nights: the estimates with default settings, whose lines are "
    "learned from all skus, good and bad, and the ladder; a bad sku that is stopped sells no more. Found: "
    "level 1 or above. false_l3_per_sku_year: times that a good sku is put to level 3 or above, a sku and "
    "year; good skus go on selling. "
    "The peer: complaints of 30 days over deliveries of 30 days, from 30 orders on; found above 1 line, "
    f"stopped above 2, with the true line. sold_after_l3: {SELLERS} threads place orders of one unit while "
    f"a night stops the sku, {STOPS} times, on PostgreSQL; units that are reserved at the end beyond those "
    "when the stop was about to commit."
)


@dataclass(frozen=True)
class Sku:
    """A made sku: who it is, how often it sells, its rate before and after the day on which it changes."""

    sku_id: str
    category_id: str
    kind: str
    daily: float
    rate: float
    later_rate: float
    begins: int
    changes: int
    is_good: bool


def main() -> int:
    """Run the benchmark; 0 when the goals are met."""
    started = time.perf_counter()
    skus = list(_skus(np.random.default_rng(SEED)))
    frame = _delivered(skus, np.random.default_rng(SEED + 1))
    nights_began = time.perf_counter()
    ours, peer = _year(frame, skus)
    night_s = (time.perf_counter() - nights_began) / YEAR
    sold, placed = sold_after(_stop, SaleStoppedError, STOPS)
    rows = [*_rows(OURS, ours, skus), *_rows(PEER, peer, skus)]
    rows += [
        Row(OURS, "sold_after_l3", float(sold), "units"),
        Row(OURS, "sold_before_l3", float(placed), "units"),
        Row(OURS, "night_s", night_s, "s"),
    ]
    report(
        Settings().home,
        name="quality_brake",
        protocol=PROTOCOL,
        rows=rows,
        wall_s=time.perf_counter() - started,
    )
    days, false = rows[0].value, rows[2].value
    is_good = days <= GOAL_DAYS and false <= GOAL_FALSE and sold == 0
    return 0 if is_good else 1


def _skus(rng: np.random.Generator) -> Iterator[Sku]:
    for number in range(CATEGORIES):
        category = f"cat-{number}"
        mean, strength = rng.uniform(*MEANS), rng.uniform(*STRENGTHS)
        a, b = mean * strength, (1 - mean) * strength
        line = float(beta.ppf(0.95, a, b))
        rates = rng.beta(a, b, GOOD + TURNED)
        for place in range(GOOD):
            rate, daily = float(rates[place]), float(np.exp(rng.normal(np.log(3.0), 1.0)))
            yield Sku(f"{category}-good-{place}", category, "good", daily, rate, rate, 0, 0, rate <= line)
        for place in range(BAD):
            begins = HISTORY + int(rng.integers(0, YEAR - 60))
            yield Sku(
                f"{category}-new-{place}", category, "new", DAILY, 2 * line, 2 * line, begins, begins, False
            )
        for place in range(TURNED):
            changes = HISTORY + int(rng.integers(0, YEAR - 60))
            before = min(float(rates[GOOD + place]), line)
            yield Sku(
                f"{category}-turned-{place}", category, "turned", DAILY, before, 2 * line, 0, changes, False
            )


def _delivered(skus: list[Sku], rng: np.random.Generator) -> pl.DataFrame:
    """Every delivered unit of the whole time, with its complaint."""
    parts = []
    for sku in skus:
        end = HISTORY + YEAR
        when = np.sort(rng.uniform(sku.begins, end, rng.poisson(sku.daily * (end - sku.begins))))
        rate = np.where(when < sku.changes, sku.rate, sku.later_rate)
        complains = rng.random(len(when)) < rate
        delay = 0.5 + rng.exponential(DELAY_DAYS, len(when))
        parts.append(
            pl.DataFrame(
                {
                    "sku_id": sku.sku_id,
                    "category_id": sku.category_id,
                    "delivered": when,
                    "complained": np.where(complains, when + delay, np.nan),
                },
                schema_overrides={"sku_id": pl.String, "category_id": pl.String},
            )
        )

    def moment(name: str) -> pl.Expr:
        return pl.lit(START) + pl.duration(microseconds=(pl.col(name) * 86_400e6).cast(pl.Int64))

    lines = pl.concat(parts).sort("delivered").with_row_index("order_id")
    return lines.select(
        "sku_id",
        pl.lit("s").alias("supplier_id"),
        "category_id",
        pl.col("order_id").cast(pl.String),
        pl.lit(1).alias("line_no"),
        pl.lit(None, pl.String).alias("batch_id"),
        pl.lit(1.0).alias("units"),
        moment("delivered").alias("delivered_at"),
        pl.when(pl.col("complained").is_not_nan()).then(moment("complained")).alias("complained_at"),
        pl.lit(None, DELIVERED["harmed_at"]).alias("harmed_at"),
    ).cast(DELIVERED)  # type: ignore[arg-type]


@dataclass
class Seen:
    """What the nights did with the skus: first night at level 1 and above since the change, entries to 3."""

    first: dict[str, int]
    stops: dict[str, int]


def _year(frame: pl.DataFrame, skus: list[Sku]) -> tuple[Seen, Seen]:
    config = BrakeConfig()
    changes = {sku.sku_id: sku.changes for sku in skus}
    true_line = {sku.sku_id: sku.later_rate / 2 for sku in skus if sku.kind != "good"}
    by_category = {sku.category_id: true_line[sku.sku_id] for sku in skus if sku.sku_id in true_line}
    ours, peer = Seen({}, {}), Seen({}, {})
    held: dict[str, Held] = {}
    times = frame["delivered_at"]
    raw_stopped: set[str] = set()
    for day in range(HISTORY, HISTORY + YEAR):
        now = START + timedelta(days=day)
        first, last = times.search_sorted(pl.Series([now - timedelta(days=config.prior_days), now])).to_list()
        found = estimate(frame.slice(first, last - first), now, config)
        levels = {}
        for row in found.iter_rows(named=True):
            known = Estimate(
                row["mean"], row["above"], row["line"], row["orders"], row["complaints"], row["safety"]
            )
            levels[row["sku_id"]] = level_of(known, config.rules)[0]
            raw = row["complaints"] / row["units"] / by_category[row["category_id"]]
            raw = raw if row["orders"] >= config.rules.least_orders else 0.0
            if raw > 1 and day > changes[row["sku_id"]]:
                peer.first.setdefault(row["sku_id"], day)
            if raw > 2 and row["sku_id"] not in raw_stopped:
                peer.stops[row["sku_id"]] = peer.stops.get(row["sku_id"], 0) + 1
            (raw_stopped.add if raw > 2 else raw_stopped.discard)(row["sku_id"])
        for sku_id in held.keys() | levels.keys():
            before = held.get(sku_id, Held(Level.FREE))
            after = next_held(before, levels.get(sku_id, Level.FREE), now, config.rules)
            if after.level >= Level.WATCH and day > changes[sku_id]:
                ours.first.setdefault(sku_id, day)
            if before.level < Level.STOP <= after.level:
                ours.stops[sku_id] = ours.stops.get(sku_id, 0) + 1
                if sku_id in true_line:
                    sells = (pl.col("sku_id") != sku_id) | (pl.col("delivered_at") <= now)
                    frame = frame.filter(sells)
                    times = frame["delivered_at"]
            held[sku_id] = after
    return ours, peer


def _rows(system: str, seen: Seen, skus: list[Sku]) -> list[Row]:
    def days(kind: str) -> list[float]:
        bad = [sku for sku in skus if sku.kind == kind]
        return [float(seen.first.get(sku.sku_id, sku.changes + NOT_FOUND) - sku.changes) for sku in bad]

    def spread(values: list[float]) -> tuple[float, float]:
        return float(np.quantile(values, 0.1)), float(np.quantile(values, 0.9))

    good = [sku for sku in skus if sku.is_good]
    false = sum(seen.stops.get(sku.sku_id, 0) for sku in good)
    new, turned = days("new"), days("turned")
    return [
        Row(system, "median_days_to_find", statistics.median(new), "days", spread(new)),
        Row(system, "median_days_to_find_turned", statistics.median(turned), "days", spread(turned)),
        Row(system, "false_l3_per_sku_year", false / len(good), "a sku and year"),
    ]


def _stop(conn: psycopg.Connection, sku: str) -> None:
    judge(conn, TENANT, [Finding(sku, Level.STOP, "above_stop_line", {})], Rules(), START)
