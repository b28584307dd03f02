"""What trainings brought, kept in the operational database and read for the report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import polars as pl
import psycopg

from pipelines.stores.training_lifts import LIFT_COLUMNS
from serving.db.operations import Operations
from serving.db.retries import in_transaction
from serving.reviews.measuring import keep_measured, state_of
from serving.reviews.trainings import Training, last_measured_month, lift_now, newest

SHOWN = 50
"""Trainings that a run reads for the report, the newest. Source: assumed."""


@dataclass(frozen=True)
class Lifts:
    """What a look found and kept.

    Attributes:
        kept: Trainings whose sales are kept since.
        trainings: The newest ones: `LIFT_COLUMNS`.
        state: As `serving.reviews.measuring.state_of` tells it.
    """

    kept: list[str]
    trainings: pl.DataFrame
    state: str


def keep_lifts(url: str, tenant_id: str, now: datetime) -> Lifts:
    """Keep what measured trainings brought, and read the newest trainings.

    Args:
        url: Address of the migrated operational database.
        tenant_id: Whose trainings.
        now: Business time (UTC).
    """

    def look(conn: psycopg.Connection) -> Lifts:
        kept = keep_measured(conn, tenant_id, now)
        rows = [_row(conn, tenant_id, one) for one in newest(conn, tenant_id, SHOWN)]
        return Lifts(list(kept), pl.DataFrame(rows, schema=LIFT_COLUMNS), state_of(conn, tenant_id))

    with Operations(url, size=1) as operations:
        return in_transaction(partial(operations.transaction, tenant_id), look)


def _row(conn: psycopg.Connection, tenant_id: str, one: Training) -> dict[str, Any]:
    lift = lift_now(conn, tenant_id, one)
    told = {name: getattr(lift, name, None) for name in ("word", "cents", "low", "high")}
    same = {name: getattr(one, name) for name in LIFT_COLUMNS if name not in told and name != "until"}
    return same | told | {"until": last_measured_month(one)}
