"""What the quality brake holds, as the last night left it in the lake: read by lists, prices and reorders."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from models.supply.brake.ladder import Level
from pipelines.lake.tables import Lake
from serving.db.operations import Operations
from serving.quality import levels

LEVELS = "quality/levels"
"""`sku_id`, `level`, `reason_code` of the skus that are held."""
FROZEN = "quality/frozen_suppliers"
"""`supplier_id` of the suppliers whose offers do not route."""
ESTIMATES = "quality/estimates"
"""What is known of every sku that was delivered in the window."""


@dataclass(frozen=True)
class HeldBack:
    """Skus and suppliers that are held back, by id.

    Attributes:
        limited: Skus with half the exposure.
        unpromoted: Skus whose price nothing cuts: the limited and the stopped ones.
        stopped: Skus that are neither shown nor brought in.
        frozen: Suppliers whose offers do not count.
    """

    limited: tuple[str, ...] = ()
    unpromoted: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()

    def offers(self, offers: pl.DataFrame) -> pl.DataFrame:
        """Offers, or stock, without those of frozen suppliers."""
        return offers.filter(~pl.col("supplier_id").is_in(list(self.frozen))) if self.frozen else offers


NOTHING_HELD = HeldBack()


def newest_change(url: str, tenant_id: str) -> int:
    """Number of the newest change of a level in the database; whoever has seen it has seen all.

    Args:
        url: Address of the migrated operational database.
        tenant_id: Whose levels.
    """
    with Operations(url, size=1) as operations, operations.transaction(tenant_id) as conn:
        return levels.newest_change(conn, tenant_id)


def held_back(lake: Lake) -> HeldBack:
    """What the last night holds back; nothing before the first one."""
    if not lake.derived_path(LEVELS).exists():
        return NOTHING_HELD
    held = lake.get(LEVELS)

    def skus(condition: pl.Expr) -> tuple[str, ...]:
        return tuple(held.filter(condition)["sku_id"].sort().to_list())

    return HeldBack(
        limited=skus(pl.col("level") == Level.LIMIT),
        unpromoted=skus(pl.col("level") >= Level.LIMIT),
        stopped=skus(pl.col("level") >= Level.STOP),
        frozen=tuple(lake.get(FROZEN)["supplier_id"].sort().to_list()),
    )
