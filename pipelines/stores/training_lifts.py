"""What trainings brought, as a run leaves it in the lake, and how to ask whether it still stands."""

from __future__ import annotations

import polars as pl

from serving.db.operations import Operations
from serving.reviews import measuring

LIFTS = "trainings/lifts"
"""Per training: `LIFT_COLUMNS`."""
LIFT_COLUMNS: dict[str, pl.DataType] = {
    "training_id": pl.String(),
    "title": pl.String(),
    "party_type": pl.String(),
    "month": pl.Date(),
    "until": pl.Date(),
    "seats": pl.Int64(),
    "by_lot": pl.Int64(),
    "not_drawn": pl.Int64(),
    "word": pl.String(),
    "cents": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
}
"""`word` and what follows as in `models.reviews.lift.Lift`; null until the months are over and published."""


def state_of(url: str, tenant_id: str) -> str:
    """As `serving.reviews.measuring.state_of` tells it.

    Args:
        url: Address of the migrated operational database.
        tenant_id: Whose trainings.
    """
    with Operations(url, size=1) as operations, operations.transaction(tenant_id) as conn:
        return measuring.state_of(conn, tenant_id)
