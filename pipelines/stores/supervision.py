"""What a night of supervision leaves in the lake: the open cases."""

from __future__ import annotations

import polars as pl

from serving.db.operations import Operations
from serving.supervision import records

CASES = "supervision/cases"
"""The open cases, by party and sku: `CASE_COLUMNS`."""
CASE_COLUMNS: dict[str, pl.DataType] = {
    "case_id": pl.Int64(),
    "party_type": pl.String(),
    "party_id": pl.String(),
    "sku_id": pl.String(),
    "level": pl.Int64(),
    "score": pl.Float64(),
    "signs": pl.String(),
    "opened_at": pl.Datetime("us", "UTC"),
    "due_at": pl.Datetime("us", "UTC"),
}
"""`signs` are the names of what the case stands on, with commas."""


def newest_change(url: str, tenant_id: str) -> int:
    """Number of the newest change of a case in the database; whoever has seen it has seen all.

    Args:
        url: Address of the migrated operational database.
        tenant_id: Whose cases.
    """
    with Operations(url, size=1) as operations, operations.transaction(tenant_id) as conn:
        return records.newest_change(conn, tenant_id)
