"""Grades of suppliers: how fast 100,000 channels are graded, and how well they are ranked."""

from __future__ import annotations

import datetime as dt
import sys
import time

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.harness import OURS, Row, report
from benchmarks.models.public_data import MissingDataError
from benchmarks.supply.channel_world import AS_OF, CATEGORIES, SUPPLIERS_EACH, World, peer, world
from benchmarks.supply.delivery_history import PATIENCE, parcels
from models.supply.grading.config import GradingConfig
from models.supply.grading.estimates import estimate
from models.supply.grading.evidence import CHANNEL, LINES, MARKET, OFFERS, Happened, channels_of, evidence_of
from models.supply.grading.grade import STATE_TYPES, grade
from serving.settings import Settings

SEED = 20171231
REPETITIONS = 3
LENGTH = 100
QUARTER = 91
RESAMPLES = 1_000
ORIGINS = (91, 106, 121, 130)
"""Days of the real history at which the next quarter is forecast."""
Floats = npt.NDArray[np.float64]
CONFIG = GradingConfig()


def main() -> int:
    """Run it."""
    started = time.perf_counter()
    made = world(SEED)
    rows = [*_speed(made.happened), *_ranking(made), *_lateness(made)]
    real, told = _real()
    rows += real
    target = report(
        Settings().home,
        name="supplier_grades",
        protocol=(
            f"{CATEGORIES * SUPPLIERS_EACH:,} generated channels ({CATEGORIES} categories of"
            f" {SUPPLIERS_EACH} suppliers), {made.happened.lines.height:,} lines and"
            f" {made.happened.deliveries.height:,} parcels of a quarter, true rates known. Grading is timed"
            f" from these rows to grades with explanations, {REPETITIONS} times. NDCG@{LENGTH} is of the"
            " order of all channels; the gain is the true score, in the stricter figure by tiers: 7, 3 or 1"
            " for the truly best 1, 5 and 20%. Lateness: what is believed of a channel at the end of a"
            " quarter orders the parcels of the next, late against in time (area under the curve), over"
            " channels with parcels in both; the lift over the raw rate of the quarter has a 95% interval"
            f" (paired bootstrap, {RESAMPLES:,} resamples of channels). {told}"
        ),
        rows=rows,
        wall_s=time.perf_counter() - started,
    )
    return 0 if target.exists() else 1


def _speed(happened: Happened) -> list[Row]:
    nobody = pl.DataFrame(schema={"supplier_id": pl.String, "gate": pl.String})
    new = pl.DataFrame(schema=STATE_TYPES)
    taken = []
    for _ in range(REPETITIONS):
        begun = time.perf_counter()
        grade(happened, nobody, new, AS_OF, AS_OF.date(), CONFIG)
        taken.append(time.perf_counter() - begun)
    return [Row(OURS, "wall_s_100k", float(np.median(taken)), "s", (min(taken), max(taken)))]


def _ranking(made: World) -> list[Row]:
    happened, truth = made.happened, made.truth
    nobody = pl.DataFrame(schema={"supplier_id": pl.String, "gate": pl.String})
    done = grade(happened, nobody, pl.DataFrame(schema=STATE_TYPES), AS_OF, AS_OF.date(), CONFIG)
    ours = done.channel_scores.select(*CHANNEL, score="score_low")
    evidence, channels = evidence_of(happened, AS_OF, CONFIG), channels_of(happened)
    told = {
        OURS: ours,
        "raw_rate": peer(evidence, channels, wilson=False),
        "wilson_bound": peer(evidence, channels, wilson=True),
    }
    share = pl.col("truth").rank("ordinal", descending=True) / pl.len()
    tier = pl.when(share <= 0.01).then(7.0).when(share <= 0.05).then(3.0).when(share <= 0.20).then(1.0)
    gains = {"": pl.col("truth"), "tiers_": tier.otherwise(0.0)}
    return [
        Row(name, f"ndcg_{kind}at_{LENGTH}", ndcg(frame, truth, gain), "0..1")
        for kind, gain in gains.items()
        for name, frame in told.items()
    ]


def ndcg(scored: pl.DataFrame, truth: pl.DataFrame, gain: pl.Expr) -> float:
    """NDCG of the first 100 by `score`; the gain is told from `truth`, the true score."""
    both = scored.join(truth.rename({"score": "truth"}), on=CHANNEL).with_columns(gain=gain)
    discount = 1 / np.log2(np.arange(2, LENGTH + 2))
    found = both.sort("score", *CHANNEL, descending=[True, False, False])["gain"].head(LENGTH).to_numpy()
    best = both["gain"].sort(descending=True).head(LENGTH).to_numpy()
    return float((found * discount[: len(found)]).sum() / (best * discount[: len(best)]).sum())


