"""Overlay table `after_sales`: cases on observed lines, at the planted rate of sku, supplier and batch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.sources.overlay.context import Context
from pipelines.sources.overlay.draws import (
    DAY,
    HOUR,
    MINUTE,
    arrivals,
    finish,
    micros_of,
    moments,
    moments_where,
    picks,
)
from pipelines.sources.overlay.truths import PlantedTruths

_REASONS = {
    "quality": 0.34,
    "damaged": 0.26,
    "wrong_item": 0.14,
    "not_as_described": 0.16,
    "changed_mind": 0.10,
}


def after_sales(context: Context) -> pl.DataFrame:
    """One row per case. A refund is at most what was paid for the line; a complaint alone refunds nothing.

    `received_at` follows `opened_at`: a reader at a moment before `resolved_at` must treat the case as open.
    """
    truths = context.truths
    lines = context.observed.lines
    rng = context.rng("after_sales")
    factor = lines["supplier_id"].replace_strict(
        {s: truths.case_factor_by_group[g] for s, g in truths.supplier_groups.items()},
        default=1.0,
        return_dtype=pl.Float64,
    )
    prone = (
        lines["sku_id"].is_in(pl.Series(truths.complaint_prone_skus, dtype=pl.String).implode()).to_numpy()
    )
    rate = np.where(prone, truths.case_rate_prone, truths.case_rate_base) * factor.to_numpy()
    is_bad = _of_bad_batch(lines, truths)
    rate = np.where(is_bad, truths.supply.bad_batch.case_rate if truths.supply.bad_batch else rate, rate)
    cases = lines.with_columns(is_bad=pl.Series(is_bad)).filter(pl.Series(rng.random(lines.height) < rate))
    n = cases.height
    opened = micros_of(cases["placed_at"]) + DAY + (rng.exponential(3.0, n) * DAY).astype(np.int64)
    resolved = opened + HOUR + (rng.lognormal(0.6, 0.8, n) * DAY).astype(np.int64)
    closed = resolved <= context.end
    kind = picks(rng, dict(truths.case_kind_shares), n)
    share = np.where(rng.random(n) < 0.7, 1.0, rng.uniform(0.2, 0.9, n))
    refund = np.floor(cases["net_paid_cents"].to_numpy() * share).astype(np.int64)
    rows = cases.with_columns(
        kind=kind,
        reason_code=pl.when("is_bad").then(pl.lit("quality")).otherwise(picks(rng, _REASONS, n)),
        opened_at=moments(opened),
        resolved_at=moments_where(resolved, closed),
        refund=pl.Series(refund),
        closed=pl.Series(closed),
        received_at=moments(arrivals(rng, opened, 5 * MINUTE)),
    ).with_columns(refund_cents=pl.when((pl.col("kind") != "complaint") & pl.col("closed")).then("refund"))
    return finish(
        "after_sales",
        rows,
        as_of=context.as_of,
        order_by=["opened_at", "order_id", "line_no"],
        key="case_id",
        key_prefix="case",
    )


def _of_bad_batch(lines: pl.DataFrame, truths: PlantedTruths) -> npt.NDArray[np.bool_]:
    """Return whether each line is of the planted bad batch (n,)."""
    bad = truths.supply.bad_batch
    if bad is None:
        return np.zeros(lines.height, dtype=bool)
    placed = pl.col("placed_at")
    within = (pl.col("sku_id") == bad.sku_id) & (placed > bad.sold_from) & (placed <= bad.sold_until)
    return lines.select(within)["sku_id"].to_numpy()
