"""Rebuy on the embedded household panel: a product type bought again within 14 days."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from benchmarks.harness import OURS, Row, report
from benchmarks.models.lifecycle_cuts import aucs, forecasts, pooled_ece, read_panel
from models.lifecycle.config import REBUY, LifecycleConfig
from models.lifecycle.judging.evaluation import MODEL, precision_at_top, systems_of
from models.metrics import average_precision

_PROTOCOL = (
    "Pairs of a household and a product type bought in at least three orders; default settings of "
    "LifecycleConfig otherwise. Three rolling cuts 14 days apart, the last window ends with the panel; "
    "training and calibration see only labels whose windows had ended by the cut. auc, ap, precision_top5 "
    "(right ones among each household's five likeliest): means over the cuts; ece: ten equally filled "
    "bins, all cuts pooled."
)


def main() -> int:
    """Runs the benchmark."""
    started = time.monotonic()
    found = forecasts(read_panel(), REBUY, LifecycleConfig(min_purchases=3))
    measured = aucs(found)
    rows: list[Row] = []
    for system, scores in systems_of(found).items():
        name = OURS if system == MODEL else system
        each = list(zip(found, scores, strict=True))
        precision = np.mean([average_precision(one.examples.label, score) for one, score in each])
        top = np.mean([precision_at_top(one, score) for one, score in each])
        rows += [
            Row(name, "auc", measured[system][0], "fraction", measured[system][1]),
            Row(name, "ap", float(precision), "fraction"),
            Row(name, "precision_top5", float(top), "fraction"),
        ]
    rows.append(Row(OURS, "ece", pooled_ece(found), "fraction"))
    report(
        Path(os.environ.get("MUYUN_HOME", "var")),
        name="rebuy_complete_journey",
        protocol=_PROTOCOL,
        rows=rows,
        wall_s=time.monotonic() - started,
    )
    return 0
