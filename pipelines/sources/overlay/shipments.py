"""Overlay table `shipments`: parcels of observed orders, late at the planted rate of the supplier's group."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.sources.overlay.context import Context
from pipelines.sources.overlay.draws import (
    DAY,
    HOUR,
    MINUTE,
    Ints,
    arrivals,
    finish,
    local_day_start,
    micros,
    micros_of,
    moments,
    moments_where,
)
from pipelines.sources.overlay.truths import regions, supplier_regions

_PARCELS_PER_ORDER = 2
_DELIVERY_HOUR = 20
"""Local hour by which a parcel is promised."""


def shipments(context: Context) -> pl.DataFrame:
    """One row per parcel: the two suppliers of an order with the highest paid value send one each.

    Other suppliers' goods travel with the first parcel. A parcel is told in its last state known at `as_of`,
    and `received_at` follows that state: a reader at an earlier moment does not see it rather than see its
    future.
    """
    observed = context.observed
    truths = context.truths
    parcels = (
        observed.lines.join(observed.suppliers.select("supplier_id").unique(), on="supplier_id", how="semi")
        .group_by("order_id", "supplier_id", "merchant_id", "placed_at")
        .agg(paid=pl.col("net_paid_cents").sum())
        .sort(["placed_at", "order_id", "paid", "supplier_id"], descending=[False, False, True, False])
        .filter(pl.int_range(pl.len()).over("order_id") < _PARCELS_PER_ORDER)
    )
    parcels = parcels.join(
        supplier_regions(context.seed, observed).rename({"id": "supplier_id", "region": "from_region"}),
        on="supplier_id",
        how="left",
        maintain_order="left",
    ).join(
        regions(
            context.seed, "merchants", observed.merchants["merchant_id"], observed.merchants["region_code"]
        ).rename({"id": "merchant_id", "region": "to_region"}),
        on="merchant_id",
        how="left",
        maintain_order="left",
    )
    n = parcels.height
    rng = context.rng("shipments")
    placed = micros_of(parcels["placed_at"])
    near = (parcels["from_region"] == parcels["to_region"]).to_numpy()
    days = np.where(near, rng.integers(2, 4, n), rng.integers(3, 6, n))
    promised = local_day_start(placed, context.utc_offset_hours) + days * DAY + _DELIVERY_HOUR * HOUR
    shipped = placed + (rng.uniform(2, 24, n) * HOUR).astype(np.int64)
    rate = parcels["supplier_id"].replace_strict(
        {s: truths.late_rate_by_group[g] for s, g in truths.supplier_groups.items()}, return_dtype=pl.Float64
    )
    late = rng.random(n) < rate.to_numpy()
    on_time_at = shipped + (rng.beta(4, 2, n) * (promised - shipped)).astype(np.int64)
    late_at = promised + HOUR + (rng.exponential(1.5, n) * DAY).astype(np.int64)
    arrived = np.where(late, late_at, on_time_at)
    arrived = arrived + _wait(context, parcels["from_region"], near, shipped)
    lost = rng.random(n) < truths.lost_share
    lost_seen = shipped + (rng.uniform(0.2, 0.8, n) * (arrived - shipped)).astype(np.int64)

    end = context.end
    has_left, has_arrived, is_lost = shipped <= end, (arrived <= end) & ~lost, lost & (lost_seen <= end)
    halfway = shipped + (arrived - shipped) // 2
    node_at = np.select(
        [has_arrived, is_lost, has_left & (halfway <= end), has_left],
        [arrived, lost_seen, halfway, shipped],
        placed,
    )
    node = np.select(
        [has_arrived, is_lost, has_left & (halfway <= end), has_left],
        ["delivered", "exception", "in_transit", "shipped"],
        "created",
    )
    rows = parcels.with_columns(
        promised_at=moments(promised),
        shipped_at=moments_where(shipped, has_left),
        delivered_at=moments_where(arrived, has_arrived),
        last_node=pl.Series(node.tolist(), dtype=pl.String),
        last_node_at=moments(node_at),
        received_at=moments(arrivals(rng, node_at, 5 * MINUTE)),
    )
    return finish(
        "shipments",
        rows,
        as_of=context.as_of,
        order_by=["placed_at", "order_id", "supplier_id"],
        key="shipment_id",
        key_prefix="shp",
    )


def _wait(context: Context, from_region: pl.Series, near: npt.NDArray[np.bool_], shipped: Ints) -> Ints:
    """Return microseconds (n,) that parcels to another region wait at the closed port."""
    closing = context.truths.supply.port_closing
    if closing is None:
        return np.zeros(len(shipped), dtype=np.int64)
    closed, reopened = micros(closing.closed_at), micros(closing.reopened_at)
    waits = (from_region == closing.region).to_numpy() & ~near & (shipped >= closed) & (shipped < reopened)
    return np.where(waits, reopened - shipped, 0)