def _lateness(made: World) -> list[Row]:
    happened, following = made.happened, made.next_late
    table = _beliefs(happened.deliveries, AS_OF).join(following.filter(pl.col("due") > 0), on=CHANNEL)
    return _compared(table, np.arange(table.height), "lateness")


def _real() -> tuple[list[Row], str]:
    try:
        history = parcels()
    except MissingDataError as error:
        print(f"without the real history: {error}", file=sys.stderr)
        return [], "The real history is missing."
    first = history["due_at"].min()
    assert isinstance(first, dt.datetime)
    tables = []
    for day in ORIGINS:
        at = first + dt.timedelta(days=day)
        later = history.filter(pl.col("due_at") > at, pl.col("due_at") <= at + dt.timedelta(days=QUARTER))
        following = later.group_by(CHANNEL).agg(due=pl.len(), late=pl.col("is_late").sum())
        past = history.filter(pl.col("due_at") <= at)
        tables.append(_beliefs(past, at).join(following, on=CHANNEL))
    table = pl.concat(tables)
    goods = table["supplier_id"].rank("dense").to_numpy().astype(np.int64) - 1
    rows = _compared(table, goods, "real_lateness")
    return rows, (
        f"Real: SupplyGraph, {history.height:,} orders of {history['supplier_id'].n_unique()} goods over"
        " 221 days; a good stands for a supplier, and a day's order is late when not all of it had left"
        f" {PATIENCE} days later ({history['is_late'].mean():.0%} are); {len(ORIGINS)} origins, resampled"
        " by good."
    )


def _beliefs(deliveries: pl.DataFrame, at: dt.datetime) -> pl.DataFrame:
    """By channel with parcels in the last quarter: ours (posterior mean) and raw (its rate)."""
    past = deliveries.filter(pl.col("due_at") <= at)
    empty = {
        name: pl.DataFrame(schema=schema)
        for name, schema in (("lines", LINES), ("offers", OFFERS), ("market", MARKET))
    }
    happened = Happened(deliveries=past, **empty)
    told = estimate(channels_of(happened), evidence_of(happened, at, CONFIG), CONFIG)
    late = told.filter(pl.col("signal") == "late").select(*CHANNEL, ours="mean")
    last = past.filter(pl.col("due_at") > at - dt.timedelta(days=QUARTER))
    raw = last.group_by(CHANNEL).agg(raw=pl.col("is_late").mean())
    return late.join(raw, on=CHANNEL).sort(CHANNEL)


def _compared(table: pl.DataFrame, groups: npt.NDArray[np.int64], name: str) -> list[Row]:
    """The orders of both, and the lift with its interval, resampled by group."""
    late, due = table["late"].to_numpy().astype(np.float64), table["due"].to_numpy().astype(np.float64)
    order = {column: Order(table[column].to_numpy()) for column in ("ours", "raw")}
    rng = np.random.default_rng(SEED)
    several = int(groups.max()) + 1
    lifts = []
    for _ in range(RESAMPLES):
        weight = np.bincount(rng.integers(0, several, several), minlength=several)[groups]
        lifts.append(
            order["ours"].agrees(late * weight, due * weight)
            - order["raw"].agrees(late * weight, due * weight)
        )
    low, high = np.quantile(lifts, [0.025, 0.975]).tolist()
    mine, theirs = order["ours"].agrees(late, due), order["raw"].agrees(late, due)
    return [
        Row(OURS, f"{name}_auc", mine, "0..1"),
        Row("raw_rate", f"{name}_auc", theirs, "0..1"),
        Row(OURS, f"{name}_lift", mine - theirs, "-1..1", (low, high)),
        Row(OURS, f"{name}_lift_low", low, "-1..1"),
    ]


class Order:
    """An order of channels by what is said of them.

    Args:
        said: Higher is expected to be later, (n,).
    """

    def __init__(self, said: Floats) -> None:
        values, self._place = np.unique(said, return_inverse=True)
        self._places = len(values)

    def agrees(self, late: Floats, due: Floats) -> float:
        """Area under the curve: share of pairs of a late and an in-time parcel in order, ties for a half.

        Args:
            late: Late parcels that came of each channel, (n,).
            due: All parcels of each, (n,).
        """
        bad = np.bincount(self._place, late, self._places)
        good = np.bincount(self._place, due - late, self._places)
        below = np.cumsum(good) - good
        return float((bad * (below + good / 2)).sum() / (bad.sum() * good.sum()))


if __name__ == "__main__":
    raise SystemExit(main())
