"""Split a sku's need over its suppliers and round each part to what a supplier can take.

The printed rule gives the primary 60% and the backups 30% and leaves 10% open. Here the primary carries the
open part (it must have at least 60%), and it is reported. This is the cheapest plan within those limits when
the backups are to be kept alive: the linear programme has this closed form because costs only rank suppliers.
"""

from __future__ import annotations

import polars as pl

from models.replenishment.config import ReorderConfig


def ranked_offers(offers: pl.DataFrame, config: ReorderConfig) -> pl.DataFrame:
    """Clean offers and rank a sku's suppliers: cheapest first, then fastest, then by id.

    Args:
        offers: Current offers; on_hand_qty, capacity_per_day, min_order_qty and lead_time_days may be null.
        config: Settings.

    Returns:
        supplier_id, sku_id, on_hand_qty, lead_time_days, supply_price_cents, minimum, pack, capacity (null:
        no limit; whole packs within one review period), place (0 is the primary), first_offered_at (of any
        version; of this one where that is not told). One row per supplier and sku, newest version.
    """
    pack = (
        pl.col("pack_qty").fill_null(config.pack_qty).clip(1)
        if "pack_qty" in offers.columns
        else pl.lit(config.pack_qty)
    ).cast(pl.Int64)
    began = pl.col("first_offered_at" if "first_offered_at" in offers.columns else "valid_from")
    return (
        offers.with_columns(first_offered_at=began)
        .sort("valid_from", "supply_price_cents", descending=[True, False])
        .unique(["supplier_id", "sku_id"], keep="first", maintain_order=True)
        .sort("sku_id", "supply_price_cents", "lead_time_days", "supplier_id", nulls_last=True)
        .with_columns(place=pl.int_range(pl.len()).over("sku_id"), pack=pack)
        .with_columns(
            minimum=pl.col("min_order_qty").fill_null(1).clip(1).cast(pl.Int64),
            capacity=(pl.col("capacity_per_day").cast(pl.Int64) * config.review_days)
            // pl.col("pack")
            * pl.col("pack"),
        )
        .select(
            "supplier_id",
            "sku_id",
            "on_hand_qty",
            "lead_time_days",
            "supply_price_cents",
            "minimum",
            "pack",
            "capacity",
            "place",
            "first_offered_at",
        )
    )


def rounded_order(wanted: pl.Expr, minimum: pl.Expr, pack: pl.Expr, capacity: pl.Expr) -> pl.Expr:
    """Whole packs of at least the minimum and at most the capacity; 0 where the two exclude each other.

    Args:
        wanted: Int, units; 0 stays 0.
        minimum: Int, least units of an order.
        pack: Int, units a pack.
        capacity: Int, whole packs, or null for no limit.

    Returns:
        Int64 expression.
    """
    raised = pl.max_horizontal(wanted, minimum)
    packed = (raised + pack - 1) // pack * pack
    capped = pl.when(capacity.is_null()).then(packed).otherwise(pl.min_horizontal(packed, capacity))
    return pl.when((wanted > 0) & (capped >= minimum)).then(capped).otherwise(0).cast(pl.Int64)


def split_over_suppliers(needs: pl.DataFrame, config: ReorderConfig) -> pl.DataFrame:
    """Give each supplier its part of the sku's need.

    Args:
        needs: Columns of `ranked_offers` plus need_qty (Int64, units of the sku, equal within a sku).
        config: Settings.

    Returns:
        The frame with wanted_qty (before rounding), reorder_qty, open_qty (the printed rule's missing part,
        carried by the primary; 0 without backups) and shortfall_qty (of the sku, on the primary's row).
    """
    is_backup = pl.col("place") > 0
    budget = (pl.col("need_qty") * config.backup_share).floor().cast(pl.Int64)
    usable = pl.when(is_backup).then(pl.col("capacity").fill_null(pl.col("need_qty"))).otherwise(0)
    before = usable.cum_sum().over("sku_id", order_by="place") - usable
    part = pl.min_horizontal(usable, pl.max_horizontal(budget - before, pl.lit(0)))
    # A backup is only used for whole packs that reach its minimum; the rest goes back to the primary.
    whole = part // pl.col("pack") * pl.col("pack")
    backup = pl.when(is_backup & (whole >= pl.col("minimum"))).then(whole).otherwise(0)
    parted = needs.with_columns(_backup=backup.cast(pl.Int64))
    taken = pl.col("_backup").sum().over("sku_id")
    wanted = pl.when(is_backup).then(pl.col("_backup")).otherwise(pl.col("need_qty") - taken)
    missing = pl.col("need_qty") * (1 - config.primary_share - config.backup_share)
    result = parted.with_columns(wanted_qty=wanted.cast(pl.Int64)).with_columns(
        reorder_qty=rounded_order(
            pl.col("wanted_qty"), pl.col("minimum"), pl.col("pack"), pl.col("capacity")
        ),
        open_qty=pl.when(~is_backup & (taken > 0)).then(missing.round().cast(pl.Int64)).otherwise(0),
    )
    short = pl.col("need_qty") - pl.col("reorder_qty").sum().over("sku_id")
    return result.with_columns(
        shortfall_qty=pl.when(~is_backup)
        .then(pl.max_horizontal(short, pl.lit(0)))
        .otherwise(0)
        .cast(pl.Int64)
    ).drop("_backup")
