"""What a close of members leaves in the lake for the report, and how to ask whether it still stands."""

import polars as pl

from serving.db.operations import Operations
from serving.members import records

REPORT = "operations/members"
"""Report of the lake: what the last close found and did."""
MONTH_DAYS = 30
"""Days whose moves the report counts."""
COSTS = "operations/member_coupons"
"""What coupons of levels were and cost, by level and month: `COST_COLUMNS`."""
COST_COLUMNS: dict[str, pl.DataType] = {
    "level": pl.String(),
    "month_start_on": pl.Date(),
    "coupon_count": pl.Int64(),
    "redeemed_count": pl.Int64(),
    "coupon_cost_cents": pl.Int64(),
}
"""Fields of `serving.members.benefits.Cost`."""


def state_of(url: str, tenant_id: str) -> str:
    """The programme in force and the newest change of a member; whoever has seen both has seen all.

    Args:
        url: Address of the migrated operational database.
        tenant_id: Whose members.
    """
    with Operations(url, size=1) as operations, operations.transaction(tenant_id) as conn:
        return records.state_of(conn, tenant_id)
