"""Hard gates: what puts a supplier, or one of its channels, out of the question whatever its score."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from models.supply.grading.config import GradingConfig

REASONS = ("frozen", "licence_revoked", "licence_contested", "licence_expired")
"""Gates of a supplier; of several the first counts."""
QUALITY_FLOOR = "quality_floor"
"""Gate of a channel."""
LICENCE = "business"
"""The kind of licence that every supplier needs who states any."""


def supplier_gates(suppliers: pl.DataFrame, licences: pl.DataFrame) -> pl.DataFrame:
    """Suppliers that may not sell at all.

    Args:
        suppliers: `supplier_id`, `is_active`.
        licences: `supplier_id`, `kind`, `status`, `is_contested`, `is_in_force`; rows of other kinds and of
            merchants are not looked at. A supplier who states no licence is held to none.

    Returns:
        `supplier_id`, `gate`, by supplier; only gated ones. Where no licence is in force: revoked where one
        was taken away or suspended, contested where another holder's claim is older or as old, else expired.
    """
    held = (
        licences.filter(pl.col("kind") == LICENCE, pl.col("supplier_id").is_not_null())
        .group_by("supplier_id")
        .agg(
            licensed=pl.col("is_in_force").any(),
            revoked=(pl.col("status") != "valid").any(),
            contested=pl.col("is_contested").any(),
        )
    )
    return (
        suppliers.select("supplier_id", "is_active")
        .join(held, on="supplier_id", how="left")
        .with_columns(
            gate=pl.when(~pl.col("is_active"))
            .then(pl.lit("frozen"))
            .when(pl.col("licensed").fill_null(True))
            .then(pl.lit(None, pl.String))
            .when("revoked")
            .then(pl.lit("licence_revoked"))
            .when("contested")
            .then(pl.lit("licence_contested"))
            .otherwise(pl.lit("licence_expired"))
        )
        .filter(pl.col("gate").is_not_null())
        .select("supplier_id", "gate")
        .sort("supplier_id")
    )


def with_frozen(gated: pl.DataFrame, frozen: Iterable[str]) -> pl.DataFrame:
    """Gates with those of suppliers that the quality brake froze, who have no other."""
    known = set(gated["supplier_id"])
    more = sorted(set(frozen) - known)
    return pl.concat(
        [gated, pl.DataFrame({"supplier_id": more, "gate": ["frozen"] * len(more)}, schema=gated.schema)]
    ).sort("supplier_id")


def with_gates(channels: pl.DataFrame, gated: pl.DataFrame, config: GradingConfig) -> pl.DataFrame:
    """Channels with `gate`: their supplier's, or their own where the fault rate is surely above the floor.

    Args:
        channels: With `supplier_id` and `fault_low`, null where no line was ever sold.
        gated: As of `supplier_gates`.
        config: Settings.
    """
    own = pl.when(pl.col("fault_low") > config.quality_floor).then(pl.lit(QUALITY_FLOOR))
    return channels.join(gated, on="supplier_id", how="left", maintain_order="left").with_columns(
        gate=pl.coalesce("gate", own)
    )
