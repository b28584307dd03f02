"""The weeks of communities, read from the operational database."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import polars as pl

from pipelines.stores.communities import WEEK_COLUMNS
from serving.communities.health import weeks_of
from serving.db.calendar import zone_of
from serving.db.operations import Operations

SHOWN_WEEKS = 26
"""Weeks that a run keeps, the running one among them. Source: assumed."""


def weeks_frame(url: str, tenant_id: str, now: datetime) -> pl.DataFrame:
    """Communities of a tenant by week: `WEEK_COLUMNS`, the newest first.

    Args:
        url: Address of the migrated operational database.
        tenant_id: The tenant.
        now: Business time (UTC).
    """
    with Operations(url, size=1) as operations, operations.transaction(tenant_id) as conn:
        found = weeks_of(conn, tenant_id, zone_of(conn, tenant_id).key, now, SHOWN_WEEKS)
    return pl.DataFrame([asdict(one) for one in found], schema=WEEK_COLUMNS)


def broken(weeks: pl.DataFrame) -> list[str]:
    """Weeks whose members are not those of the week before, and who joined, less who left; as text."""
    ordered = weeks.sort("merchant_id", "community_id", "week_on").with_columns(
        before=pl.col("members").shift(1).over("merchant_id", "community_id")
    )
    wrong = ordered.filter(
        pl.col("before").is_not_null()
        & (pl.col("members") != pl.col("before") + pl.col("joined") - pl.col("left_members"))
    )
    named = wrong.select("merchant_id", "community_id", "week_on")
    return [f"{shop}/{name} {day}" for shop, name, day in named.iter_rows()]
