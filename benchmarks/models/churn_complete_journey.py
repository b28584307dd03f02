"""Churn on the embedded household panel: no order within 28 and within 60 days."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.harness import OURS, Row, report
from benchmarks.models.lifecycle_cuts import aucs, forecasts, pooled_ece, read_panel
from models.lifecycle.config import CHURN, LifecycleConfig
from models.lifecycle.judging.evaluation import MODEL

HORIZONS_DAYS = (28, 60)
_PROTOCOL = (
    "Households with an order in the last 112 days are asked; default settings of LifecycleConfig, for 60 "
    "days with the horizon alone changed. Rolling cuts 28 days apart, the last window ends with the "
    "panel; training and calibration see only labels whose windows had ended by the cut. auc: mean over "
    "the cuts, with the 95% interval over draws of households; ece: ten equally filled bins, all cuts "
    "pooled."
)


def main() -> int:
    """Runs the benchmark."""
    started = time.monotonic()
    panel, config = read_panel(), LifecycleConfig()
    rows: list[Row] = []
    for days in HORIZONS_DAYS:
        asked = replace(config, churn=replace(config.churn, horizon_days=days))
        found = forecasts(panel, CHURN, asked)
        for system, (mean, interval) in aucs(found).items():
            name = OURS if system == MODEL else system
            rows.append(Row(name, f"auc_{days}d", mean, "fraction", interval))
        rows.append(Row(OURS, f"ece_{days}d", pooled_ece(found), "fraction"))
        rows.append(Row(OURS, f"cuts_{days}d", len(found), "cuts"))
    report(
        Path(os.environ.get("MUYUN_HOME", "var")),
        name="churn_complete_journey",
        protocol=_PROTOCOL,
        rows=rows,
        wall_s=time.monotonic() - started,
    )
    return 0
