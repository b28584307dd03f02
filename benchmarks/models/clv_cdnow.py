"""CDNOW: purchases of 23,570 customers in the 39 weeks after the 39 weeks that are known."""

from __future__ import annotations

import gzip
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness import OURS, Row, report
from benchmarks.models.public_data import MissingDataError, public_file
from models.lifecycle.value import bgnbd
from models.lifecycle.value.histories import at_the_end, purchase_days
from models.lifecycle.value.measures import bias, poisson_deviance, top_capture
from models.lifecycle.value.model import CustomerValue, ValueParams
from models.metrics import FloatArray, paired_bootstrap

NAME = "clv_cdnow"
KNOWN = datetime(1997, 9, 30, tzinfo=UTC)
END = datetime(1998, 6, 30, tzinfo=UTC)
HORIZON_DAYS = (END - KNOWN).days
PUBLISHED = (0.243, 4.414, 0.793, 2.426)
"""r, alpha, a and b in Fader, Hardie & Lee 2005, on every tenth customer of the data."""
_ROUNDED = 6e-4
PREDICT_ZERO, BG_NBD = "predict_zero", "bg_nbd"
_PROTOCOL = (
    "All 23,570 customers; known: 1997-01-01 to 1997-09-30, held out: the 39 weeks after it; a day of "
    "purchase counts once. bg_nbd is the plain model (maximum likelihood); muyun is CustomerValue with "
    "its default settings and the horizon of 273 days; neither sees the held-out weeks. "
    "deviance_lift_low: low end of the 95% interval (500 paired draws of customers) of the mean Poisson "
    "deviance of bg_nbd less that of the system. top_decile_capture: share of the held-out purchases made "
    "by the tenth with the highest expectation. predict_zero has no deviance."
)


def main() -> int:
    """Runs the benchmark; 1 when the data are missing, or BG/NBD is not the published one on its sample."""
    try:
        purchases = read_purchases(public_file("cdnow", "CDNOW_master.txt.gz"))
    except MissingDataError as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return 1
    started = time.monotonic()
    found = sample_fit(purchases)
    report(
        Path(os.environ.get("MUYUN_HOME", "var")),
        name=NAME,
        protocol=_PROTOCOL,
        rows=measured(purchases, KNOWN, END),
        wall_s=time.monotonic() - started,
    )
    if any(abs(ours - printed) > _ROUNDED for ours, printed in zip(found, PUBLISHED, strict=True)):
        print(f"{NAME}: BG/NBD on the sample is {found}, published are {PUBLISHED}", file=sys.stderr)
        return 1
    return 0


def sample_fit(purchases: pl.DataFrame) -> tuple[float, float, float, float]:
    """r, alpha, a and b on the tenth of the customers on which the authors printed theirs."""
    gaps = Path(__file__).with_name("cdnow_sample_gaps.txt").read_text().split()
    ids = [f"{number:05d}" for number in np.cumsum(np.array(gaps, dtype=int))]
    sample = purchases.filter(pl.col("consumer_id").is_in(ids))
    fitted = bgnbd.fit(at_the_end(purchase_days(sample, KNOWN)).known)
    return fitted.r, fitted.alpha, fitted.a, fitted.b


def read_purchases(file: Path) -> pl.DataFrame:
    """`consumer_id`, `at` (UTC midnight) and `value_cents` of every row of the file."""
    with gzip.open(file, "rt", encoding="ascii") as opened:
        words = [line.split() for line in opened.readlines()[1:] if line.strip()]
    raw = pl.DataFrame(words, schema=["consumer_id", "day", "cds", "dollars"], orient="row")
    return raw.select(
        "consumer_id",
        at=pl.col("day").str.to_datetime("%Y%m%d", time_unit="us", time_zone="UTC"),
        value_cents=(pl.col("dollars").cast(pl.Float64) * 100).round().cast(pl.Int64),
    )


def measured(purchases: pl.DataFrame, known: datetime, end: datetime) -> list[Row]:
    """Every system on one cut."""
    horizon = (end - known).days
    days = purchase_days(purchases, known)
    before = at_the_end(days)
    after = (
        purchases.filter((pl.col("at") > known) & (pl.col("at") <= end))
        .group_by("consumer_id")
        .agg(came=pl.col("at").dt.date().n_unique())
    )
    came = (
        pl.DataFrame({"consumer_id": before.ids})
        .join(after, on="consumer_id", how="left", maintain_order="left")["came"]
        .fill_null(0)
    )
    actual = np.asarray(came.to_numpy(), dtype=np.float64)
    plain = bgnbd.fit(before.known).expected(before.known, horizon / 7)
    ours = CustomerValue(ValueParams(horizon_days=horizon)).fit(purchases, known).predict(purchases, known)
    rows = [Row(PREDICT_ZERO, "mae", float(np.abs(actual).mean()), "purchases")]
    for system, expected in ((BG_NBD, plain), (OURS, ours["expected_orders"].to_numpy())):
        rows += [
            Row(system, "mae", float(np.abs(actual - expected).mean()), "purchases"),
            Row(system, "bias_pct", 100 * bias(actual, expected), "%"),
            Row(system, "deviance", float(poisson_deviance(actual, expected).mean()), "a customer"),
            Row(system, "top_decile_capture", top_capture(actual, expected), "fraction"),
        ]
    rows.append(_lift(actual, plain, ours["expected_orders"].to_numpy()))
    return rows


def _lift(actual: FloatArray, plain: FloatArray, ours: FloatArray) -> Row:
    by_plain, by_us = poisson_deviance(actual, plain), poisson_deviance(actual, ours)
    lift = paired_bootstrap(
        len(actual),
        lambda drawn: float(by_us[drawn].mean()),
        lambda drawn: float(by_plain[drawn].mean()),
        higher_is_better=False,
    )
    return Row(OURS, "deviance_lift_low", lift.low, "a customer", (lift.low, lift.high))
