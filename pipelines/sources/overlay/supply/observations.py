"""Overlay table `supply_observations`: scans, capacities, levels and readings of the last weeks."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

from pipelines.sources.overlay.context import Context
from pipelines.sources.overlay.draws import DAY, HOUR, MINUTE, SECOND, arrivals, finish, micros, moments
from pipelines.sources.overlay.shipments import shipments
from pipelines.sources.overlay.stock import stock_plan
from pipelines.sources.overlay.supply.truths import batch_number, batched_skus, watched_suppliers
from pipelines.sources.overlay.truths import supplier_regions

_SCANNED = timedelta(days=60)
"""Parcels of orders of these last days are scanned."""
_CAPACITY_DAYS = 60
_LEVEL_WEEKS = 8
_LEVEL_SKUS = 1_000
_DEVICE_DAYS = 14
_WARM_HOURS = 6
_COLUMNS = (
    "kind", "supplier_id", "warehouse_id", "sku_id", "shipment_id", "batch_id", "device_id", "place",
    "status", "qty", "reading", "reading_unit",
)  # fmt: skip


def supply_observations(context: Context) -> pl.DataFrame:
    """One row per scan, stated capacity, counted level or reading."""
    parts = [_scans(context), _capacities(context), _levels(context), _readings(context)]
    rows = pl.concat([_full(part) for part in parts]).sort("at", *_COLUMNS)
    at = rows["at"].to_numpy()
    rows = rows.with_columns(
        occurred_at=moments(at),
        received_at=moments(arrivals(context.rng("supply_observations"), at, 2 * MINUTE)),
    ).filter(pl.col("occurred_at") <= context.as_of)
    return finish(
        "supply_observations",
        rows,
        as_of=context.as_of,
        order_by=["occurred_at", *_COLUMNS],
        key="observation_id",
        key_prefix="obs",
    )


def _full(part: pl.DataFrame) -> pl.DataFrame:
    """Return a part with every column of an observation, absent ones null, and `at` in microseconds."""
    absent = [pl.lit(None).alias(name) for name in _COLUMNS if name not in part.columns]
    types = {"qty": pl.Int64, "reading": pl.Float64, "at": pl.Int64}
    return part.with_columns(absent).select(
        pl.col(name).cast(types.get(name, pl.String)) for name in (*_COLUMNS, "at")
    )


def _scans(context: Context) -> pl.DataFrame:
    """Return scans where a parcel leaves, half-way, where it waits, and where it arrives.

    A parcel with goods that are told by batch is scanned at departure once for each such sku.
    """
    end = context.observed.lines["placed_at"].tail(1)[0]
    parcels = (
        shipments(context)
        .join(context.observed.orders.select("order_id", "placed_at"), on="order_id")
        .filter(pl.col("placed_at") > end - _SCANNED, pl.col("shipped_at").is_not_null())
        .with_columns(
            left=pl.col("shipped_at").to_physical(),
            seen=pl.col("last_node_at").to_physical(),
        )
    )
    told = (
        context.observed.lines.join(batched_skus(context.observed), on=["sku_id", "supplier_id"])
        .with_columns(batch_id=pl.format("{}-b{}", "sku_id", batch_number(pl.col("placed_at"), end)))
        .select("order_id", "supplier_id", "sku_id", "batch_id")
        .unique(["order_id", "supplier_id", "sku_id"])
        .sort("order_id", "supplier_id", "sku_id")
        .with_columns(
            batch_id=pl.when(
                pl.col("sku_id").is_in(list(context.truths.supply.made_up_batches))
                & (pl.int_range(pl.len()).over("sku_id") % 3 == 0)
            )
            .then(pl.format("{}-x", "sku_id"))
            .otherwise("batch_id")
        )
    )
    picked = parcels.join(told, on=["order_id", "supplier_id"], how="left").select(
        "shipment_id", "supplier_id", "sku_id", "batch_id",
        place="from_region", status=pl.lit("picked_up"), at="left",
    )  # fmt: skip
    later = parcels.filter(pl.col("seen") > pl.col("left")).with_columns(
        status=pl.col("last_node").replace_strict(
            {"delivered": "delivered", "exception": "exception"}, default="in_transit"
        )
    )
    halfway = later.filter(pl.col("status") == "delivered").select(
        "shipment_id", "supplier_id", status=pl.lit("in_transit"), place="from_region",
        at=pl.col("left") + (pl.col("seen") - pl.col("left")) // 2,
    )  # fmt: skip
    last = later.select("shipment_id", "supplier_id", "status", place="to_region", at="seen")
    return pl.concat([picked, halfway, last], how="diagonal").with_columns(kind=pl.lit("parcel_scan"))


def _capacities(context: Context) -> pl.DataFrame:
    """Return what the largest suppliers state every morning: their daily sales and a half, give or take."""
    truths = context.truths.supply
    suppliers = watched_suppliers(context.observed)
    lines = context.observed.lines
    span = max(1, (lines["placed_at"].tail(1)[0] - lines["placed_at"].head(1)[0]).days)
    sold = lines.group_by("supplier_id").agg(qty=pl.col("qty").sum())
    base = pl.DataFrame({"supplier_id": suppliers}, schema={"supplier_id": pl.String}).join(
        sold, on="supplier_id", how="left", maintain_order="left"
    )["qty"].to_numpy() / span * 1.5 + 40  # fmt: skip
    days = np.arange(_CAPACITY_DAYS, dtype=np.int64)
    at = micros(lines["placed_at"].tail(1)[0]) // DAY * DAY - days * DAY + 7 * HOUR
    noise = context.rng("capacities").normal(0.0, truths.capacity_log_sd, (len(suppliers), len(days)))
    since = np.array(
        [
            micros(truths.capacity_collapses[supplier])
            if supplier in truths.capacity_collapses
            else np.iinfo(np.int64).max
            for supplier in suppliers
        ],
        dtype=np.int64,
    )
    share = np.where(at[None, :] >= since[:, None], truths.collapsed_share, 1.0)
    stated = np.ceil(base[:, None] * np.exp(noise) * share).astype(np.int64)
    return pl.DataFrame(
        {
            "supplier_id": np.repeat(np.array(suppliers, dtype=object), len(days)).tolist(),
            "qty": stated.reshape(-1),
            "at": np.tile(at, len(suppliers)),
        },
        schema={"supplier_id": pl.String, "qty": pl.Int64, "at": pl.Int64},
    ).with_columns(kind=pl.lit("capacity"))


def _levels(context: Context) -> pl.DataFrame:
    """Return the counted stock of the best sellers just before each of the last reported weeks."""
    plan = stock_plan(context)
    n = min(_LEVEL_SKUS, plan.skus.height)
    weeks = np.arange(max(0, plan.report_week - _LEVEL_WEEKS), plan.report_week, dtype=np.int64)
    home = supplier_regions(context.seed, context.observed)
    skus = plan.skus.head(n).join(
        home.select(supplier_id="id", warehouse_id=pl.lit("wh-") + pl.col("region")),
        on="supplier_id",
        how="left",
        maintain_order="left",
    )
    at = plan.week_start(weeks) - SECOND
    row = np.repeat(np.arange(n), len(weeks))
    return skus.select("sku_id", "supplier_id", "warehouse_id")[row].with_columns(
        kind=pl.lit("stock_level"),
        qty=pl.Series(plan.opening_balance[:n, weeks].reshape(-1), dtype=pl.Int64),
        at=pl.Series(np.tile(at, n), dtype=pl.Int64),
    )


def _readings(context: Context) -> pl.DataFrame:
    """Return an hourly temperature of every warehouse; one of them runs warm for six hours."""
    end = micros(context.observed.lines["placed_at"].tail(1)[0])
    regions = supplier_regions(context.seed, context.observed)["region"].unique().sort().to_list()
    hours = np.arange(_DEVICE_DAYS * 24, dtype=np.int64)
    at = end // HOUR * HOUR - hours * HOUR
    degrees = context.rng("readings").normal(4.0, 0.4, (len(regions), len(hours)))
    broken = context.truths.supply.cold_chain_break
    if broken is not None:
        device, since = broken
        warm = (at >= micros(since)) & (at < micros(since) + _WARM_HOURS * HOUR)
        for place, region in enumerate(regions):
            if f"thermo-{region}" == device:
                degrees[place, warm] += 8.0
    return pl.DataFrame(
        {
            "region": [region for region in regions for _ in hours],
            "reading": np.round(degrees, 2).reshape(-1),
            "at": np.tile(at, len(regions)),
        },
        schema={"region": pl.String, "reading": pl.Float64, "at": pl.Int64},
    ).with_columns(
        kind=pl.lit("device"),
        device_id=pl.lit("thermo-") + pl.col("region"),
        warehouse_id=pl.lit("wh-") + pl.col("region"),
        place=pl.col("region"),
        reading_unit=pl.lit("celsius"),
    )
