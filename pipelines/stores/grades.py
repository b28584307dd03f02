"""What a grading leaves in the lake for later steps: the gates of suppliers, and yesterday's grades."""

from __future__ import annotations

import polars as pl

from pipelines.lake.tables import Lake

STATES = "supply/grade_states"
"""Grades of the last days without gates: what a step down is told from."""
GATES = "supply/supplier_gates"
"""`supplier_id`, `gate` of the suppliers whose offers route no orders."""


def gates(lake: Lake) -> dict[str, str]:
    """Supplier to the gate that the newest grading put; empty before the first."""
    return dict(lake.get(GATES).iter_rows()) if lake.derived_path(GATES).exists() else {}


def without_gated(offers: pl.DataFrame, lake: Lake) -> pl.DataFrame:
    """Offers, or stock, without those of gated suppliers."""
    gated = list(gates(lake))
    return offers.filter(~pl.col("supplier_id").is_in(gated)) if gated else offers
