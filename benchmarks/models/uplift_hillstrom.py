"""Hillstrom's e-mail experiment: the gate lets the women's mailing be targeted and refuses the men's."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import polars as pl

from benchmarks.harness import OURS, Row, report
from benchmarks.models.public_data import MissingDataError, public_file
from models.lifecycle.uplift.gate import Judged, judge
from models.lifecycle.uplift.trial import Experiment

NAME = "uplift_hillstrom"
WOMENS, MENS, NONE = "Womens E-Mail", "Mens E-Mail", "No E-Mail"
_FEATURES = (
    "recency", "mens", "womens", "newbie", "history", "zip_code_Rural", "zip_code_Urban", "channel_Phone",
    "channel_Web",
)  # fmt: skip
_UNIT = "visits per 1,000 customers"
_PROTOCOL = (
    "64,000 customers, drawn to a men's mailing, a women's mailing or none; each mailing against none, "
    "outcome: a visit within two weeks. Effects by the lifecycle family's learners (doubly robust, T, X: "
    "whichever orders unseen customers best), each customer's taught and chosen on the other four folds. "
    "qini: visits per 1,000 customers that the order gains over any order, mean over all depths, with its "
    "95% interval (300 draws of customers). gate_refuses_mens: 1 where the gate accepts the women's "
    "mailing and refuses the men's, else 0."
)


def main() -> int:
    """Runs the benchmark; 1 when the data are missing."""
    try:
        customers = pl.read_csv(public_file("hillstrom", "hillstrom.csv.gz"), infer_schema_length=None)
    except MissingDataError as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return 1
    started = time.monotonic()
    report(
        Path(os.environ.get("MUYUN_HOME", "var")),
        name=NAME,
        protocol=_PROTOCOL,
        rows=measured(customers),
        wall_s=time.monotonic() - started,
    )
    return 0


def measured(customers: pl.DataFrame) -> list[Row]:
    """Both mailings, and what the gate says of them."""
    womens, mens = (judge(trial(customers, mailing)) for mailing in (WOMENS, MENS))
    is_right = womens.decision.promoted and not mens.decision.promoted
    return [
        _qini("qini_womens", womens),
        _qini("qini_mens", mens),
        Row(OURS, "gate_accepts_womens", float(womens.decision.promoted), "yes or no"),
        Row(OURS, "gate_refuses_mens", float(is_right), "yes or no"),
        Row("any_order", "qini_womens", 0.0, _UNIT),
    ]


def trial(customers: pl.DataFrame, mailing: str) -> Experiment:
    """One mailing against none."""
    rows = customers.filter(pl.col("segment").is_in([mailing, NONE])).with_columns(
        pl.col("history").log(),
        (pl.col("segment") == mailing).alias("is_mailed"),
        *[
            (pl.col(column) == value).alias(f"{column}_{value}")
            for column, known in (("zip_code", ("Rural", "Urban")), ("channel", ("Phone", "Web")))
            for value in known
        ],
    )
    return Experiment.from_frame(rows, features=_FEATURES, treated="is_mailed", outcome="visit", share=0.5)


def _qini(metric: str, judged: Judged) -> Row:
    lift = judged.decision.lift
    return Row(OURS, metric, 1000 * lift.mean, _UNIT, (1000 * lift.low, 1000 * lift.high))
